/**
 * How built-in values that are neither scalars nor plain containers are written: as the calls that Python's own pickler
 * writes for them.
 */
import { types } from 'node:util';
import { ByteArray, FrozenSet } from './containers';
import { PyDate, PyDateTime, PyTime, PyTimeDelta, PyTimezone } from './datetime';
import { Global } from './global';
import type { Reduction } from './interfaces';
import { dateCall, type JsCall, jsCall, undefinedCall } from './js-values';
import { Complex, Decimal, Fraction, PyFloat, plainInt } from './numbers';
import { UUID } from './uuid';

const g = {
  bytearray: Global.of('builtins', 'bytearray'),
  complex: Global.of('builtins', 'complex'),
  date: Global.of('datetime', 'date'),
  datetime: Global.of('datetime', 'datetime'),
  decimal: Global.of('decimal', 'Decimal'),
  fraction: Global.of('fractions', 'Fraction'),
  frozenset: Global.of('builtins', 'frozenset'),
  int: Global.of('builtins', 'int'),
  orderedDict: Global.of('collections', 'OrderedDict'),
  set: Global.of('builtins', 'set'),
  time: Global.of('datetime', 'time'),
  timedelta: Global.of('datetime', 'timedelta'),
  timezone: Global.of('datetime', 'timezone'),
  uuid: Global.of('uuid', 'UUID'),
} as const;

function call(cls: Global, ...args: unknown[]): Reduction {
  return { by: 'call', cls, args };
}

function fromJs({ global, args, state }: JsCall): Reduction {
  return { by: 'call', cls: global, args, state };
}

/** The year (2 bytes), month, day … and microsecond (3 bytes) of the datetime types. */
function timeBytes(
  values: readonly number[],
  year: number | undefined,
  microsecond: number | undefined,
): Buffer {
  const bytes: number[] = [];
  if (year !== undefined) bytes.push(year >> 8, year & 0xff);
  bytes.push(...values);
  if (microsecond !== undefined) bytes.push(microsecond >> 16, (microsecond >> 8) & 0xff, microsecond & 0xff);
  return Buffer.from(bytes);
}

/** A bigint in the safe range as a call that reads back as a bigint; larger ones are plain integers. */
export function smallBigInt(value: bigint): Reduction {
  return call(g.int, value.toString());
}

/** `undefined` as a call. */
export const undefinedReduction: Reduction = fromJs(undefinedCall);

/** A Map as an ordered dict. */
export function orderedDict(map: Map<unknown, unknown>): Reduction {
  return { by: 'call', cls: g.orderedDict, args: [], pairs: [...map] };
}

/** The 10 bytes of a moment in UTC; overwritten by the next call. */
export function dateBytes(date: Date): Uint8Array {
  const year = date.getUTCFullYear();
  const microsecond = date.getUTCMilliseconds() * 1000;
  scratch[0] = year >> 8;
  scratch[1] = year;
  scratch[2] = date.getUTCMonth() + 1;
  scratch[3] = date.getUTCDate();
  scratch[4] = date.getUTCHours();
  scratch[5] = date.getUTCMinutes();
  scratch[6] = date.getUTCSeconds();
  scratch[7] = microsecond >> 16;
  scratch[8] = microsecond >> 8;
  scratch[9] = microsecond;
  return scratch;
}

const scratch = Buffer.alloc(10);
/** The first moment of the year 1 and of the year 10000. */
const FIRST = -62_135_596_800_000;
const BEYOND = 253_402_300_800_000;

/** Whether Python's datetime can hold it: the years 1 to 9999. */
export function isDatetime(date: Date): boolean {
  const time = date.getTime();
  return time >= FIRST && time < BEYOND;
}

/** A moment in UTC. */
function date(value: Date): Reduction {
  // Of another realm, it may lack the methods of this one's.
  const utc = new Date(Date.prototype.getTime.call(value));
  return isDatetime(utc)
    ? call(g.datetime, Buffer.from(dateBytes(utc)), PyTimezone.utc)
    : fromJs(dateCall(utc.getTime()));
}

function pyDateTime(value: PyDateTime, keepFold: boolean): Reduction {
  const f = value.fields;
  if (!(f.year >= 1 && f.year <= 9999)) return fromJs(dateCall(value.getTime()));
  const month = f.month | (keepFold && f.fold === 1 ? 0x80 : 0);
  const bytes = timeBytes([month, f.day, f.hour, f.minute, f.second], f.year, f.microsecond);
  return f.tz === null ? call(g.datetime, bytes) : call(g.datetime, bytes, f.tz);
}

function pyTime(value: PyTime, keepFold: boolean): Reduction {
  const hour = value.hour | (keepFold && value.fold === 1 ? 0x80 : 0);
  const bytes = timeBytes([hour, value.minute, value.second], undefined, value.microsecond);
  return value.tz === null ? call(g.time, bytes) : call(g.time, bytes, value.tz);
}

function uuid(value: UUID): Reduction {
  const state: Record<string, unknown> = { int: plainInt(value.int) };
  if (value.isSafe !== undefined) state['is_safe'] = value.isSafe;
  return { by: 'newobj', cls: g.uuid, args: [], state };
}

/**
 * The calls for a built-in value, of whatever realm; `undefined` for an object of any other class. `keepFold` is Python's
 * rule that only protocol 4 has a bit for it.
 */
export function reduceBuiltin(value: object, keepFold: boolean): Reduction | undefined {
  if (types.isSet(value)) return call(value instanceof FrozenSet ? g.frozenset : g.set, [...value]);
  if (types.isDate(value)) return value instanceof PyDateTime ? pyDateTime(value, keepFold) : date(value);
  if (value instanceof ByteArray)
    return value.length === 0 ? call(g.bytearray) : call(g.bytearray, Buffer.from(value));
  if (value instanceof Decimal) return call(g.decimal, value.text);
  if (value instanceof UUID) return uuid(value);
  if (value instanceof Fraction)
    return call(g.fraction, plainInt(value.numerator), plainInt(value.denominator));
  if (value instanceof Complex) return call(g.complex, new PyFloat(value.re), new PyFloat(value.im));
  if (value instanceof PyDate)
    return call(g.date, timeBytes([value.month, value.day], value.year, undefined));
  if (value instanceof PyTime) return pyTime(value, keepFold);
  if (value instanceof PyTimeDelta) return call(g.timedelta, value.days, value.seconds, value.microseconds);
  if (value instanceof PyTimezone) {
    return value.name === undefined
      ? call(g.timezone, value.offset)
      : call(g.timezone, value.offset, value.name);
  }
  const js = jsCall(value);
  return js && fromJs(js);
}
