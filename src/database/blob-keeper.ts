import type { Oid } from '../ids';
import type { BlobSource } from '../storage/index';
import type { BlobSnapshot, BlobWork } from './blob-interfaces';

/** The blobs that a transaction wrote, as its connection needs them: see the table in `blob-interfaces.ts`. */
export class BlobKeeper {
  readonly #workOf: (object: object) => BlobWork | undefined;
  /** Blobs changed in this transaction. */
  #changed = new Map<Oid, BlobWork>();
  #snapshots: BlobSnapshot[] = [];

  /** @param workOf what an object is as a blob, if it is one */
  constructor(workOf: (object: object) => BlobWork | undefined) {
    this.#workOf = workOf;
  }

  /** What is to be stored beside the record of `oid`, whose object is given when it is in memory; `undefined` when it is no blob. */
  sourceOf(oid: Oid, object: object | undefined): BlobSource | 'unchanged' | undefined {
    // Of an import, or written before a savepoint: the object may not be in memory.
    const work = (object && this.#workOf(object)) ?? this.#changed.get(oid);
    if (work === undefined) return undefined;
    const path = work.source();
    if (path === undefined) return 'unchanged';
    this.#changed.set(oid, work);
    return { path, consume: true };
  }

  /** The work of a blob that this transaction wrote to. */
  changed(oid: Oid): BlobWork | undefined {
    return this.#changed.get(oid);
  }

  /** A savepoint saved the record of `oid`: when it is a blob, its content belongs to the savepoint. */
  saved(oid: Oid, object: object): void {
    const work = this.#workOf(object);
    if (work) this.#changed.set(oid, work);
  }

  /** A blob was written to. */
  note(oid: Oid, work: BlobWork): void {
    this.#changed.set(oid, work);
  }

  committed(): void {
    if (this.#changed.size === 0 && this.#snapshots.length === 0) return;
    for (const work of this.#changed.values()) work.committed();
    this.#end();
  }

  abort(): void {
    for (const work of this.#changed.values()) work.reset();
    this.#end();
  }

  savepoint(): ReadonlyMap<BlobWork, BlobSnapshot> {
    const snapshots = new Map<BlobWork, BlobSnapshot>();
    for (const work of this.#changed.values()) {
      const snapshot = work.savepoint();
      this.#snapshots.push(snapshot);
      snapshots.set(work, snapshot);
    }
    return snapshots;
  }

  rollback(snapshots: ReadonlyMap<BlobWork, BlobSnapshot>): void {
    for (const [oid, work] of this.#changed) {
      const snapshot = snapshots.get(work);
      if (snapshot) {
        work.rollback(snapshot);
      } else {
        work.reset();
        this.#changed.delete(oid);
      }
    }
  }

  #end(): void {
    this.#changed = new Map();
    for (const snapshot of this.#snapshots) snapshot.release();
    this.#snapshots = [];
  }
}
