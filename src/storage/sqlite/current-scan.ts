import { oidFromBigInt, type Oid } from '../../ids';
import type { CurrentRecord } from '../interfaces';
import type { Statement } from './driver';
import type { Engine } from './engine';
import { oidKey, type Handle } from './handle';
import { HEADER, openRecord, sealedSeq } from './record-format';
import { nextKey } from './walk';

const CHUNK = 500;

/** The oid of a key column that was read as a bigint. */
export function oidOfKey(key: bigint): Oid {
  return key >= 0n && key <= BigInt(Number.MAX_SAFE_INTEGER)
    ? (Number(key) as Oid)
    : oidFromBigInt(BigInt.asUintN(64, key));
}

/** The current records as of its making, on a read handle of its own. */
export class CurrentScan implements IterableIterator<CurrentRecord> {
  readonly #engine: Engine;
  readonly #handle: Handle;
  readonly #rows: Statement<[bigint, Buffer]>;
  #next: bigint | number;
  #chunk: [bigint, Buffer][] = [];
  #place = 0;
  #isDone = false;

  constructor(engine: Engine, from: Oid) {
    this.#engine = engine;
    this.#handle = engine.readHandle();
    this.#rows = this.#handle
      .prepare<[bigint, Buffer]>('SELECT oid, state FROM object WHERE oid >= ? ORDER BY oid LIMIT ?')
      .raw()
      .safeIntegers();
    this.#next = from === 0 ? -(2n ** 63n) : oidKey(from);
    this.#handle.begin();
    this.#read();
  }

  next(): IteratorResult<CurrentRecord> {
    while (!this.#isDone) {
      const row = this.#chunk[this.#place++];
      if (row === undefined) {
        if (this.#chunk.length < CHUNK) return this.return();
        this.#read();
        continue;
      }
      const oid = oidOfKey(row[0]);
      const data = openRecord(oid, row[1]);
      if (row[1].length === HEADER) continue;
      return { done: false, value: new ScannedRecord(oid, data, sealedSeq(row[1]), this.#engine) };
    }
    return { done: true, value: undefined };
  }

  return(): IteratorResult<CurrentRecord> {
    if (!this.#isDone) {
      this.#isDone = true;
      this.#handle.rollback();
      this.#engine.giveBack(this.#handle);
    }
    return { done: true, value: undefined };
  }

  [Symbol.iterator](): this {
    return this;
  }

  #read(): void {
    try {
      this.#engine.checkOpen();
      this.#chunk = this.#rows.all(this.#next, CHUNK);
    } catch (error) {
      this.return();
      throw this.#handle.failed(error);
    }
    this.#place = 0;
    const last = this.#chunk.at(-1);
    if (last) this.#next = nextKey(this.#engine.path, BigInt(this.#next) - 1n, last[0]) + 1n;
  }
}

class ScannedRecord implements CurrentRecord {
  readonly oid: Oid;
  readonly data: Buffer;
  readonly #seq: number;
  readonly #engine: Engine;

  constructor(oid: Oid, data: Buffer, seq: number, engine: Engine) {
    this.oid = oid;
    this.data = data;
    this.#seq = seq;
    this.#engine = engine;
  }

  get serial() {
    return this.#engine.tids.tidOf(this.#seq);
  }
}
