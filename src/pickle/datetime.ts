/**
 * The types of Python's `datetime` module. A moment in UTC with whole milliseconds is a plain `Date`; these hold the rest.
 *
 * | type | bytes |
 * |---|---|
 * | datetime | year (2, big-endian), month, day, hour, minute, second, microsecond (3) |
 * | date | year (2), month, day |
 * | time | hour, minute, second, microsecond (3) |
 *
 * Bit 0x80 of a datetime's month and of a time's hour is `fold`, from protocol 4 on (`Lib/datetime.py`).
 */
import { inspect } from 'node:util';

const pad = (value: number, width = 2): string => String(value).padStart(width, '0');

function fraction(microsecond: number): string {
  return microsecond === 0 ? '' : `.${pad(microsecond, 6)}`;
}

/** Milliseconds since 1970 of a date and time in UTC; `Date.UTC` takes the years 0 to 99 for 1900 to 1999. */
export function utcTime(
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
  millisecond: number,
): number {
  if (year >= 100) return Date.UTC(year, month - 1, day, hour, minute, second, millisecond);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second, millisecond);
  return date.getTime();
}

/** A duration, `datetime.timedelta`. Normalised as Python's: only `days` can be negative. */
export class PyTimeDelta {
  readonly days: number;
  readonly seconds: number;
  readonly microseconds: number;

  constructor(days = 0, seconds = 0, microseconds = 0) {
    const carriedSeconds = seconds + Math.floor(microseconds / 1e6);
    this.microseconds = microseconds - Math.floor(microseconds / 1e6) * 1e6;
    this.days = days + Math.floor(carriedSeconds / 86_400);
    this.seconds = carriedSeconds - Math.floor(carriedSeconds / 86_400) * 86_400;
  }

  /** In milliseconds, with fractions. */
  valueOf(): number {
    return this.days * 86_400_000 + this.seconds * 1000 + this.microseconds / 1000;
  }

  /** As Python's `str()`: `-1 day, 0:00:01`. */
  toString(): string {
    const clock = `${Math.floor(this.seconds / 3600)}:${pad(Math.floor(this.seconds / 60) % 60)}:${pad(this.seconds % 60)}`;
    const days = this.days === 0 ? '' : `${this.days} day${Math.abs(this.days) === 1 ? '' : 's'}, `;
    return days + clock + fraction(this.microseconds);
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return `PyTimeDelta(${this.toString()})`;
  }
}

/** A fixed offset from UTC, `datetime.timezone`. */
export class PyTimezone {
  readonly offset: PyTimeDelta;
  /** The name given to it, if one was. */
  readonly name: string | undefined;

  constructor(offset: PyTimeDelta, name?: string) {
    this.offset = offset;
    this.name = name;
  }

  /** `datetime.timezone.utc` */
  static readonly utc = new PyTimezone(new PyTimeDelta());

  /** The offset as text: `+05:30`, `-00:00:01.5`. */
  get offsetText(): string {
    const ms = this.offset.valueOf();
    const total = Math.abs(Math.round(ms * 1000));
    const seconds = Math.floor(total / 1e6);
    const rest =
      seconds % 60 === 0 && total % 1e6 === 0 ? '' : `:${pad(seconds % 60)}${fraction(total % 1e6)}`;
    return `${ms < 0 ? '-' : '+'}${pad(Math.floor(seconds / 3600))}:${pad(Math.floor(seconds / 60) % 60)}${rest}`;
  }

  toString(): string {
    if (this.name !== undefined) return this.name;
    return this.offset.valueOf() === 0 ? 'UTC' : `UTC${this.offsetText}`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return `PyTimezone(${this.toString()})`;
  }
}

/** A day, `datetime.date`. */
export class PyDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;

  /** Months count from 1. */
  constructor(year: number, month: number, day: number) {
    this.year = year;
    this.month = month;
    this.day = day;
  }

  /** The beginning of that day in UTC. */
  toDate(): Date {
    return new Date(utcTime(this.year, this.month, this.day, 0, 0, 0, 0));
  }

  /** `2026-11-21` */
  toString(): string {
    return `${pad(this.year, 4)}-${pad(this.month)}-${pad(this.day)}`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return `PyDate(${this.toString()})`;
  }
}

/** A time of day, `datetime.time`. */
export class PyTime {
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly microsecond: number;
  /** A {@link PyTimezone}, another tzinfo kept as it was, or null. */
  readonly tz: unknown;
  readonly fold: 0 | 1;

  constructor(hour = 0, minute = 0, second = 0, microsecond = 0, tz: unknown = null, fold: 0 | 1 = 0) {
    this.hour = hour;
    this.minute = minute;
    this.second = second;
    this.microsecond = microsecond;
    this.tz = tz;
    this.fold = fold;
  }

  /** `12:30:00.000001+01:00` */
  toString(): string {
    const zone = this.tz instanceof PyTimezone ? this.tz.offsetText : '';
    return `${pad(this.hour)}:${pad(this.minute)}:${pad(this.second)}${fraction(this.microsecond)}${zone}`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return `PyTime(${this.toString()})`;
  }
}

/** The parts of a {@link PyDateTime}. Months count from 1. */
export interface DateTimeFields {
  year: number;
  month: number;
  day: number;
  hour?: number;
  minute?: number;
  second?: number;
  microsecond?: number;
  /** A {@link PyTimezone}, another tzinfo kept as it was, or null for a naive time. */
  tz?: unknown;
  fold?: 0 | 1;
}

/**
 * A `datetime.datetime` that a `Date` can't hold exactly: naive, in another zone than UTC, or with microseconds. As a
 * `Date` it is that moment to the millisecond (a naive one is taken for UTC). Setting another time
 * keeps the zone and loses the microseconds.
 */
export class PyDateTime extends Date {
  readonly #fields: Required<DateTimeFields>;
  readonly #time: number;

  constructor(fields: DateTimeFields) {
    const {
      year,
      month,
      day,
      hour = 0,
      minute = 0,
      second = 0,
      microsecond = 0,
      tz = null,
      fold = 0,
    } = fields;
    const offset = tz instanceof PyTimezone ? tz.offset.valueOf() : 0;
    super(
      utcTime(year, month, day, hour, minute, second, Math.floor(microsecond / 1000)) - Math.trunc(offset),
    );
    this.#time = this.getTime();
    this.#fields = { year, month, day, hour, minute, second, microsecond, tz, fold };
  }

  /** Year to fold, as Python has them. */
  get fields(): Readonly<Required<DateTimeFields>> {
    const time = this.getTime();
    if (Object.is(time, this.#time)) return this.#fields;
    const tz = this.#fields.tz;
    const local = new Date(time + (tz instanceof PyTimezone ? Math.trunc(tz.offset.valueOf()) : 0));
    return {
      year: local.getUTCFullYear(),
      month: local.getUTCMonth() + 1,
      day: local.getUTCDate(),
      hour: local.getUTCHours(),
      minute: local.getUTCMinutes(),
      second: local.getUTCSeconds(),
      microsecond: local.getUTCMilliseconds() * 1000,
      tz,
      fold: 0,
    };
  }

  get microsecond(): number {
    return this.fields.microsecond;
  }

  /** A {@link PyTimezone}, another tzinfo kept as it was, or null for a naive time. */
  get tz(): unknown {
    return this.#fields.tz;
  }

  /** As Python's: `2026-11-21T12:30:00.000001+01:00`, without an offset when naive. */
  isoformat(): string {
    const f = this.fields;
    const zone = f.tz instanceof PyTimezone ? f.tz.offsetText : '';
    return (
      `${pad(f.year, 4)}-${pad(f.month)}-${pad(f.day)}T` +
      `${pad(f.hour)}:${pad(f.minute)}:${pad(f.second)}${fraction(f.microsecond)}${zone}`
    );
  }

  override toJSON(): string {
    return this.isoformat();
  }

  [inspect.custom](): string {
    return `PyDateTime(${this.isoformat()})`;
  }
}
