/** Places of the scanner's stack, and how to get about in a pickle without decoding it. */
import type { Oid } from '../ids';
import { loads } from '../pickle/index';
import { oidOf } from './persistent-id';

/** A place is an offset times 4 plus one of these, or 0 for any other value. */
export const OID = 1;
export const PAIR = 2;
/** The offset is that of an opcode whose text may be an oid. */
export const TEXT = 3;
/** Pairs with a text are kept apart by sign. */
const TEXT_PAIR = -1;

/** The place of a string or bytes of 8 or more bytes. */
export function sized(code: number, size: number, at: number, start: number): number {
  if (code === 0x58 || code === 0x8c) return size <= 16 ? at * 4 + TEXT : 0;
  return size === 8 ? start * 4 + OID : 0;
}

/** The place of a pair whose first part is at `place`. */
export function pair(place: number): number {
  if (place <= 0) return 0;
  const kind = place % 4;
  if (kind === OID) return place - OID + PAIR;
  return kind === TEXT ? (TEXT_PAIR * (place - TEXT)) / 4 : 0;
}

export function u32(buf: Uint8Array, pos: number): number {
  return (buf[pos]! | (buf[pos + 1]! << 8) | (buf[pos + 2]! << 16) | (buf[pos + 3]! << 24)) >>> 0;
}

/** The position behind so many lines; behind the end when there are fewer. */
export function lines(buf: Uint8Array, pos: number, count: number): number {
  const end = buf.length;
  let left = count;
  let p = pos;
  while (p < end) if (buf[p++] === 0x0a && --left === 0) return p;
  return end + 1;
}

/** The oid that an opcode with a text stands for; very old records have texts for oids. */
export function textOid(record: Buffer, start: number, end: number): Oid | undefined {
  return oidOf(
    loads(Buffer.concat([record.subarray(start, end), Buffer.from('.')]), { encoding: 'latin-1' }),
  );
}

/** Where the opcode of a text ends. */
export function textEnd(buf: Buffer, at: number): number {
  if (buf[at] === 0x58) return at + 5 + u32(buf, at + 1);
  return buf[at] === 0x8c ? at + 2 + buf[at + 1]! : lines(buf, at, 1);
}

export function grown(array: Int32Array, index: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(index + 1, array.length * 2));
  larger.set(array);
  return larger;
}
