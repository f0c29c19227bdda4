import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Oid, Tid } from '../ids';

/** A record that a savepoint saved: not in the storage yet. */
export interface OverlayRecord {
  readonly data: Uint8Array;
  /** The revision it was made from. */
  readonly serial: Tid;
  readonly references: readonly Oid[];
  readonly className: string;
}

interface Entry {
  readonly oid: Oid;
  readonly serial: Tid;
  readonly references: readonly Oid[];
  readonly className: string;
  /** The record, or where it lies in the spill file. */
  readonly data: Uint8Array | undefined;
  readonly position: number;
  readonly length: number;
  /** What stood for this oid before; a rollback returns to it. */
  readonly previous: Entry | undefined;
}

/** Records beyond this many bytes in all go to a temporary file, so that savepoints bound the memory of a transaction. */
const SPILL_BYTES = 8 * 2 ** 20;

/**
 * What the savepoints of one transaction saved, over the storage (`ZODB/src/ZODB/Connection.py`, `TmpStore`): a log,
 * so that a rollback takes back its tail.
 */
export class Overlay {
  readonly #spillBytes: number;
  #log: Entry[] = [];
  #current = new Map<Oid, Entry>();
  #inMemory = 0;
  #spill: { directory: string; fd: number; end: number } | undefined;

  constructor(spillBytes = SPILL_BYTES) {
    this.#spillBytes = spillBytes;
  }

  get size(): number {
    return this.#current.size;
  }

  /** A point to {@link rollback} to. */
  get mark(): number {
    return this.#log.length;
  }

  has(oid: Oid): boolean {
    return this.#current.has(oid);
  }

  get(oid: Oid): OverlayRecord | undefined {
    const entry = this.#current.get(oid);
    if (!entry) return undefined;
    const { serial, references, className } = entry;
    return { data: entry.data ?? this.#read(entry), serial, references, className };
  }

  set(oid: Oid, { data, serial, references, className }: OverlayRecord): void {
    const previous = this.#current.get(oid);
    const spilled = this.#inMemory + data.length > this.#spillBytes;
    const entry: Entry = {
      oid,
      serial,
      references,
      className,
      data: spilled ? undefined : data,
      position: spilled ? this.#write(data) : 0,
      length: data.length,
      previous,
    };
    if (!spilled) this.#inMemory += data.length;
    this.#log.push(entry);
    this.#current.set(oid, entry);
  }

  /** Oids in ascending order: the order in which they are stored at commit. */
  oids(): Oid[] {
    return [...this.#current.keys()].sort((a, b) => a - b);
  }

  /** Takes back what was set since `mark`. */
  rollback(mark: number): void {
    while (this.#log.length > mark) {
      const entry = this.#log.pop()!;
      if (entry.data) this.#inMemory -= entry.data.length;
      if (entry.previous) this.#current.set(entry.oid, entry.previous);
      else this.#current.delete(entry.oid);
    }
  }

  /** Forgets everything and removes the spill file. */
  clear(): void {
    if (this.#log.length === 0 && !this.#spill) return;
    this.#log = [];
    this.#current = new Map();
    this.#inMemory = 0;
    if (this.#spill) {
      closeSync(this.#spill.fd);
      rmSync(this.#spill.directory, { recursive: true, force: true });
      this.#spill = undefined;
    }
  }

  #write(data: Uint8Array): number {
    if (!this.#spill) {
      const directory = mkdtempSync(join(tmpdir(), 'zodb-savepoint-'));
      this.#spill = { directory, fd: openSync(join(directory, 'records'), 'w+'), end: 0 };
    }
    const position = this.#spill.end;
    for (let done = 0; done < data.length;) {
      done += writeSync(this.#spill.fd, data, done, data.length - done, position + done);
    }
    this.#spill.end += data.length;
    return position;
  }

  #read({ position, length }: Entry): Uint8Array {
    const data = Buffer.allocUnsafe(length);
    for (let done = 0; done < length;) {
      const count = readSync(this.#spill!.fd, data, done, length - done, position + done);
      if (count === 0) throw new Error('The temporary file of a savepoint was cut.');
      done += count;
    }
    return data;
  }
}
