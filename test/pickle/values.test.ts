import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';
import {
  ByteArray,
  Complex,
  Decimal,
  dumps,
  Fraction,
  FrozenSet,
  Global,
  loads,
  PickleError,
  PicklingError,
  PyDate,
  PyDateTime,
  PyDict,
  PyFloat,
  PyInstance,
  PyTime,
  PyTimeDelta,
  PyTimezone,
  type Reduction,
  UUID,
  type ValueClass,
} from '../../src/pickle/index';

const again = (value: unknown): unknown => loads(dumps(value));
const hex = (value: unknown): string => dumps(value).toString('hex');
const ist = new PyTimezone(new PyTimeDelta(0, 19_800), 'IST');

describe('numbers', () => {
  test.each([
    ['0', 0, '80034b002e'],
    ['255', 255, '80034bff2e'],
    ['65535', 65_535, '80034dffff2e'],
    ['-1', -1, '80034affffffff2e'],
    ['2^31', 2 ** 31, '80038a0500000080002e'],
    ['-2^31', -(2 ** 31), '80034a000000802e'],
    ['-2^31-1', -(2 ** 31) - 1, '80038a05ffffff7fff2e'],
    ['2^53-1', 2 ** 53 - 1, '80038a07ffffffffffff1f2e'],
    ['-0', -0, '80034780000000000000002e'],
    ['2^53, no safe integer', 2 ** 53, '80034743400000000000002e'],
    ['1.5', 1.5, '8003473ff80000000000002e'],
    ['2.0 by PyFloat', new PyFloat(2), '80034740000000000000002e'],
  ])('%s is written as Python does', (_name, value, expected) => {
    expect(hex(value)).toBe(expected);
    expect(Object.is(again(value), Number(value))).toBe(true);
  });

  test.each([NaN, Infinity, -Infinity, 5e-324])('%p is a float', (value) => {
    expect(again(value)).toBe(value);
  });

  test('bigints stay bigints, small and large', () => {
    for (const value of [
      0n,
      5n,
      -5n,
      2n ** 53n - 1n,
      2n ** 53n,
      -(2n ** 53n),
      2n ** 64n,
      -(2n ** 127n),
      2n ** 5000n,
    ]) {
      expect(again(value)).toBe(value);
    }
    expect(hex(2n ** 64n)).toBe('80038a090000000000000000012e');
  });
});

describe('inspect and toJSON', () => {
  test.each([
    [new Decimal('1.10'), 'Decimal(1.10)', '1.10'],
    [new Fraction(6, -4), 'Fraction(-3/2)', '-3/2'],
    [new Complex(1, -2), 'Complex(1-2i)', { re: 1, im: -2 }],
    [
      new UUID('12345678-1234-1234-1234-123456789abc'),
      'UUID(12345678-1234-1234-1234-123456789abc)',
      '12345678-1234-1234-1234-123456789abc',
    ],
    [new PyDate(2026, 11, 21), 'PyDate(2026-11-21)', '2026-11-21'],
    [new PyTime(1, 2, 3, 4, ist), 'PyTime(01:02:03.000004+05:30)', '01:02:03.000004+05:30'],
    [new PyTimeDelta(0, -1), 'PyTimeDelta(-1 day, 23:59:59)', '-1 day, 23:59:59'],
    [ist, 'PyTimezone(IST)', 'IST'],
    [PyTimezone.utc, 'PyTimezone(UTC)', 'UTC'],
    [
      new PyDateTime({ year: 2026, month: 11, day: 21, hour: 12, microsecond: 7, tz: ist }),
      'PyDateTime(2026-11-21T12:00:00.000007+05:30)',
      '2026-11-21T12:00:00.000007+05:30',
    ],
    [new PyDict<unknown, unknown>([[1, 'a']]), "PyDict(1) [Map] { 1 => 'a' }", { $dict: [[1, 'a']] }],
    [new FrozenSet([1]), 'FrozenSet(1) [Set] { 1 }', [1]],
    [new ByteArray([1, 255]), 'ByteArray(2) [Uint8Array] [ 1, 255 ]', { $bytearray: '01ff' }],
    [Global.of('os', 'system'), '<global os.system>', { $global: ['os', 'system'] }],
    [new PyFloat(2), 'PyFloat(2)', 2],
    [
      new PyInstance('call', Global.of('app', 'Colour'), ['RED']),
      "<app.Colour args: [ 'RED' ]>",
      { $class: 'app.Colour', args: ['RED'] },
    ],
  ])('%p', (value, shown, json) => {
    expect(inspect(value)).toBe(shown);
    expect(JSON.parse(JSON.stringify(value))).toEqual(json);
    expect(inspect(loads(dumps(value), { unknown: 'broken' }))).toBe(value instanceof PyFloat ? '2' : shown);
  });
});

describe('dates', () => {
  test('a moment in UTC is a Date, exactly', () => {
    for (const time of [0, 1e12 + 123, -62_135_596_800_000, 253_402_300_799_999, -1]) {
      const date = again(new Date(time)) as Date;
      expect(Object.getPrototypeOf(date)).toBe(Date.prototype);
      expect(date.getTime()).toBe(time);
    }
  });

  test('a Date that datetime cannot hold comes back too', () => {
    expect((again(new Date(NaN)) as Date).getTime()).toBeNaN();
    expect((again(new Date(8.64e15)) as Date).getTime()).toBe(8.64e15);
    expect((again(new Date(-8.64e15)) as Date).getTime()).toBe(-8.64e15);
  });

  test('a PyDateTime is the moment to the millisecond; setting a time keeps the zone', () => {
    const value = new PyDateTime({ year: 2026, month: 1, day: 2, hour: 3, microsecond: 4_005, tz: ist });
    expect(value.toISOString()).toBe('2026-01-01T21:30:00.004Z');
    value.setTime(Date.UTC(2026, 5, 1));
    expect((again(value) as PyDateTime).isoformat()).toBe('2026-06-01T05:30:00+05:30');
    expect((again(value) as PyDateTime).microsecond).toBe(0);
  });

  test('a FrozenSet refuses changes', () => {
    const set = new FrozenSet([1]);
    expect(() => set.add(2)).toThrow(TypeError);
    expect(() => set.delete(1)).toThrow(TypeError);
    expect(() => set.clear()).toThrow(TypeError);
    expect([...set]).toEqual([1]);
  });
});

describe('values of JavaScript alone', () => {
  test.each([
    [undefined],
    [[undefined, null]],
    [/a+\/b/giu],
    [new URL('https://example.org/a?b=c#d')],
    [new Float64Array([1.5, -0])],
    [new BigInt64Array([1n, -1n])],
    [new Uint8ClampedArray([1, 2])],
    [new Uint16Array([1, 65_535]).buffer],
    [new DataView(new Uint8Array([1, 2, 3]).buffer)],
  ])('%p comes back equal', (value) => {
    expect(again(value)).toStrictEqual(value);
  });

  test('errors keep class, message, stack, cause and own properties', () => {
    const error = Object.assign(new RangeError('too much', { cause: new TypeError('inner') }), { limit: 5 });
    const copy = again(error) as RangeError & { limit: number };
    expect(copy).toBeInstanceOf(RangeError);
    expect(copy.message).toBe('too much');
    expect(copy.stack).toBe(error.stack);
    expect(copy.limit).toBe(5);
    expect(copy.cause).toBeInstanceOf(TypeError);
    expect(Object.keys(copy)).toEqual(['limit']);
    expect((again(new AggregateError([1, 2], 'm')) as AggregateError).errors).toEqual([1, 2]);
  });

  test('what Python saved again as a broken instance is read as what it was', () => {
    const rebuild = new PyInstance('call', Global.of('ZODB.broken', 'rebuild'), [
      'zodb_js',
      'RegExp',
      'a+',
      'g',
    ]);
    expect(again(rebuild)).toEqual(/a+/g);
    expect(again(new PyInstance('call', Global.of('ZODB.broken', 'rebuild'), ['zodb_js', 'undefined']))).toBe(
      undefined,
    );
  });

  test('values of another realm are those values', () => {
    const foreign = runInNewContext(
      `({ list: [1], map: new Map([[1, 2]]), set: new Set([1]), date: new Date(5), re: /x/, error: new TypeError('t'),
          bytes: new Uint8Array([1]), frozen: Object.freeze([1]), bare: Object.create(null) })`,
    ) as object;
    const copy = again(foreign) as Record<string, unknown>;
    expect(copy).toStrictEqual({
      list: [1],
      map: new Map([[1, 2]]),
      set: new Set([1]),
      date: new Date(5),
      re: /x/,
      error: expect.any(TypeError) as unknown,
      bytes: Buffer.from([1]),
      frozen: [1],
      bare: {},
    });
    expect(Object.isFrozen(copy['frozen'])).toBe(true);
  });
});

describe('aliasing and cycles', () => {
  test('two empty values stay two, of every kind that can be empty', () => {
    for (const empty of [
      () => Buffer.alloc(0),
      () => new Uint8Array(),
      () => [],
      () => new Map(),
      () => new Set(),
    ]) {
      const [one, other, again] = loads(dumps(((first) => [first, empty(), first])(empty()))) as object[];
      expect(one).toBe(again);
      expect(one).not.toBe(other);
    }
  });

  test('shared values stay shared', () => {
    const shared = { a: 1 };
    const date = new Date(0);
    const tuple = Object.freeze([shared]);
    const [x, y, d1, d2, t1, t2] = again([shared, shared, date, date, tuple, tuple]) as unknown[];
    expect(x).toBe(y);
    expect(d1).toBe(d2);
    expect(t1).toBe(t2);
    expect((t1 as unknown[])[0]).toBe(x);
  });

  test('cycles through arrays, objects, Maps, PyDicts, tuples', () => {
    const list: unknown[] = [];
    const object: Record<string, unknown> = { list };
    const map = new Map<unknown, unknown>([['object', object]]);
    const dict = new PyDict<unknown, unknown>([[1, map]]);
    const tuple = Object.freeze([list, dict]);
    map.set('map', map);
    dict.set(2, dict);
    list.push(object, map, dict, tuple);
    const copy = again(list) as [typeof object, typeof map, typeof dict, readonly unknown[]];
    expect(copy[0]['list']).toBe(copy);
    expect(copy[1].get('map')).toBe(copy[1]);
    expect(copy[1].get('object')).toBe(copy[0]);
    expect(copy[2]).toBeInstanceOf(PyDict);
    expect(copy[2].get(2)).toBe(copy[2]);
    expect(copy[3][0]).toBe(copy);
    expect(copy[3][1]).toBe(copy[2]);
    expect(Object.isFrozen(copy[3])).toBe(true);
  });

  test('a dict that turns out to have other keys after it was referred to is one PyDict', () => {
    const dict = new PyDict<unknown, unknown>();
    for (let i = 0; i < 1500; i++) dict.set(i < 1200 ? `key ${i}` : i, i === 1 ? [dict] : i);
    const copy = again({ dict, also: dict }) as { dict: PyDict; also: PyDict };
    expect(copy.dict).toBeInstanceOf(PyDict);
    expect(copy.also).toBe(copy.dict);
    expect(copy.dict.size).toBe(1500);
    expect((copy.dict.get('key 1') as unknown[])[0]).toBe(copy.dict);
    expect(copy.dict.get(1400)).toBe(1400);
  });

  test('a set that contains itself is an error', () => {
    const set = new Set<unknown>();
    set.add([set]);
    expect(() => dumps({ set })).toThrow(/^set\[0\]\[0\]: Set contains itself/);
  });
});

describe('what cannot be saved is an error with its path', () => {
  class Money {
    amount = 1;
  }
  class Special extends Map {}
  const sparse: unknown[] = [1];
  sparse[2] = 3;
  const accessor = {
    get now() {
      return 1;
    },
  };

  test.each<[unknown, string]>([
    [{ history: [1, 2, 3, { callback: () => 1 }] }, 'history[3].callback: functions cannot be saved'],
    [{ a: { 'not a name': [Symbol('s')] } }, 'a["not a name"][0]: symbols cannot be saved'],
    [
      new Map<unknown, unknown>([['k', new Map([[5, Promise.resolve()]])]]),
      'get("k").get(5): promises cannot be saved; await them first',
    ],
    [
      { money: new Money() },
      'money: objects of the class Money cannot be saved; register it with @persistent or @value',
    ],
    [
      [new Special()],
      '[0]: objects of the class Special cannot be saved; register it with @persistent or @value',
    ],
    [{ list: sparse }, 'list[1]: a hole in an array cannot be saved'],
    [
      { match: 'abc'.match(/b/) },
      'match: an array with properties beside its elements cannot be saved ("index", "input", "groups")',
    ],
    [
      [Object.assign(new Date(0), { note: 'x' })],
      '[0]: a Date with properties of its own cannot be saved ("note")',
    ],
    [
      { seen: Object.assign(new Map(), { by: 'me', at: 1 }) },
      'seen: a Map with properties of its own cannot be saved ("by", "at")',
    ],
    [
      [Object.assign(new Set(), { by: 'me' })],
      '[0]: a Set with properties of its own cannot be saved ("by")',
    ],
    [{ accessor }, 'accessor.now: an accessor in a plain object cannot be saved'],
    [[new WeakMap()], '[0]: a WeakMap cannot be saved'],
    [[Object(5)], '[0]: a boxed primitive cannot be saved; save the primitive itself'],
    [() => 1, 'functions cannot be saved'],
    [
      { dict: new PyDict<unknown, unknown>([[[1], 1]]) },
      'dict: a dict cannot have an array that is not frozen as a key',
    ],
    [
      { dict: new PyDict<unknown, unknown>([[new Set(), 1]]) },
      'dict: a dict cannot have a value that can change as a key',
    ],
    [{ deep: Object.freeze([new Set([() => 1])]) }, 'deep[0][0]: functions cannot be saved'],
  ])('%#', (value, message) => {
    let error: unknown;
    try {
      dumps(value);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(PicklingError);
    expect((error as PicklingError).message).toBe(message);
    expect((error as PicklingError).code).toBe('PICKLING');
  });

  test('an outer owner adds itself in front', () => {
    const inner = new PicklingError('functions cannot be saved', 'a[0]');
    expect(inner.within('Account').message).toBe('Account.a[0]: functions cannot be saved');
    expect(new PicklingError('x', '[1]').within('Account').message).toBe('Account[1]: x');
    expect(new PicklingError('x', '').within('Account').message).toBe('Account: x');
  });
});

describe('classes', () => {
  class Money {
    constructor(
      public amount: number,
      public currency: string,
    ) {
      created++;
    }
  }
  let created = 0;
  const global = Global.of('shop', 'Money');
  const money: ValueClass = {
    global,
    create: () => Object.create(Money.prototype) as object,
    setState: (object, state) => {
      Object.assign(object, state);
    },
    reduce: (object) => ({ by: 'newobj', cls: global, args: [], state: { ...object } }),
  };
  const options = {
    resolve: (found: Global) => (found === global ? money : undefined),
    reduce: (object: object): Reduction | undefined =>
      object instanceof Money ? money.reduce(object) : undefined,
  };

  test('objects of registered classes come back without their constructor', () => {
    const price = new Money(5, 'EUR');
    created = 0;
    const [a, b] = loads(dumps([price, price], options), options) as Money[];
    expect(a).toBeInstanceOf(Money);
    expect(a).toEqual(price);
    expect(a).toBe(b);
    expect(created).toBe(0);
  });

  test('unknown names are refused, or kept', () => {
    const bytes = dumps([new Money(5, 'EUR')], options);
    expect(() => loads(bytes)).toThrow(PickleError);
    expect(() => loads(bytes)).toThrow(
      /names shop\.Money, which is no built-in value and no registered class/,
    );
    const [kept] = loads(bytes, { unknown: 'broken' }) as PyInstance[];
    expect(kept).toBeInstanceOf(PyInstance);
    expect(kept!.state).toEqual({ amount: 5, currency: 'EUR' });
    expect(dumps([kept])).toEqual(bytes);
  });

  test('persistent ids go through the hooks', () => {
    const target = new Money(1, 'EUR');
    const bytes = dumps([target, target], {
      persistentId: (object) => (object instanceof Money ? ['id', 7] : undefined),
    });
    expect(loads(bytes, { persistentLoad: (pid) => ({ pid }) })).toEqual([
      { pid: ['id', 7] },
      { pid: ['id', 7] },
    ]);
    expect(() => loads(bytes)).toThrow(/no persistentLoad is given/);
  });
});

test('equal values give equal bytes', () => {
  const make = (): unknown => ({
    a: [1, 'x', { b: new Map([['k', new Date(5)]]) }],
    c: 'x',
    d: Buffer.from('y'),
  });
  expect(dumps(make())).toEqual(dumps(make()));
});

test('a plain dict is what Python writes', () => {
  expect(hex({ a: 1, b: 'x' })).toBe('80037d71002858010000006171014b0158010000006271025801000000787103752e');
  expect(hex({})).toBe('80037d71002e');
});
