import { oidFromBytes, tidFromBytes, type Oid, type Tid } from '../../ids';
import { itemsOf, numberOf, type WireValue } from './values';

/** An argument has the wrong type; becomes a `TypeError` at the caller. */
export class WireTypeError extends TypeError {}

/** An oid that can't be one, such as None: no object has it. Becomes a `POSKeyError` at the caller. */
export class WireOidError extends TypeError {
  constructor(readonly oid: WireValue) {
    super('An oid is 8 bytes.');
  }
}

/** The arguments of a call: at least `least`, at most `most`. */
export function argumentsOf(
  name: string,
  value: WireValue,
  least: number,
  most: number,
): readonly WireValue[] {
  const items = itemsOf(value);
  if (!items) throw new WireTypeError(`The arguments of ${name}() are no tuple.`);
  if (items.length < least || items.length > most) {
    const wanted = least === most ? `${least}` : `${least} to ${most}`;
    throw new WireTypeError(`${name}() takes ${wanted} arguments, not ${items.length}.`);
  }
  return items;
}

/** 8 bytes. */
export function oidArgument(value: WireValue | undefined): Oid {
  if (value === null) throw new WireOidError(value);
  return oidFromBytes(eightBytes(value, 'An oid'));
}

/** 8 bytes. */
export function tidArgument(value: WireValue | undefined): Tid {
  return tidFromBytes(eightBytes(value, 'A tid'));
}

/** Some Python programs write the serial of a new object as a str of eight zero characters. */
function eightBytes(value: WireValue | undefined, what: string): Uint8Array {
  const bytes = value === EIGHT_ZEROS ? Buffer.alloc(8) : value;
  if (!(bytes instanceof Uint8Array) || bytes.length !== 8) throw new WireTypeError(`${what} is 8 bytes.`);
  return bytes;
}

const EIGHT_ZEROS = '\0'.repeat(8);

/** 8 bytes, or None. */
export function optionalTid(value: WireValue | undefined): Tid | undefined {
  return value === null || value === undefined ? undefined : tidArgument(value);
}

export function bytesArgument(value: WireValue | undefined, what: string): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new WireTypeError(`${what} must be bytes.`);
  return value;
}

/** Bytes, or a str in UTF-8. */
export function textBytes(value: WireValue | undefined, what: string): Uint8Array {
  if (typeof value === 'string') return Buffer.from(value, 'utf8');
  return bytesArgument(value, what);
}

export function stringArgument(value: WireValue | undefined, what: string): string {
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  throw new WireTypeError(`${what} must be a str.`);
}

export function numberArgument(value: WireValue | undefined, what: string): number {
  const number = numberOf(value);
  if (number === undefined || !Number.isFinite(number)) throw new WireTypeError(`${what} must be a number.`);
  return number;
}

/** An int that a loop can count with. */
export function integerArgument(value: WireValue | undefined, what: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value))
    throw new WireTypeError(`${what} must be an int.`);
  return value;
}

/** A key for what identifies a transaction at the client: an int, a str or bytes. */
export function transactionKey(value: WireValue | undefined): string {
  if (typeof value === 'number' || typeof value === 'bigint') return `i${value}`;
  if (typeof value === 'string') return `s${value}`;
  if (value instanceof Uint8Array && value.length <= 64) return `b${Buffer.from(value).toString('hex')}`;
  throw new WireTypeError('A transaction id must be an int or a short string.');
}
