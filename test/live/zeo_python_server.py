"""Python's ZEO server on a free port, with many empty storages named 1, 2, ...: port on the first line of the output."""
import os
import sys

import ZEO.StorageServer
from ZODB.FileStorage import FileStorage

directory, count, merge = sys.argv[1], int(sys.argv[2]), sys.argv[3]
options = set(sys.argv[4:])

storages = {}
for number in range(1, count + 1):
    path = os.path.join(directory, '%d.fs' % number)
    storages[str(number)] = FileStorage(path, blob_dir=path + '.blobs')

server = ZEO.StorageServer.StorageServer(
    ('127.0.0.1', 0), storages,
    client_conflict_resolution=merge == 'client',
    msgpack='msgpack' in options)
print(server.addr[1], flush=True)
server.loop()
