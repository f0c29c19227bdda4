"""Python's ZEO client and server for zeo.ts.

    python zeo.py server PORT DIRECTORY
    python zeo.py client PORT DIRECTORY     reads names of rows, answers each with its microseconds
"""
import os
import sys
import time

role, port, directory = sys.argv[1], int(sys.argv[2]), sys.argv[3]

if role == 'server':
    import ZEO.StorageServer
    from ZODB.FileStorage import FileStorage

    path = os.path.join(directory, 'python.fs')
    storage = FileStorage(path, blob_dir=path + '.blobs')
    ZEO.StorageServer.StorageServer(('127.0.0.1', port), {'1': storage}).loop()
    sys.exit()

from ZEO.ClientStorage import ClientStorage
from ZODB.Connection import TransactionMetaData
from ZODB.utils import z64

NOW = b'\x7f' + b'\xff' * 7
DATA = b'x' * 200
BLOB = b'\x80\x03cZODB.blob\nBlob\nq\x00.\x80\x03N.'

client = ClientStorage(('127.0.0.1', port), blob_dir=os.path.join(directory, 'python-blobs'))
slices = []
current = []
blobs = []


def commit(oids):
    t = TransactionMetaData()
    client.tpc_begin(t)
    for oid in oids:
        client.store(oid, z64, DATA, '', t)
    client.tpc_vote(t)
    return client.tpc_finish(t)


def prepare(count, size):
    """Makes `count` slices of `size` objects that are not in the cache."""
    for _ in range(count):
        slices.append([client.new_oid() for _ in range(size)])
        commit(slices[-1])
    client._cache.clear()


def load(oids):
    for oid in oids:
        client.loadBefore(oid, NOW)


def cold():
    current[:] = slices.pop()
    load(current)
    return len(current)


def warm():
    load(current)
    return len(current)


def prefetch():
    oids = slices.pop()
    client.prefetch(oids, NOW)
    load(oids)
    return 1


def one():
    for _ in range(200):
        commit([client.new_oid()])
    return 200


def hundred():
    for _ in range(10):
        commit([client.new_oid() for _ in range(100)])
    return 10


def blob_up():
    t = TransactionMetaData()
    client.tpc_begin(t)
    oid = client.new_oid()
    client.storeBlob(oid, z64, BLOB, os.path.join(directory, 'python-source'), '', t)
    client.tpc_vote(t)
    blobs.append((oid, client.tpc_finish(t)))
    return 1


def blob_down():
    client.loadBlob(*blobs[-1])
    return 1


for line in sys.stdin:
    name, *arguments = line.split()
    if name == 'prepare':
        prepare(*map(int, arguments))
        print(0, flush=True)
        continue
    if name == 'blob_down':
        os.unlink(client.loadBlob(*blobs[-1]))
    start = time.perf_counter()
    count = globals()[name]()
    print((time.perf_counter() - start) * 1e6 / count, flush=True)
client.close()
