"""What Python's ZODB makes of a Data.fs. One command a run; the answer is one line of JSON."""
import hashlib
import io
import json
import logging
import os
import sys

import transaction
from persistent.mapping import PersistentMapping
from ZODB.blob import Blob
from ZODB.DB import DB
from ZODB.FileStorage import FileStorage
from ZODB.scripts import fstest
from ZODB.utils import load_current, u64

log = io.StringIO()
logging.basicConfig(stream=log, level=logging.WARNING)


def sha(data):
    return None if data is None else hashlib.sha256(data).hexdigest()


def fs_test(path):
    """The text of fstest's complaint, or None."""
    try:
        fstest.check(path)
    except fstest.FormatError as error:
        return str(error)
    return None


def index_of(storage):
    return {'%016x' % u64(key): value for key, value in storage._index.items()}


def dump(path, blob_dir=None):
    complaint = fs_test(path)
    storage = FileStorage(path, read_only=True, blob_dir=blob_dir)
    used = index_of(storage)
    transactions = []
    for txn in storage.iterator():
        transactions.append({
            'tid': txn.tid.hex(), 'status': txn.status,
            'user': txn.user.decode(), 'description': txn.description.decode(),
            'extension': {str(k): v for k, v in txn.extension.items()},
            'records': [{'oid': r.oid.hex(), 'tid': r.tid.hex(), 'data': sha(r.data),
                         'dataTid': r.data_txn.hex() if r.data_txn else None} for r in txn]})
    current = {}
    blobs = {}
    for oid in list(storage._index.keys()):
        try:
            data, tid = load_current(storage, oid)
        except KeyError:
            current[oid.hex()] = None
            continue
        current[oid.hex()] = [tid.hex(), sha(data)]
        if blob_dir and b'ZODB.blob' in data[:40]:
            with open(storage.loadBlob(oid, tid), 'rb') as f:
                blobs[oid.hex()] = sha(f.read())
    last = storage.lastTransaction().hex()
    storage.close()
    index = path + '.index'
    if os.path.exists(index):
        os.rename(index, index + '.aside')
    fresh = FileStorage(path, read_only=True)
    scanned = index_of(fresh)
    fresh.close()
    if os.path.exists(index + '.aside'):
        os.rename(index + '.aside', index)
    return {'fstest': complaint, 'transactions': transactions, 'current': current, 'last': last, 'blobs': blobs,
            'sameIndex': used == scanned, 'log': log.getvalue()}


def open_for_writing(path):
    try:
        FileStorage(path).close()
    except Exception as error:
        return {'error': type(error).__name__}
    return {'error': None}


def hold(path):
    """Keeps the file open until something is written to standard input."""
    storage = FileStorage(path)
    print(json.dumps({'held': True}), flush=True)
    sys.stdin.readline()
    storage.close()
    return None


def add(path, text, blob_dir=None, undo='', pack=''):
    """One more commit: sets root['text'], adds a child, a blob; perhaps an undo of it, perhaps a pack."""
    db = DB(FileStorage(path, blob_dir=blob_dir))
    connection = db.open()
    root = connection.root()
    root['text'] = text
    root[str(len(root) - 1)] = PersistentMapping(text=text + ' child')
    if blob_dir:
        root['blob'] = Blob(text.encode() * 10)
    transaction.get().note('python ' + text)
    transaction.commit()
    if undo:
        db.undo(db.undoLog(0, 1)[0]['id'])
        transaction.commit()
    connection.close()
    if pack:
        db.pack()
    db.close()
    return {'done': True}


def serve():
    """Takes many commands from standard input, one JSON list a line."""
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        log.truncate(0)
        log.seek(0)
        try:
            answer = {'ok': globals()[name](*arguments)}
        except Exception as error:
            answer = {'error': '%s: %s' % (type(error).__name__, error)}
        print(json.dumps(answer), flush=True)


if __name__ == '__main__':
    result = globals()[sys.argv[1]](*sys.argv[2:])
    if result is not None:
        print(json.dumps(result))
