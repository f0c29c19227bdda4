"""The work of file-storage.ts with Python's FileStorage, on the same file: microseconds an operation, as JSON."""
import json
import logging
import os
import resource
import subprocess
import sys
import time

from ZODB.Connection import TransactionMetaData
from ZODB.FileStorage import FileStorage
from ZODB.serialize import referencesf
from ZODB.utils import maxtid, p64, z64

logging.disable(logging.CRITICAL)
path, count = sys.argv[1], int(sys.argv[2])
result = {}


def measure(name, operations, work):
    start = time.perf_counter()
    answer = work()
    result[name] = (time.perf_counter() - start) * 1e6 / operations
    return answer


def take(number):
    state, found = 12345, []
    while len(found) < number:
        state = (state * 1103515245 + 12345) % 2147483648
        found.append(p64(state % count + 1))
    return found


if len(sys.argv) > 3:
    storage = FileStorage(path)
    with open('/proc/self/statm') as statm:
        rss = int(statm.read().split()[1]) * resource.getpagesize() // 1024
    measure('pack', count, lambda: storage.pack(time.time() + 10, referencesf))
    storage.close()
    result['peak'] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result['growth'] = result['peak'] - rss
    print(json.dumps(result))
    sys.exit()

for _ in range(20):
    FileStorage(path, read_only=True).close()
storage = measure('open with index', 1, lambda: FileStorage(path, read_only=True))
oids = take(50000)


def load():
    for oid in oids:
        storage.loadBefore(oid, maxtid)


measure('load cold', len(oids), load)
measure('load hot', len(oids), load)


def iterate():
    for txn in storage.iterator():
        for record in txn:
            record.data


measure('iterate', count, iterate)
storage.close()
os.rename(path + '.index', path + '.aside')
storage = measure('open without index', 1, lambda: FileStorage(path, read_only=True))
storage.close()
os.rename(path + '.aside', path + '.index')
storage = FileStorage(path)
data = [storage.loadBefore(oid, maxtid) for oid in oids[:1000]]


def commit():
    serials = {}
    for oid, (record, serial, _) in zip(oids, data):
        txn = TransactionMetaData()
        storage.tpc_begin(txn)
        storage.store(oid, serials.get(oid, serial), record, '', txn)
        storage.tpc_vote(txn)
        serials[oid] = storage.tpc_finish(txn)


measure('commit', 1000, commit)
storage.close()
result.update(json.loads(subprocess.check_output([sys.executable, __file__, path + '.packed', str(count), 'pack'])))

storage = FileStorage(path + '.new')
record = data[0][0]


def bulk():
    for start in range(0, count, 10000):
        txn = TransactionMetaData()
        storage.tpc_begin(txn)
        for oid in range(start, min(start + 10000, count)):
            storage.store(p64(oid), z64, record, '', txn)
        storage.tpc_vote(txn)
        storage.tpc_finish(txn)


measure('bulk store', count, bulk)
storage.close()
print(json.dumps(result))
