/**
 * The calls in a pickle that stand for built-in values, and how each is read. A call with arguments that are not its own is
 * left to the reader, which keeps it as structure.
 */
import { ByteArray, FrozenSet, PyDict } from './containers';
import { PyDate, PyDateTime, PyTime, PyTimeDelta, PyTimezone, utcTime } from './datetime';
import { type BuiltinReader, Global, NONE } from './global';
import { JS_MODULE, jsReaders } from './js-values';
import { Complex, Decimal, Fraction } from './numbers';
import { UUID } from './uuid';

/** Rough costs of what a call makes, in bytes, for the limit on memory. */
const COST_SMALL = 160;
const COST_SET = 200;
const COST_ENTRY = 40;

function define(modules: readonly string[], name: string, read: BuiltinReader): void {
  for (const module of modules) Global.of(module, name).builtin = read;
}

const BUILTINS = ['builtins', '__builtin__'];
const DECIMAL = /^\s*[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?\s*$|^\s*[-+]?(inf(inity)?|s?nan\d*)\s*$/i;

function isInt(value: unknown): value is number | bigint {
  return typeof value === 'bigint' || Number.isSafeInteger(value);
}

define(BUILTINS, 'set', ([items, ...rest], _by, charge) => {
  if (rest.length > 0 || (items !== undefined && !Array.isArray(items))) return NONE;
  charge(COST_SET + COST_ENTRY * (items?.length ?? 0));
  return new Set(items as unknown[] | undefined);
});
define(BUILTINS, 'frozenset', ([items, ...rest], _by, charge) => {
  if (rest.length > 0 || (items !== undefined && !Array.isArray(items))) return NONE;
  charge(COST_SET + COST_ENTRY * (items?.length ?? 0));
  return new FrozenSet(items as unknown[] | undefined);
});

define(BUILTINS, 'int', (args, _by, charge) => {
  const [text] = args;
  if (args.length !== 1) return NONE;
  if (isInt(text)) return BigInt(text);
  if (typeof text !== 'string' || !/^[-+]?\d+$/.test(text)) return NONE;
  // Reading decimal digits takes more than linear time: what a hostile pickle may repeat is charged for.
  charge(text.length * 4);
  return BigInt(text);
});

define(BUILTINS, 'complex', (args) => {
  const [re, im] = args;
  return args.length === 2 && typeof re === 'number' && typeof im === 'number' ? new Complex(re, im) : NONE;
});

define(BUILTINS, 'bytearray', (args, _by, charge) => {
  const [bytes, encoding] = args;
  if (args.length === 0) return new ByteArray(0);
  const source =
    bytes instanceof Uint8Array && args.length === 1
      ? bytes
      : typeof bytes === 'string' && typeof encoding === 'string' && isLatin1(encoding)
        ? Buffer.from(bytes, 'latin1')
        : undefined;
  if (source === undefined) return NONE;
  charge(COST_SMALL + source.length);
  return ByteArray.from(source);
});

define(BUILTINS, 'bytes', (args) => (args.length === 0 ? Buffer.alloc(0) : NONE));
define(['_codecs'], 'encode', (args, _by, charge) => {
  const [text, encoding] = args;
  if (typeof text !== 'string' || typeof encoding !== 'string' || !isLatin1(encoding)) return NONE;
  charge(COST_SMALL + text.length);
  return Buffer.from(text, 'latin1');
});

function isLatin1(encoding: string): boolean {
  return /^(latin[-_]?1|iso[-_]?8859[-_]1)$/i.test(encoding);
}

define(['collections'], 'OrderedDict', (args, _by, charge) => {
  charge(COST_SET);
  const map = new Map<unknown, unknown>();
  if (args.length === 0) return map;
  const [pairs] = args;
  if (args.length > 1 || !Array.isArray(pairs)) return NONE;
  charge(pairs.length * COST_ENTRY);
  for (const pair of pairs as unknown[]) {
    if (!Array.isArray(pair) || pair.length !== 2) return NONE;
    map.set(pair[0], pair[1]);
  }
  return map;
});
define(BUILTINS, 'dict', (args, _by, charge) => {
  charge(COST_SET);
  return args.length === 0 ? new PyDict() : NONE;
});

define(['decimal', '_decimal', 'cdecimal'], 'Decimal', (args) => {
  const [text] = args;
  return args.length === 1 && typeof text === 'string' && DECIMAL.test(text) ? new Decimal(text) : NONE;
});

define(['fractions'], 'Fraction', (args, _by, charge) => {
  const [a, b] = args;
  charge(COST_SMALL);
  if (args.length === 2 && isInt(a) && isInt(b) && BigInt(b) !== 0n) {
    // Bringing huge numbers to lowest terms is quadratic; a pickle has them in lowest terms, so hostile ones only.
    return bits(a) + bits(b) > 20_000 ? NONE : new Fraction(a, b);
  }
  if (args.length !== 1 || typeof a !== 'string' || a.length > 5_000) return NONE;
  const match = /^([-+]?\d+)(?:\/(\d+))?$/.exec(a);
  return match && match[2] !== '0' ? new Fraction(BigInt(match[1]!), BigInt(match[2] ?? 1)) : NONE;
});

function bits(value: number | bigint): number {
  return typeof value === 'number' ? 53 : value.toString(16).length * 4;
}

define(['uuid'], 'UUID', (args, by) => (by === 'newobj' && args.length === 0 ? new UUID() : NONE));

/** The bytes of a datetime type; Python 2 pickled them as 8-bit strings, which latin-1 keeps. */
function rawBytes(value: unknown, length: number): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value.length === length ? value : undefined;
  if (typeof value !== 'string' || value.length !== length) return undefined;
  const bytes = Buffer.from(value, 'latin1');
  return bytes.toString('latin1') === value ? bytes : undefined;
}

function validDay(year: number, month: number, day: number): boolean {
  return (
    year >= 1 &&
    year <= 9999 &&
    month >= 1 &&
    month <= 12 &&
    day >= 1 &&
    day <= 31 &&
    (day <= 28 || new Date(utcTime(year, month, day, 0, 0, 0, 0)).getUTCDate() === day)
  );
}

define(['datetime'], 'datetime', (args, _by, charge) => {
  const b = rawBytes(args[0], 10);
  if (b === undefined || args.length > 2) return NONE;
  const year = b[0]! * 256 + b[1]!;
  const month = b[2]! & 0x7f;
  const day = b[3]!;
  const hour = b[4]!;
  const minute = b[5]!;
  const second = b[6]!;
  const microsecond = b[7]! * 65_536 + b[8]! * 256 + b[9]!;
  if (!validDay(year, month, day) || hour > 23 || minute > 59 || second > 59 || microsecond > 999_999)
    return NONE;
  charge(COST_SMALL);
  const tz = args[1] ?? null;
  const fold = b[2]! >= 0x80 ? 1 : 0;
  if (tz === PyTimezone.utc && microsecond % 1000 === 0 && fold === 0) {
    return new Date(utcTime(year, month, day, hour, minute, second, microsecond / 1000));
  }
  charge(COST_SMALL);
  return new PyDateTime({ year, month, day, hour, minute, second, microsecond, tz, fold });
});

define(['datetime'], 'date', (args) => {
  const b = rawBytes(args[0], 4);
  if (b === undefined || args.length !== 1) return NONE;
  const year = b[0]! * 256 + b[1]!;
  return validDay(year, b[2]!, b[3]!) ? new PyDate(year, b[2]!, b[3]!) : NONE;
});

define(['datetime'], 'time', (args) => {
  const b = rawBytes(args[0], 6);
  if (b === undefined || args.length > 2) return NONE;
  const hour = b[0]! & 0x7f;
  const microsecond = b[3]! * 65_536 + b[4]! * 256 + b[5]!;
  if (hour > 23 || b[1]! > 59 || b[2]! > 59 || microsecond > 999_999) return NONE;
  return new PyTime(hour, b[1], b[2], microsecond, args[1] ?? null, b[0]! >= 0x80 ? 1 : 0);
});

define(['datetime'], 'timedelta', (args) => {
  if (args.length > 3 || !args.every((part) => Number.isSafeInteger(part))) return NONE;
  const [days, seconds, microseconds] = args as readonly number[];
  return new PyTimeDelta(days, seconds, microseconds);
});

define(['datetime'], 'timezone', (args) => {
  const [offset, name] = args;
  if (!(offset instanceof PyTimeDelta) || args.length > 2 || Math.abs(offset.valueOf()) >= 86_400_000)
    return NONE;
  if (name === undefined) return offset.valueOf() === 0 ? PyTimezone.utc : new PyTimezone(offset);
  return typeof name === 'string' ? new PyTimezone(offset, name) : NONE;
});

for (const [name, read] of jsReaders) {
  define([JS_MODULE], name, (args, by, charge) => {
    const [bytes] = args;
    charge(COST_SMALL + (bytes instanceof Uint8Array ? bytes.length : 0));
    return by === 'call' ? read(args, NONE) : NONE;
  });
}

/** `copyreg._reconstructor(cls, base, state)`: how protocols 0 and 1 make an object of a class without arguments. */
const reconstruct: BuiltinReader = (args, _by, charge) => {
  const [cls, base, state] = args;
  if (args.length !== 3 || !(cls instanceof Global) || !isObjectClass(base) || state !== null) return NONE;
  return cls.builtin === undefined ? NONE : cls.builtin([], 'newobj', charge);
};
define(['copyreg', 'copy_reg'], '_reconstructor', reconstruct);

/** `ZODB.broken.rebuild(module, name, *args)`: how Python saves again what it could not import. */
define(['ZODB.broken'], 'rebuild', (args, _by, charge) => {
  const [module, name, ...rest] = args;
  if (typeof module !== 'string' || typeof name !== 'string') return NONE;
  const builtin = Global.of(module, name).builtin;
  return builtin === undefined ? NONE : builtin(rest, 'call', charge);
});

/** Whether a global is Python's `object`. */
export function isObjectClass(value: unknown): boolean {
  return value instanceof Global && value.name === 'object' && BUILTINS.includes(value.module);
}
