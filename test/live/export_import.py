"""Exports and imports of Python's ZODB. One command a run; the answer is one line of JSON."""
import json
import sys

import transaction
from BTrees.OOBTree import OOBTree
from persistent.mapping import PersistentMapping
from ZODB.blob import Blob
from ZODB.DB import DB
from ZODB.MappingStorage import MappingStorage
from ZODB.blob import BlobStorage


def open_db(directory):
    return DB(BlobStorage(directory, MappingStorage()))


def write(path, blob_dir):
    """Exports a mapping with a tree, a cycle and two blobs."""
    db = open_db(blob_dir)
    connection = db.open()
    top = PersistentMapping()
    connection.root()['top'] = top
    top['tree'] = OOBTree()
    for at in range(200):
        top['tree']['key %03d' % at] = at
    top['self'] = top
    for name, content in (('small', b'small blob'), ('large', bytes(range(256)) * 1000)):
        top[name] = Blob(content)
    transaction.commit()
    connection.exportFile(top._p_oid, path).close()
    db.close()
    return True


def read(path, blob_dir):
    """Imports, and says what is there."""
    db = open_db(blob_dir)
    connection = db.open()
    top = connection.importFile(path)
    connection.root()['top'] = top
    transaction.commit()
    connection.cacheMinimize()
    with top['small'].open() as f:
        small = f.read().decode()
    with top['large'].open() as f:
        large = len(f.read())
    answer = {
        'class': type(top).__module__ + '.' + type(top).__name__,
        'tree': len(top['tree']), 'last': top['tree']['key 199'],
        'cycle': top['self'] is top, 'small': small, 'large': large,
        'nested': dict(top['nested']) if 'nested' in top else None,
    }
    db.close()
    return answer


print(json.dumps({'write': write, 'read': read}[sys.argv[1]](*sys.argv[2:])))
