/**
 * A list of oids in a few bytes: those below 2^53 ascending, as differences in base 128 (least significant digits
 * first, the high bit says that more follow), then those beyond, 8 bytes each. Duplicates go.
 *
 * | bytes | what |
 * |---|---|
 * | base 128 | how many differences |
 * | base 128 each | oid minus the one before |
 * | 8 each | oids of 2^53 and more |
 */
import { CorruptionError } from '../../errors';
import { oidFromBytes, oidToBytes, type Oid } from '../../ids';

const EMPTY = Buffer.alloc(0);
/** Up to so many are put in order one by one; a set and a sort cost more for few. */
const FEW = 16;

/** Packs `oids`, in any order. No oids, no bytes. */
export function packOids(oids: readonly Oid[]): Buffer {
  if (oids.length === 0) return EMPTY;
  const sorted = ascending(oids);
  let foreign = 0;
  while (foreign < sorted.length && sorted[foreign]! < 0) foreign++;
  const target = Buffer.allocUnsafe(8 + sorted.length * 8);
  let end = writeNumber(target, 0, sorted.length - foreign);
  let last = 0;
  for (let place = foreign; place < sorted.length; place++) {
    end = writeNumber(target, end, sorted[place]! - last);
    last = sorted[place]!;
  }
  for (let place = 0; place < foreign; place++, end += 8) oidToBytes(sorted[place]!, target, end);
  return target.subarray(0, end);
}

/** Each once, in order: as most lists come. */
function ascending(oids: readonly Oid[]): readonly Oid[] {
  let next = 1;
  while (next < oids.length && oids[next - 1]! < oids[next]!) next++;
  if (next >= oids.length) return oids;
  if (oids.length > FEW) return [...new Set(oids)].sort((a, b) => a - b);
  const sorted = oids.slice(0, next);
  for (; next < oids.length; next++) {
    const oid = oids[next]!;
    if (sorted.includes(oid)) continue;
    let at = sorted.push(oid) - 1;
    for (; at > 0 && sorted[at - 1]! > oid; at--) sorted[at] = sorted[at - 1]!;
    sorted[at] = oid;
  }
  return sorted;
}

/** What {@link packOids} packed. `CorruptionError` for anything else. */
export function unpackOids(bytes: Uint8Array): Oid[] {
  const oids: Oid[] = [];
  if (bytes.length === 0) return oids;
  const reader = new Reader(bytes);
  let last = 0;
  for (let left = reader.number(); left > 0; left--) {
    last += reader.number();
    oids.push(last as Oid);
  }
  for (let at = reader.at; at < bytes.length; at += 8) {
    if (at + 8 > bytes.length) throw reader.broken();
    oids.push(oidFromBytes(bytes, at));
  }
  return oids;
}

class Reader {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  number(): number {
    let value = 0;
    for (let unit = 1; ; unit *= 128) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined || unit > 2 ** 49) throw this.broken();
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
    }
  }

  broken(): CorruptionError {
    return new CorruptionError('A stored list of oids is damaged.');
  }
}

function writeNumber(target: Buffer, at: number, value: number): number {
  while (value >= 0x80) {
    target[at++] = (value % 128) | 0x80;
    value = Math.floor(value / 128);
  }
  target[at++] = value;
  return at;
}
