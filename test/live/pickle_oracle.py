"""Answers questions about pickles, one JSON object a line, with zodbpickle as ZODB uses it.

{"op": "describe", "data": base64}            -> {"value": described, "again": base64}
{"op": "same", "data": base64, "other": ...}  -> {"same": bool, "a": described, "b": described}
{"op": "record", "name": ...}                 -> {"data": base64}, a record of the sample state
{"op": "state", "data": base64}               -> {"value": described, "class": [module, name]}
"""
import base64
import collections
import copyreg
import datetime
import decimal
import fractions
import io
import json
import re
import struct
import sys
import types
import uuid

import zodbpickle.pickle as pickle

sys.setrecursionlimit(100000)
sys.set_int_max_str_digits(0) if hasattr(sys, 'set_int_max_str_digits') else None


class StubType(type):
    def __getattr__(cls, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return cls('attribute', name)


def stub(module, name):
    """A class that takes whatever a pickle gives it."""

    def new(cls, *args, **kw):
        self = object.__new__(cls)
        self.parts = [args, sorted(kw.items())]
        return self

    def note(kind):
        return lambda self, *args: self.__dict__.setdefault('parts', []).append((kind, args))

    members = dict(
        __new__=new, __setstate__=note('state'), append=note('item'), extend=note('items'), __setitem__=note('pair'),
        add=note('add'), __init__=lambda self, *args, **kw: None, __module__=module,
        __or__=lambda self, other: stub('or', 'or')(self, other), __ror__=lambda self, other: None)
    return StubType(name, (), members)


class Thing:
    pass


app = types.ModuleType('app')
app.Thing = Thing
Thing.__module__ = 'app'
Thing.__qualname__ = 'Thing'
sys.modules['app'] = app
stubs = {}


def reconstruct(cls, base, state):
    if isinstance(cls, StubType):
        return cls('reconstructed', base, state)
    return copyreg._reconstructor(cls, base, state)


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if name == '_reconstructor':
            return reconstruct
        if module.startswith('fixture_app') or module in ('missing', 'zodb_js'):
            return stubs.setdefault((module, name), stub(module, name))
        return super().find_class(module, name)

    def persistent_load(self, pid):
        return ('persistent', pid)


def loads(data):
    return Unpickler(io.BytesIO(base64.b64decode(data))).load()


def number(value):
    return 'nan' if value != value else struct.pack('>d', value).hex()


def text(value):
    return 's' + value.encode('utf-16-le', 'surrogatepass').hex()


def describe(value, seen):
    kind = type(value)
    if value is None or kind is bool:
        return repr(value)
    if kind is int:
        return 'i%d' % value
    if kind is float:
        return 'f' + number(value)
    if kind is str:
        return text(value)
    if kind is bytes:
        return 'b' + value.hex()
    if kind is bytearray:
        return 'B' + value.hex()
    if kind is tuple:
        return ['tuple'] + [describe(v, seen) for v in value]
    if kind in (set, frozenset):
        return [kind.__name__] + sorted((describe(v, seen) for v in value), key=json.dumps)
    if kind is datetime.datetime or kind is datetime.time:
        return [kind.__name__, value.isoformat(), describe(value.tzinfo, seen)]
    if kind is datetime.date:
        return ['date', value.isoformat()]
    if kind is datetime.timedelta:
        return ['delta', value.days, value.seconds, value.microseconds]
    if kind is datetime.timezone:
        args = value.__getinitargs__()
        return ['zone', describe(args[0], seen), text(args[1]) if len(args) > 1 else None]
    if kind is decimal.Decimal:
        return ['decimal', str(value)]
    if kind is fractions.Fraction:
        return ['fraction', str(value.numerator), str(value.denominator)]
    if kind is complex:
        return ['complex', number(value.real), number(value.imag)]
    if kind is uuid.UUID:
        return ['uuid', str(value)]
    if isinstance(value, (type, types.BuiltinFunctionType, types.FunctionType)):
        return ['global', '%s.%s' % (value.__module__, value.__qualname__)]
    if id(value) in seen:
        return ['ref', seen[id(value)][0]]
    seen[id(value)] = len(seen), value
    if kind is list:
        return ['list'] + [describe(v, seen) for v in value]
    if kind in (dict, collections.OrderedDict):
        pairs = list(value.items())
        if kind is dict:
            # JavaScript moves keys that look like integers to the front.
            pairs.sort(key=lambda pair: json.dumps(describe(pair[0], dict(seen))))
        return [kind.__name__] + [[describe(k, seen), describe(v, seen)] for k, v in pairs]
    if kind is Thing:
        return ['thing', describe(value.__dict__, seen)]
    if isinstance(kind, StubType):
        return ['stub', kind.__module__, kind.__name__, describe(value.__dict__.get('parts', []), seen)]
    if isinstance(value, BaseException):
        return ['exception', kind.__name__, describe(list(value.args), seen)]
    if isinstance(value, re.Pattern):
        return ['regex', describe(value.pattern, seen), value.flags]
    reduced = value.__reduce_ex__(3)
    if isinstance(reduced, str):
        return ['named', reduced]
    parts = [list(part) if i > 2 and part is not None else part for i, part in enumerate(reduced)]
    return ['reduced', kind.__name__] + [describe(part, seen) for part in parts[1:]]


class Sample:
    pass


sys.modules['app'].Sample = Sample
Sample.__module__ = 'app'
shared = [1, 2]
tz = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
sample = {
    'changed': 1, 'zero': 0.0, 'two': 2.0, 'minus': -0.0, 'half': 0.5, 'huge': 1e300, 'int': 2, 'long': 2 ** 70,
    'nan': float('nan'), 'inf': float('inf'), 'true': True, 'none': None, 'text': 'h\xe9 \U0001f600', 'surrogate': '\ud800',
    'empty': {}, 'int_keys': {1: 'a', 2: 'b'}, 'mixed': {'a': 1, 2: 'b', (1, 2): None, None: 0, b'k': 1.5},
    'text_keys': {'a': 1}, 'list': [1, [2], {}], 'tuple': (1, (2,), ()), 'shared': shared, 'shared_too': shared,
    'bytes': b'\x00\xff', 'no_bytes': b'', 'bytearray': bytearray(b'\x00\xff'), 'set': {1, 'a'}, 'frozenset': frozenset([1, 2]),
    'naive': datetime.datetime(2026, 11, 21, 12, 30), 'naive_us': datetime.datetime(2026, 11, 21, 12, 30, 0, 123456),
    'utc': datetime.datetime(2026, 11, 21, 12, 30, tzinfo=datetime.timezone.utc),
    'utc_ms': datetime.datetime(2026, 11, 21, 12, 30, 0, 123000, tzinfo=datetime.timezone.utc),
    'utc_us': datetime.datetime(2026, 11, 21, 12, 30, 0, 123456, tzinfo=datetime.timezone.utc),
    'zoned': datetime.datetime(1, 1, 1, 12, 30, tzinfo=tz), 'date': datetime.date(2026, 2, 28),
    'time': datetime.time(1, 2, 3, 4, tzinfo=tz), 'delta': datetime.timedelta(-1, 2, 3), 'zone': tz,
    'decimal': decimal.Decimal('1.10'), 'fraction': fractions.Fraction(1, 3), 'complex': 1 + 2j,
    'uuid': uuid.UUID(int=5), 'ordered': collections.OrderedDict([('b', 1), ('a', 2)]),
    'default': collections.defaultdict(list, a=[1]), 'counter': collections.Counter('aab'),
    'deque': collections.deque([1, 2], 5), 'range': range(1, 10, 2), 'global': collections.OrderedDict, 'error': ValueError('x', 1),
}


def record():
    out = io.BytesIO()
    pickler = pickle.Pickler(out, 3)
    pickler.dump(Sample)
    pickler.dump(sample)
    return out.getvalue()


def answer(question):
    op = question['op']
    if op == 'describe':
        value = loads(question['data'])
        return {'value': describe(value, {}), 'again': base64.b64encode(pickle.dumps(value, 3)).decode()}
    if op == 'same':
        a, b = [describe(loads(question[key]), {}) for key in ('data', 'other')]
        return {'same': a == b, 'a': a if a != b else None, 'b': b if a != b else None}
    if op == 'record':
        return {'data': base64.b64encode(record()).decode(), 'value': {k: describe(v, {}) for k, v in sample.items()}}
    if op == 'state':
        unpickler = Unpickler(io.BytesIO(base64.b64decode(question['data'])))
        cls = unpickler.load()
        state = unpickler.load()
        return {'class': [cls.__module__, cls.__name__], 'value': {k: describe(v, {}) for k, v in state.items()},
                'shared': state.get('shared') is state.get('shared_too')}
    if op == 'broken':
        from ZODB.broken import find_global

        class BrokenUnpickler(pickle.Unpickler):
            def find_class(self, module, name):
                return find_global(module, name) if module == 'zodb_js' else super().find_class(module, name)

        value = BrokenUnpickler(io.BytesIO(base64.b64decode(question['data']))).load()
        return {'value': [repr(item) for item in value], 'again': base64.b64encode(pickle.dumps(value, 3)).decode()}
    raise ValueError(op)


for line in sys.stdin:
    try:
        result = answer(json.loads(line))
    except Exception as error:  # the other side reports it
        result = {'error': '%s: %s' % (type(error).__name__, error)}
    sys.stdout.write(json.dumps(result) + '\n')
