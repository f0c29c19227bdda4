import { oidFromBigInt, oidToBigInt, type Oid, type Tid } from '../../ids';

const NULL = 0xffff_ffff;
const OID_OF_BYTEA = 17;

/** The rows of an answer, cell by cell: see server-worker.ts. */
export class Rows {
  readonly #bytes: Buffer;
  readonly #columns: number;
  #at = 8;
  #left = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#columns = bytes.readUInt32LE(4);
  }

  /** Moves on to the next row; false when there is none. What was not read of a row is passed over. */
  next(): boolean {
    while (this.#left > 0) this.bytes();
    if (this.#at >= this.#bytes.length) return false;
    this.#left = this.#columns;
    return true;
  }

  /** The next cell; a view. */
  bytes(): Buffer | null {
    const length = this.#bytes.readUInt32LE(this.#at);
    this.#at += 4;
    this.#left -= 1;
    if (length === NULL) return null;
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** The next cell as text. */
  text(): string | null {
    return this.bytes()?.toString('utf8') ?? null;
  }

  /** The next cell, a number of at most 53 bits. */
  number(): number {
    return Number(this.text());
  }

  oid(): Oid {
    return this.optionalOid()!;
  }

  /** `undefined` for NULL. */
  optionalOid(): Oid | undefined {
    const text = this.text();
    if (text === null) return undefined;
    // Most are small, and need no bigint.
    if (text.length < 16 && text[0] !== '-') return Number(text) as Oid;
    return oidFromBigInt(BigInt.asUintN(64, BigInt(text)));
  }

  tid(): Tid {
    return BigInt(this.text()!) as Tid;
  }

  /** `undefined` for NULL. */
  optionalTid(): Tid | undefined {
    const text = this.text();
    return text === null ? undefined : (BigInt(text) as Tid);
  }
}

/** An oid as PostgreSQL's signed `bigint`. */
export function oidParameter(oid: Oid): string {
  return oid >= 0 ? String(oid) : String(BigInt.asIntN(64, oidToBigInt(oid)));
}

/** Oids as an array of `bigint`. */
export function oidArray(oids: Iterable<Oid>): string {
  return `{${Array.from(oids, oidParameter).join()}}`;
}

/** Numbers as an array of `bigint`. */
export function bigintArray(values: readonly (bigint | number | null)[]): string {
  return `{${values.map((value) => (value === null ? 'NULL' : String(value))).join()}}`;
}

/** Byte strings as an array of `bytea`, in PostgreSQL's binary form (`src/backend/utils/adt/arrayfuncs.c`, `array_recv`). */
export function byteaArray(values: readonly (Uint8Array | null)[]): Buffer {
  let size = 20;
  for (const value of values) size += 4 + (value?.length ?? 0);
  // Not of the pool: its memory is handed over.
  const bytes = Buffer.allocUnsafeSlow(size);
  bytes.writeInt32BE(values.length === 0 ? 0 : 1, 0);
  bytes.writeInt32BE(values.includes(null) ? 1 : 0, 4);
  bytes.writeInt32BE(OID_OF_BYTEA, 8);
  bytes.writeInt32BE(values.length, 12);
  bytes.writeInt32BE(1, 16);
  let at = 20;
  for (const value of values) {
    bytes.writeInt32BE(value === null ? -1 : value.length, at);
    at += 4;
    if (value === null) continue;
    bytes.set(value, at);
    at += value.length;
  }
  return values.length === 0 ? bytes.subarray(0, 12) : bytes;
}
