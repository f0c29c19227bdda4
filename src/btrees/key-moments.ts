/** The order of dates, times, durations and UUIDs: each among its own kind, as in Python. */
import { types } from 'node:util';
import { PyDate, PyDateTime, PyTime, PyTimeDelta, PyTimezone, UUID } from '../pickle/index';

/** Values of one order compare by `value`; those of different orders don't compare. */
export interface Moment {
  readonly order: string;
  readonly value: number | bigint;
}

/** The place of a date, time, duration or UUID in its order; `undefined` for everything else, and where Python has none. */
export function momentOf(key: object): Moment | undefined {
  if (types.isDate(key)) return dateTime(key);
  if (key instanceof PyDate) return { order: 'date', value: (key.year * 12 + key.month) * 31 + key.day };
  if (key instanceof PyTime) return time(key);
  if (key instanceof PyTimeDelta) {
    return {
      order: 'timedelta',
      value: (BigInt(key.days) * 86_400n + BigInt(key.seconds)) * 1_000_000n + BigInt(key.microseconds),
    };
  }
  return key instanceof UUID ? { order: 'UUID', value: key.int } : undefined;
}

/** Microseconds since 1970, exact: a `Date` reaches 8.64e15 milliseconds. */
function dateTime(date: Date): Moment | undefined {
  const ms = date.getTime();
  if (Number.isNaN(ms)) return undefined;
  if (!(date instanceof PyDateTime)) return { order: 'datetime', value: BigInt(ms) * 1000n };
  const { tz, microsecond } = date;
  if (tz === null) return { order: 'naive datetime', value: exact(ms, microsecond) };
  if (!(tz instanceof PyTimezone)) return undefined;
  // An offset with fractions of a millisecond is cut off in the Date's time.
  const offset = tz.offset.valueOf();
  const lost = BigInt(Math.round((offset - Math.trunc(offset)) * 1000));
  return { order: 'datetime', value: exact(ms, microsecond) - lost };
}

function exact(ms: number, microsecond: number): bigint {
  return BigInt(ms) * 1000n + BigInt(microsecond % 1000);
}

function time({ hour, minute, second, microsecond, tz }: PyTime): Moment | undefined {
  const local = ((hour * 60 + minute) * 60 + second) * 1e6 + microsecond;
  if (tz === null) return { order: 'naive time', value: local };
  return tz instanceof PyTimezone
    ? { order: 'time', value: local - Math.round(tz.offset.valueOf() * 1000) }
    : undefined;
}
