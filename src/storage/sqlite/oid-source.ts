import type { Oid } from '../../ids';
import type { Engine } from './engine';
import type { Handle } from './handle';
import { readMeta, writeMeta } from './schema';

const FIRST_BLOCK = 64;
const LARGEST_BLOCK = 16_384;
/** How much larger each block is than the one before. To reserve one is a commit, and who has made objects meanwhile must begin anew. */
const GROWTH = 8;

/**
 * New oids. `next_oid` in `meta` is beyond every oid that was stored or given out; each process reserves blocks, which
 * grow as they are used up, and gives out oids of its own block without touching the file.
 */
export class OidSource {
  readonly #engine: Engine;
  #next = 0;
  #end = 0;
  #block = FIRST_BLOCK;
  /** As far as is known here; it may be more by now. */
  #reserved = 0;
  /** Reserved within a transaction that is not committed yet. */
  #unsure = false;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  newOid(): Oid {
    if (this.#next === this.#end) this.#reserve();
    return this.#next++ as Oid;
  }

  /** Within a write transaction: an object with this oid is stored; new ones must come after it. */
  seen(oid: Oid): void {
    if (oid < this.#reserved) return;
    const stored = this.#stored();
    this.#reserved = stored;
    if (oid >= stored) this.#write(oid + 1);
  }

  /** The write transaction in which blocks may have been reserved was rolled back. */
  rolledBack(): void {
    if (!this.#unsure) return;
    this.#unsure = false;
    const { writer, options } = this.#engine;
    const wanted = this.#end;
    writer.beginImmediate(options.lockTimeout);
    const stored = this.#stored();
    if (wanted > stored) this.#write(wanted);
    writer.commit();
    this.#unsure = false;
    this.#reserved = Math.max(stored, wanted);
  }

  /** The write transaction was committed. */
  committed(): void {
    this.#unsure = false;
  }

  #reserve(): void {
    const { writer, options } = this.#engine;
    if (this.#engine.writing !== undefined) {
      this.#take();
      return;
    }
    writer.beginImmediate(options.lockTimeout);
    try {
      this.#take();
      writer.commit();
      this.#unsure = false;
    } catch (error) {
      writer.rollback();
      this.#next = this.#end = 0;
      throw error;
    }
  }

  #take(): void {
    const first = this.#stored();
    this.#write(first + this.#block);
    this.#next = first;
    this.#end = first + this.#block;
    this.#block = Math.min(this.#block * GROWTH, LARGEST_BLOCK);
  }

  /** That of the transaction under way, which alone can write. */
  get #handle(): Handle {
    return this.#engine.writing ?? this.#engine.writer;
  }

  #stored(): number {
    return Number(readMeta(this.#handle, 'next_oid') ?? 1);
  }

  #write(next: number): void {
    writeMeta(this.#handle, 'next_oid', next);
    this.#reserved = next;
    this.#unsure = true;
  }
}
