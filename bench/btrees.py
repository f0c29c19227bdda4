"""The Python side of bench/btrees.ts: nanoseconds an operation, as one JSON object. What is not installed is left out."""
import gc
import importlib
import json
import os
import random
import sys
import tempfile
import time

N = int(sys.argv[1])
result = {}


def best(name, ops, setup, work, runs=10):
    least = None
    for _ in range(runs):
        argument = setup() if setup else None
        gc.collect()
        gc.disable()
        start = time.perf_counter()
        work(argument)
        elapsed = time.perf_counter() - start
        gc.enable()
        least = elapsed if least is None else min(least, elapsed)
    result[name] = least * 1e9 / ops


def insert(keys):
    def work(tree):
        for key in keys:
            tree[key] = key
    return work


def get(tree, keys):
    def work(_):
        find = tree.get
        for key in keys:
            find(key)
    return work


def iterate(make):
    def work(_):
        for _ in make():
            pass
    return work


def ranges(tree, keys, starts):
    def work(_):
        for start in starts:
            for _ in tree.keys(keys[start], keys[start + 999]):
                pass
    return work


numbers = list(range(N))
shuffled = numbers[:]
random.Random(1).shuffle(shuffled)
texts = ['key%08d' % i for i in numbers]
starts = [random.Random(2).randrange(N - 1000) for _ in range(100)]
for family, name, ordered, mixed in (
        ('IO', 'IOBTree', numbers, shuffled),
        ('OO', 'OOBTree, strings', texts, [texts[i] for i in shuffled])):
    cls = getattr(importlib.import_module('BTrees.%sBTree' % family), family + 'BTree')
    best(name + ': insert in order', N, cls, insert(ordered))
    best(name + ': insert at random', N, cls, insert(mixed))
    tree = cls([(key, key) for key in ordered])
    best(name + ': get', N, None, get(tree, mixed))
    best(name + ': iterate keys', N, None, iterate(tree.keys))
    best(name + ': iterate entries', N, None, iterate(tree.items))
    best(name + ': range of 1,000', 100, None, ranges(tree, ordered, starts))

from BTrees.IIBTree import IISet, IITreeSet, union  # noqa: E402
for cls in (IITreeSet, IISet):
    a = cls(range(0, 100000, 2))
    b = cls(range(50000, 150000, 2))
    best('II%s: union of two of 50,000' % cls.__name__[2:], 100000, None, lambda _: union(a, b))

try:
    import transaction
    from ZODB.DB import DB
    from ZODB.FileStorage import FileStorage
    from BTrees.IOBTree import IOBTree
    from BTrees.OOBTree import OOBTree
except ImportError:
    pass
else:
    for name, cls, ordered in (('IOBTree', IOBTree, numbers), ('OOBTree, strings', OOBTree, texts)):
        path = os.path.join(tempfile.mkdtemp(), 'Data.fs')
        db = DB(FileStorage(path), cache_size=1000000)
        connection = db.open()
        tree = connection.root()['tree'] = cls()
        for i, key in enumerate(ordered):
            tree[key] = 'value %d' % i
        transaction.commit()
        connection.close()
        db.close()
        opened = []

        def cold():
            while opened:
                opened.pop().close()
            database = DB(FileStorage(path), cache_size=1000000)
            opened.append(database)
            return database.open()

        def scan(connection):
            for _ in connection.root()['tree'].items():
                pass
        def look_up(connection):
            tree = connection.root()['tree']
            for key in probes:
                tree[key]
        probes = [ordered[i] for i in shuffled[:1000]]
        best(name + ': cold scan', N, cold, scan)
        best(name + ': cold get', 1000, cold, look_up)

print(json.dumps(result))
