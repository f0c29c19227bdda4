/** Random values of the whole table, with shared values and cycles. */
import fc from 'fast-check';
import {
  ByteArray,
  Complex,
  Decimal,
  Fraction,
  FrozenSet,
  Global,
  PyDate,
  PyDateTime,
  PyDict,
  PyInstance,
  PyTime,
  PyTimeDelta,
  PyTimezone,
  UUID,
} from '../../src/pickle/index';

const text = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('__proto__', 'constructor', 'a', 'b', '0', '17', ''),
);
const int = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
const delta = fc.tuple(int(-999, 999), int(0, 86_399), int(0, 999_999)).map((p) => new PyTimeDelta(...p));
const zone = fc.oneof(
  fc.constant(PyTimezone.utc),
  fc
    .tuple(int(-86_399, 86_399), fc.option(text, { nil: undefined }))
    .map(([seconds, name]) =>
      seconds === 0 && name === undefined
        ? PyTimezone.utc
        : new PyTimezone(new PyTimeDelta(0, seconds), name),
    ),
);
const maybeZone = fc.option(zone, { nil: null });
const day = fc.date({
  min: new Date('0001-01-02T00:00:00Z'),
  max: new Date('9999-12-30T00:00:00Z'),
  noInvalidDate: true,
});
const microsecond = int(0, 999_999);

/** Values that hold no others; each is written with a type of its own. */
export const scalars = {
  null: fc.constant(null),
  boolean: fc.boolean(),
  text,
  int: fc.oneof(fc.maxSafeInteger(), int(-70_000, 70_000)),
  float: fc.double(),
  bigint: fc.oneof(
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 200n }),
    fc.bigInt({ min: -(2n ** 90n), max: -(2n ** 53n) }),
  ),
  smallBigint: fc.bigInt({ min: -(2n ** 53n) + 1n, max: 2n ** 53n - 1n }),
  bytes: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  bytearray: fc.uint8Array({ maxLength: 20 }).map((bytes) => ByteArray.from(bytes)),
  date: day,
  datetime: fc.tuple(day, microsecond, maybeZone).map(
    ([d, us, tz]) =>
      new PyDateTime({
        year: d.getUTCFullYear(),
        month: d.getUTCMonth() + 1,
        day: d.getUTCDate(),
        hour: d.getUTCHours(),
        minute: d.getUTCMinutes(),
        second: d.getUTCSeconds(),
        microsecond: tz === PyTimezone.utc ? us | 1 : us,
        tz,
      }),
  ),
  pyDate: day.map((d) => new PyDate(d.getUTCFullYear(), d.getUTCMonth() + 1, d.getUTCDate())),
  time: fc
    .tuple(int(0, 23), int(0, 59), int(0, 59), microsecond, maybeZone)
    .map(([h, m, s, us, tz]) => new PyTime(h, m, s, us, tz)),
  delta,
  zone,
  decimal: fc
    .oneof(
      // As Python shows them, so that they come back with the same text.
      fc
        .tuple(fc.bigInt(), fc.stringMatching(/^\d{1,9}$/))
        .map(([whole, part]) => `${whole === 0n ? 1n : whole}.${part}`),
      fc.constantFrom('NaN', 'sNaN123', 'Infinity', '-Infinity', '-0', '1.10', '1E+10', '1.5E-400'),
    )
    .map((digits) => new Decimal(digits)),
  fraction: fc.tuple(fc.bigInt(), fc.bigInt({ min: 1n, max: 2n ** 70n })).map(([n, d]) => new Fraction(n, d)),
  complex: fc.tuple(fc.double(), fc.double()).map(([re, im]) => new Complex(re, im)),
  uuid: fc.uuid().map((digits) => new UUID(digits)),
  global: fc.constantFrom(Global.of('builtins', 'len'), Global.of('collections', 'OrderedDict')),
} as const;

/** Values that only JavaScript has. */
export const javascriptOnly = {
  undefined: fc.constant(undefined),
  regexp: fc.constantFrom(/a+/g, /\/[x]\n/iu),
  url: fc.webUrl().map((url) => new URL(url)),
  error: text.map((message) => new RangeError(message)),
  floats: fc.float64Array({ maxLength: 5 }),
  invalidDate: fc.constant(new Date(NaN)),
} as const;

export type Container = 'list' | 'tuple' | 'object' | 'map' | 'dict' | 'set' | 'frozenset' | 'instance';

const HASHABLE = ['boolean', 'text', 'int', 'float', 'bigint', 'bytes', 'pyDate', 'delta', 'uuid'];

/**
 * A random value: some leaves, then containers made of what came before, by number; lists, objects and maps may get a later
 * value, so that cycles arise. For Python, keys and members must be hashable and different.
 */
export function graphs(leaves: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> {
  const names = Object.keys(leaves);
  const leaf = fc.oneof(...names.map((name) => leaves[name]!.map((value) => ({ name, value }))));
  const step = fc.record({
    kind: fc.constantFrom<Container>(
      'list',
      'tuple',
      'object',
      'map',
      'dict',
      'set',
      'frozenset',
      'instance',
    ),
    parts: fc.array(fc.nat(), { maxLength: 5 }),
    keys: fc.array(text, { minLength: 5, maxLength: 5 }),
    back: fc.option(fc.nat(), { nil: undefined }),
  });
  return fc
    .tuple(fc.array(leaf, { minLength: 1, maxLength: 12 }), fc.array(step, { maxLength: 10 }))
    .map(([made, steps]) => {
      const values = made.map(({ value }) => value);
      const hashable = made.filter(({ name }) => HASHABLE.includes(name)).map(({ value }) => value);
      const backs: [unknown, number][] = [];
      // Sets can't be part of a cycle in a pickle, and tuples only by way of something else.
      const cyclic: unknown[] = [];
      for (const { kind, parts, keys, back } of steps) {
        const items = parts.map((n) => values[n % values.length]);
        const members = distinct(
          parts.map((n) => hashable[n % Math.max(hashable.length, 1)]).filter((v) => v !== undefined),
        );
        let value: unknown;
        if (kind === 'list') value = [...items];
        else if (kind === 'tuple') value = Object.freeze([...items]);
        else if (kind === 'object') value = fromEntries(items.map((item, i) => [keys[i]!, item]));
        else if (kind === 'map') value = new Map(members.map((key, i) => [key, items[i]]));
        else if (kind === 'dict') value = new PyDict(members.map((key, i) => [key, items[i]]));
        else if (kind === 'set') value = new Set(members);
        else if (kind === 'frozenset') value = new FrozenSet(members);
        else value = instance(items);
        if (value instanceof PyDict && [...value.keys()].every((key) => typeof key === 'string'))
          value.set(-7, 'no plain object');
        values.push(value);
        if (kind === 'list' || kind === 'object' || kind === 'map') {
          cyclic.push(value);
          if (back !== undefined) backs.push([value, back]);
        }
      }
      for (const [value, n] of backs) {
        const target = cyclic[n % cyclic.length];
        if (Array.isArray(value)) value.push(target);
        else if (value instanceof Map) value.set('back', target);
        else (value as Record<string, unknown>)['back'] = target;
      }
      return values[values.length - 1];
    });
}

function instance(items: unknown[]): PyInstance {
  const made = new PyInstance('newobj', Global.of('app', 'Thing'), []);
  made.state = { items: [...items] };
  return made;
}

function fromEntries(entries: [string, unknown][]): object {
  const object = {};
  for (const [key, value] of entries) {
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
  }
  return object;
}

/** Python takes 1, 1.0 and True for one key, and equal bytes too. */
function distinct(values: unknown[]): unknown[] {
  const seen = new Set<string>();
  return values.filter((value) => {
    if (typeof value === 'number' && Number.isNaN(value)) return false;
    const name =
      typeof value === 'boolean' || typeof value === 'number' || typeof value === 'bigint'
        ? `n${BigInt(Number.isInteger(Number(value)) ? Number(value) : 0)}${String(value === true || value === false ? Number(value) : value)}`
        : value instanceof Uint8Array
          ? `b${Buffer.from(value).toString('hex')}`
          : typeof value === 'string'
            ? `s${value}`
            : `o${JSON.stringify(value)}`;
    const key = name.replace(/^n-?\d+(-?\d+)$/, 'n$1');
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
