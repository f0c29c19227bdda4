import { POSKeyError } from '../../errors';
import type { Oid, Tid } from '../../ids';
import type { BoundedRecord, HistoryEntry, LoadedRecord, Storage } from '../interfaces';

/** Where the newest revision of an object is, seen from above. */
export type Place = 'changes' | 'deleted' | 'base' | 'nowhere';

/** Two storages read as one: what is not in the changes is looked for in the base, as it was when it was taken. */
export class Layers {
  readonly base: Storage;
  readonly changes: Storage;
  /** The base is seen as of before this tid, whoever may write to it. */
  readonly #until: Tid;

  constructor(base: Storage, changes: Storage) {
    this.base = base;
    this.changes = changes;
    this.#until = (base.lastTransaction() + 1n) as Tid;
  }

  /** Tid of the base's last transaction that is seen. */
  get baseLast(): Tid {
    return (this.#until - 1n) as Tid;
  }

  place(oid: Oid): Place {
    if (this.inChanges(oid) !== undefined) return 'changes';
    if (this.changeHistory(oid).length > 0) return 'deleted';
    return this.inBase(oid) === undefined ? 'nowhere' : 'base';
  }

  inChanges(oid: Oid): LoadedRecord | undefined {
    return orMissing(() => this.changes.load(oid));
  }

  inBase(oid: Oid): LoadedRecord | undefined {
    if (!this.base.supports.history) return orMissing(() => this.base.load(oid));
    return orMissing(() => this.base.loadBefore(oid, this.#until));
  }

  load(oid: Oid): LoadedRecord {
    const changed = this.inChanges(oid);
    if (changed !== undefined) return changed;
    const based = this.changeHistory(oid).length > 0 ? undefined : this.inBase(oid);
    if (based === undefined) throw new POSKeyError(oid);
    return based;
  }

  loadBefore(oid: Oid, tid: Tid): BoundedRecord | undefined {
    try {
      const changed = this.changes.loadBefore(oid, tid);
      if (changed !== undefined) return changed;
    } catch (error) {
      if (!(error instanceof POSKeyError)) throw error;
      // Unknown there, or deleted then.
      if (this.changeHistory(oid).some((entry) => entry.tid < tid)) throw error;
    }
    const firstChange = this.changeHistory(oid).at(-1)?.tid;
    const limit = tid < this.#until ? tid : this.#until;
    let based: BoundedRecord | undefined;
    try {
      based = this.base.loadBefore(oid, limit);
    } catch (error) {
      if (error instanceof POSKeyError && firstChange !== undefined) return undefined;
      throw error;
    }
    if (based === undefined) return undefined;
    const end = based.end !== undefined && based.end < this.#until ? based.end : firstChange;
    return { data: based.data, serial: based.serial, end };
  }

  loadSerial(oid: Oid, tid: Tid): LoadedRecord {
    return orMissing(() => this.changes.loadSerial(oid, tid)) ?? this.base.loadSerial(oid, tid);
  }

  /** Revisions in the changes, newest first, deletions included. */
  changeHistory(oid: Oid): HistoryEntry[] {
    return orMissing(() => this.changes.history!(oid, Infinity)) ?? [];
  }

  history(oid: Oid, size: number): HistoryEntry[] {
    const changed = this.changeHistory(oid);
    const based = orMissing(() => this.base.history!(oid, Infinity)) ?? [];
    const all = [...changed, ...based.filter((entry) => entry.tid < this.#until)];
    if (all.length === 0) throw new POSKeyError(oid);
    return all.slice(0, size);
  }
}

/** `undefined` instead of a `POSKeyError`. */
export function orMissing<T>(load: () => T): T | undefined {
  try {
    return load();
  } catch (error) {
    if (error instanceof POSKeyError) return undefined;
    throw error;
  }
}
