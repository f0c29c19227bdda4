"""Python's BTrees as a partner of test/live/btrees.test.ts: answers one JSON line for each JSON line it gets."""
import base64
import decimal
import fractions
import hashlib
import importlib
import io
import json
import random
import sys

from persistent import Persistent, PickleCache
from zodbpickle import binary, pickle

import BTrees.check


def encode(value):
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2 ** 53 else {'$int': str(value)}
    if isinstance(value, float):
        return {'$float': repr(value)}
    if isinstance(value, bytes):
        return {'$bytes': value.hex()}
    if isinstance(value, tuple):
        return {'$tuple': [encode(item) for item in value]}
    if isinstance(value, decimal.Decimal):
        return {'$decimal': str(value)}
    if isinstance(value, fractions.Fraction):
        return {'$fraction': str(value)}
    raise TypeError(type(value))


def decode(value):
    if not isinstance(value, dict):
        return value
    (form, content), = value.items()
    if form == '$int':
        return int(content)
    if form == '$float':
        return float(content)
    if form == '$bytes':
        return bytes.fromhex(content)
    if form == '$tuple':
        return tuple(decode(item) for item in content)
    if form == '$decimal':
        return decimal.Decimal(content)
    if form == '$fraction':
        return fractions.Fraction(content)
    raise TypeError(form)


class Jar:
    """Records in a dict, as a connection would keep them in a storage."""

    def __init__(self, records=()):
        self.records = dict(records)
        self.cache = PickleCache(self)
        self._cache = self.cache
        self.changed = []
        self.next = max((int.from_bytes(oid, 'big') for oid in self.records), default=0) + 1

    def register(self, obj):
        self.changed.append(obj)

    def readCurrent(self, obj):
        pass

    def setstate(self, obj):
        unpickler = self.reader(obj._p_oid)
        unpickler.load()
        obj.__setstate__(unpickler.load())

    def reader(self, oid):
        unpickler = pickle.Unpickler(io.BytesIO(self.records[oid]))
        unpickler.persistent_load = self.load
        return unpickler

    def load(self, pid):
        oid, cls = pid
        oid = bytes(oid)
        obj = self.cache.get(oid)
        if obj is None:
            obj = cls.__new__(cls)
            self.cache.new_ghost(oid, obj)
        return obj

    def get(self, oid):
        return self.load((oid, self.reader(oid).load()))

    def add(self, obj):
        obj._p_jar = self
        obj._p_oid = self.next.to_bytes(8, 'big')
        self.next += 1
        self.cache[obj._p_oid] = obj
        self.changed.append(obj)

    def commit(self):
        while self.changed:
            obj = self.changed.pop(0)
            out = io.BytesIO()
            pickler = pickle.Pickler(out, 3)
            pickler.persistent_id = self.persistent_id
            pickler.dump(type(obj))
            pickler.dump(obj.__getstate__())
            self.records[obj._p_oid] = out.getvalue()
            obj._p_changed = False

    def persistent_id(self, obj):
        if isinstance(obj, type) or not isinstance(obj, Persistent):
            return None
        if obj._p_oid is None:
            self.add(obj)
        return binary(obj._p_oid), type(obj)


def class_of(family, kind):
    return getattr(importlib.import_module('BTrees.%sBTree' % family), family + kind)


def content(tree):
    items = getattr(tree, 'items', None)
    return [encode(item) for item in (items() if items else tree)]


def read(root, records):
    """The content of a tree, after Python's own checks."""
    jar = Jar((bytes.fromhex(oid), base64.b64decode(data)) for oid, data in records.items())
    tree = jar.get(bytes.fromhex(root))
    if hasattr(tree, '_check'):
        tree._check()
    if type(tree) in BTrees.check._type2kind:  # not for fs
        BTrees.check.check(tree)
    return {'class': type(tree).__name__, 'content': content(tree), 'length': len(tree)}


def write(family, kind, operations, commits):
    """A tree after operations ([key] to remove, [key, value] to put), with its records."""
    jar = Jar()
    tree = class_of(family, kind)()
    jar.add(tree)
    jar.commit()
    commits = set(commits)
    for i, operation in enumerate(operations):
        apply(tree, [decode(part) for part in operation])
        if i in commits:
            jar.commit()
    jar.commit()
    return {
        'root': tree._p_oid.hex(),
        'records': {oid.hex(): base64.b64encode(data).decode() for oid, data in jar.records.items()},
        'content': content(tree),
    }


def apply(tree, operation):
    if len(operation) == 2:
        if hasattr(tree, 'items'):
            tree[operation[0]] = operation[1]
        else:
            tree.insert(operation[0])
    elif operation[0] in tree:
        if hasattr(tree, 'items'):
            del tree[operation[0]]
        else:
            tree.remove(operation[0])


class Tiny:
    """A tree of tiny nodes that lives across calls."""
    tree = None

    def start(self, family, kind, leaf, inner):
        cls = class_of(family, kind)
        self.tree = type(cls.__name__, (cls,), {'max_leaf_size': leaf, 'max_internal_size': inner})()
        return None

    def run(self, operations):
        for operation in operations:
            apply(self.tree, operation)
        return hashlib.sha256(json.dumps(structure(self.tree), separators=(',', ':')).encode()).hexdigest()


def structure(node):
    state = node.__getstate__()
    if state is None:
        return None
    if isinstance(node, (class_of('OO', 'Bucket'), class_of('II', 'Set'), class_of('II', 'Bucket'))):
        return list(state[0])
    if len(state) == 1:
        return [list(state[0][0][0])]
    children = state[0]
    return [structure(item) if i % 2 == 0 and not isinstance(item, tuple) else item if i % 2 else list(item[0])
            for i, item in enumerate(children)]


tiny = Tiny()
functions = {'read': read, 'write': write, 'tiny_start': tiny.start, 'tiny_run': tiny.run}

for line in sys.stdin:
    name, *arguments = json.loads(line)
    try:
        answer = {'ok': functions[name](*arguments)}
    except Exception as error:
        answer = {'error': '%s: %s' % (type(error).__name__, error)}
    print(json.dumps(answer), flush=True)
