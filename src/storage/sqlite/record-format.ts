/**
 * The `state` column of `object` and `history`: a record sealed with its place.
 *
 * | bytes | what |
 * |---|---|
 * | 4 | CRC-32 of the data, begun from a number made of oid, seq and prior |
 * | 6 | seq: the commit that wrote it |
 * | 6 | prior: the `history.id` of the revision that it superseded; 0 when there was none, ff… when it was not kept |
 * | rest | the data record; nothing for an object that was deleted |
 *
 * A row that came to the wrong oid or seq fails as surely as one whose bytes changed. All integers big-endian.
 */
import { crc32 } from './crc32';
import { CorruptionError } from '../../errors';
import { formatOid, oidToBigInt, type Oid } from '../../ids';

/** Length of what stands before the data. */
export const HEADER = 16;
/** As `prior`: the revision superseded another one, which was not kept. */
export const NOT_KEPT = 0xffff_ffff_ffff;

/** The bytes for a row. `data` is `null` for a deletion. */
export function sealRecord(oid: Oid, seq: number, prior: number, data: Uint8Array | null): Buffer {
  const length = data === null ? 0 : data.length;
  const sealed = Buffer.allocUnsafe(HEADER + length);
  if (data !== null) sealed.set(data, HEADER);
  writeHeader(sealed, 0, crc32(length === 0 ? NO_BYTES : data!, sealSeed(oid, seq, prior)), seq, prior);
  return sealed;
}

/** Room for rows that are written together; larger ones get memory of their own. */
const ROWS_SIZE = 16_384;

/** Makes the bytes of rows that are written at once: they lie in memory that is used again, as making a buffer costs much of what a row does. */
export class SealedRows {
  readonly #memory = Buffer.allocUnsafeSlow(ROWS_SIZE);
  #used = 0;

  /** The rows made so far are written. */
  clear(): void {
    this.#used = 0;
  }

  /** As {@link sealRecord}. The bytes hold until {@link clear}. */
  seal(oid: Oid, seq: number, prior: number, data: Uint8Array): Uint8Array {
    const start = this.#used;
    const end = start + HEADER + data.length;
    if (end > ROWS_SIZE) return sealRecord(oid, seq, prior, data);
    this.#used = end;
    this.#memory.set(data, start + HEADER);
    const seed = prior === 0 ? placeSeed(oid, seq) : sealSeed(oid, seq, prior);
    writeHeader(this.#memory, start, crc32(data, seed), seq, prior);
    return new Uint8Array(this.#memory.buffer, start, end - start);
  }
}

/** The seq in a row's bytes; {@link openRecord} tells whether it is true. */
export function sealedSeq(sealed: Buffer): number {
  return sealed === null || sealed.length < HEADER ? -1 : seqAt(sealed, 0);
}

/** As {@link sealedSeq}, of a row of at least {@link HEADER} bytes that lies in `bytes` from `start` on. */
export function seqAt(bytes: Buffer, start: number): number {
  return numberAt(bytes, start + 4);
}

/** The prior in a row's bytes; {@link openRecord} tells whether it is true. */
export function sealedPrior(sealed: Buffer): number {
  return sealed === null || sealed.length < HEADER ? 0 : numberAt(sealed, 10);
}

/** The data in a row's bytes, empty for a deletion. `CorruptionError` when they are not what was sealed. */
export function openRecord(oid: Oid, sealed: Buffer): Buffer {
  // A flipped type in the row gives null, a text or a number.
  if (!(sealed instanceof Uint8Array) || sealed.length < HEADER) throw damaged(oid);
  const data = sealed.subarray(HEADER);
  checkRecord(oid, sealed, 0, data);
  return data;
}

/**
 * Checks a row whose header stands in `bytes` from `start` on; `data` is what follows it.
 * @throws CorruptionError when they are not what was sealed
 */
export function checkRecord(oid: Oid, bytes: Buffer, start: number, data: Uint8Array): void {
  const crc =
    ((bytes[start]! << 24) | (bytes[start + 1]! << 16) | (bytes[start + 2]! << 8) | bytes[start + 3]!) >>> 0;
  const seed = sealSeed(oid, numberAt(bytes, start + 4), numberAt(bytes, start + 10));
  if (crc32(data, seed) !== crc) throw damaged(oid);
}

/** A row of this object is not what was written. */
export function damaged(oid: Oid): CorruptionError {
  return new CorruptionError(
    `The stored record of object ${formatOid(oid)} is damaged: its checksum does not match. ` +
      'Run "zodb check" to see what else is, and restore a backup.',
  );
}

const NO_BYTES = new Uint8Array(0);
/** Numbers up to this one are no more than 31 bits. */
const SMALL = 0x7fff_ffff;

/** A 32-bit number of an oid and a seq, the same in every process. */
export function placeSeed(oid: Oid, seq: number): number {
  // The usual case, without floats: V8 makes an object of each until the code is optimised.
  if (oid >= 0 && oid <= SMALL && seq <= SMALL) return (oid ^ Math.imul(seq, 0x9e37_79b1)) >>> 0;
  const place = oid >= 0 ? oid : Number(oidToBigInt(oid) & 0x1f_ffff_ffff_ffffn) + 1;
  return (
    (place ^
      Math.imul(place / 0x1_0000_0000, 0x85eb_ca6b) ^
      Math.imul(seq, 0x9e37_79b1) ^
      (seq / 0x1_0000_0000)) >>>
    0
  );
}

function sealSeed(oid: Oid, seq: number, prior: number): number {
  const seed = placeSeed(oid, seq);
  if (prior === 0) return seed;
  return (seed ^ Math.imul(prior, 0xc2b2_ae35) ^ (prior / 0x1_0000_0000)) >>> 0;
}

function numberAt(bytes: Buffer, at: number): number {
  const high = (bytes[at]! << 8) | bytes[at + 1]!;
  const low =
    ((bytes[at + 2]! << 24) | (bytes[at + 3]! << 16) | (bytes[at + 4]! << 8) | bytes[at + 5]!) >>> 0;
  return high === 0 ? low : high * 0x1_0000_0000 + low;
}

function writeHeader(target: Buffer, at: number, crc: number, seq: number, prior: number): void {
  target[at] = crc >>> 24;
  target[at + 1] = crc >>> 16;
  target[at + 2] = crc >>> 8;
  target[at + 3] = crc;
  writeNumber(target, at + 4, seq);
  writeNumber(target, at + 10, prior);
}

function writeNumber(target: Buffer, at: number, value: number): void {
  const high = value <= SMALL ? 0 : Math.floor(value / 0x1_0000_0000);
  target[at] = high >>> 8;
  target[at + 1] = high;
  target[at + 2] = value >>> 24;
  target[at + 3] = value >>> 16;
  target[at + 4] = value >>> 8;
  target[at + 5] = value;
}
