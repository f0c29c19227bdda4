/**
 * Object ids, transaction ids and their timestamps.
 *
 * | thing | at rest | in memory |
 * |---|---|---|
 * | oid | 8 bytes, unsigned big-endian | {@link Oid}: a number below 2^53; foreign ones beyond are interned as negative numbers |
 * | tid | 8 bytes, unsigned big-endian | {@link Tid}: a bigint |
 *
 * The calendar of a tid is that of `persistent/src/persistent/_timestamp.c`.
 */
declare const oidBrand: unique symbol;
declare const tidBrand: unique symbol;

/** Identifies an object within its database. Safe as a `Map` key; equal oids are equal numbers. */
export type Oid = number & { readonly [oidBrand]: true };
/** Identifies a transaction; later transactions have greater tids. */
export type Tid = bigint & { readonly [tidBrand]: true };

/** The root object's oid. */
export const ROOT_OID = 0 as Oid;
/** "No revision": the serial of an object that was never stored. */
export const ZERO_TID = 0n as Tid;
/** Greater than every tid; `loadBefore(oid, MAX_TID)` finds the current revision. */
export const MAX_TID = 0x7fff_ffff_ffff_ffffn as Tid;

const TWO_32 = 0x1_0000_0000;
/** First high word that makes an oid of 2^53 or more. */
const FOREIGN_HIGH = 0x20_0000;

const foreignOids = new Map<bigint, Oid>();
const foreignValues: bigint[] = [];

/** The oid of an unsigned 64-bit integer. Throws `RangeError` outside 0 … 2^64 − 1. */
export function oidFromBigInt(value: bigint): Oid {
  if (value < 0n || value > 0xffff_ffff_ffff_ffffn) {
    throw new RangeError(`An oid is an unsigned 64-bit integer, not ${value}.`);
  }
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value) as Oid;
  let oid = foreignOids.get(value);
  if (oid === undefined) {
    foreignValues.push(value);
    oid = -foreignValues.length as Oid;
    foreignOids.set(value, oid);
  }
  return oid;
}

/** The unsigned 64-bit integer of an oid. */
export function oidToBigInt(oid: Oid): bigint {
  return oid >= 0 ? BigInt(oid) : foreignValues[-oid - 1]!;
}

/** Whether a value is an oid: a whole number from 0 on, or the negative one of a foreign oid. */
export function isOid(value: unknown): value is Oid {
  if (!Number.isSafeInteger(value)) return false;
  return (value as number) >= 0 || -(value as number) <= foreignValues.length;
}

/** Reads 8 bytes at `offset`. Throws `RangeError` when there are fewer. */
export function oidFromBytes(bytes: Uint8Array, offset = 0): Oid {
  if (offset + 8 > bytes.length) throw new RangeError('An oid takes 8 bytes.');
  const high = word(bytes, offset);
  const low = word(bytes, offset + 4);
  // Left as it is: a product is a float to V8 even when it is a small whole number, and costs it an object each.
  if (high === 0) return low as Oid;
  if (high < FOREIGN_HIGH) return (high * TWO_32 + low) as Oid;
  return oidFromBigInt((BigInt(high) << 32n) | BigInt(low));
}

/** Writes 8 bytes at `offset` into `target`, or returns them as a new buffer. */
export function oidToBytes(oid: Oid, target: Uint8Array = Buffer.allocUnsafe(8), offset = 0): Uint8Array {
  if (oid >= 0) {
    setWord(target, offset, Math.floor(oid / TWO_32));
    setWord(target, offset + 4, oid >>> 0);
  } else {
    const value = oidToBigInt(oid);
    setWord(target, offset, Number(value >> 32n));
    setWord(target, offset + 4, Number(value & 0xffff_ffffn));
  }
  return target;
}

/** An oid for people: `0x2a`. */
export function formatOid(oid: Oid): string {
  return `0x${oidToBigInt(oid).toString(16)}`;
}

/** Reads what a person types: `0x2a` or `42`. Throws `RangeError` for anything else. */
export function parseOid(text: string): Oid {
  if (!/^(0x[0-9a-f]{1,16}|\d{1,20})$/i.test(text)) {
    throw new RangeError(`${JSON.stringify(text)} is not an oid; write it as 0x2a or 42.`);
  }
  return oidFromBigInt(BigInt(text));
}

/** Reads 8 bytes at `offset`. Throws `RangeError` when there are fewer. */
export function tidFromBytes(bytes: Uint8Array, offset = 0): Tid {
  if (offset + 8 > bytes.length) throw new RangeError('A tid takes 8 bytes.');
  return ((BigInt(word(bytes, offset)) << 32n) | BigInt(word(bytes, offset + 4))) as Tid;
}

/** Writes 8 bytes at `offset` into `target`, or returns them as a new buffer. */
export function tidToBytes(tid: Tid, target: Uint8Array = Buffer.allocUnsafe(8), offset = 0): Uint8Array {
  setWord(target, offset, Number(tid >> 32n));
  setWord(target, offset + 4, Number(tid & 0xffff_ffffn));
  return target;
}

/** A tid for people: 16 hexadecimal digits. */
export function formatTid(tid: Tid): string {
  return `0x${tid.toString(16).padStart(16, '0')}`;
}

/** Reads {@link formatTid}'s text, with or without `0x`. Throws `RangeError` for anything else. */
export function parseTid(text: string): Tid {
  if (!/^(0x)?[0-9a-f]{1,16}$/i.test(text)) {
    throw new RangeError(`${JSON.stringify(text)} is not a tid; write it as 16 hexadecimal digits.`);
  }
  return BigInt(`0x${text.replace(/^0x/i, '')}`) as Tid;
}

/**
 * The tid of a moment, exact to the microsecond it can hold (one unit is about 14 ns).
 * @param epochMs milliseconds since 1970 (fractions count); the year must be 1900 or later
 */
export function tidFromTime(epochMs: number): Tid {
  return tidFromSeconds(epochMs / 1000);
}

/** As {@link tidFromTime}, from seconds: the same floating-point steps as Python's, so the same bits. */
export function tidFromSeconds(epochSeconds: number): Tid {
  const date = new Date(Math.floor(epochSeconds) * 1000);
  const year = date.getUTCFullYear();
  if (!(year >= 1900)) throw new RangeError(`A tid can't express a time before 1900: ${epochSeconds} s.`);
  const minutes = calendarMinutes(
    year,
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
  );
  // As Python's modulo: a moment just before the minute is second 60 of the minute before.
  const rest = epochSeconds % 60;
  const seconds = rest < 0 ? rest + 60 : rest;
  const low = Math.min(Math.trunc((seconds * TWO_32) / 60), TWO_32 - 1);
  return ((BigInt(minutes) << 32n) | BigInt(low)) as Tid;
}

/** The moment of a tid in milliseconds since 1970, with fractions. */
export function timeOfTid(tid: Tid): number {
  const high = Number(tid >> 32n);
  const minute = high % 60;
  const hour = Math.floor(high / 60) % 24;
  const day = (Math.floor(high / 1440) % 31) + 1;
  const month = Math.floor(high / 44_640) % 12;
  const year = Math.floor(high / 535_680) + 1900;
  return Date.UTC(year, month, day, hour, minute) + (Number(tid & 0xffff_ffffn) * 60_000) / TWO_32;
}

/** The moment of a tid, to the millisecond. */
export function dateOfTid(tid: Tid): Date {
  return new Date(timeOfTid(tid));
}

/** `tid` when it is later than `last`, else the next possible one after `last`. */
export function laterThan(tid: Tid, last: Tid): Tid {
  if (tid > last) return tid;
  if ((last & 0xffff_ffffn) !== 0xffff_ffffn) return (last + 1n) as Tid;
  return tidFromSeconds(Math.round(timeOfTid(((last >> 32n) << 32n) as Tid) / 1000) + 60);
}

/** The tid of a transaction that commits now, after `last`. */
export function newTid(last: Tid): Tid {
  return laterThan(tidFromSeconds(wallClock() / 1000), last);
}

const CLOCK_START = performance.timeOrigin;

/** The time in milliseconds, to the microsecond: several transactions in one millisecond keep apart. */
function wallClock(): number {
  const precise = CLOCK_START + performance.now();
  const wall = Date.now();
  // The precise clock does not follow when the machine's clock is set.
  return Math.abs(precise - wall) < 5 ? precise : wall;
}

function calendarMinutes(year: number, month: number, day: number, hour: number, minute: number): number {
  return ((((year - 1900) * 12 + month - 1) * 31 + day - 1) * 24 + hour) * 60 + minute;
}

function word(bytes: Uint8Array, offset: number): number {
  return (
    ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!) >>>
    0
  );
}

function setWord(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = value >>> 16;
  bytes[offset + 2] = value >>> 8;
  bytes[offset + 3] = value;
}
