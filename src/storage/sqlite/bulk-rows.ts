import { CorruptionError } from '../../errors';
import type { Oid } from '../../ids';
import type { SqlValue, Statement } from './driver';
import type { Handle } from './handle';

/** Rows that one statement writes; more gain next to nothing. */
export const BULK = 8;

/**
 * Rows of `object` written {@link BULK} at a time: a third of what a row costs is its way through the driver. Oids are below
 * 2^53 here.
 */
export class BulkRows {
  readonly #insert: Statement;
  readonly #replace: Statement;
  readonly #supersede: Statement;

  constructor(handle: Handle) {
    const rows = `object (oid, seq, refs, state) VALUES ${Array<string>(BULK).fill('(?, ?, ?, ?)').join(', ')}`;
    this.#insert = handle.prepare(`INSERT OR IGNORE INTO ${rows}`);
    this.#replace = handle.prepare(`REPLACE INTO ${rows}`);
    // CROSS JOIN keeps the order of the list.
    this.#supersede = handle.prepare(
      'INSERT INTO history (id, oid, seq, refs, state) SELECT ? + key, oid, seq, refs, state FROM json_each(?) CROSS JOIN object ON oid = value',
    );
  }

  /** Inserts {@link BULK} rows of four values, leaving alone those that exist; how many are new. */
  insert(values: readonly SqlValue[]): number {
    return this.#insert.run(...values).changes;
  }

  /** Overwrites {@link BULK} rows of four values. */
  replace(values: readonly SqlValue[]): void {
    this.#replace.run(...values);
  }

  /** Copies current revisions to the history, under ids from `first` on. */
  supersede(first: number, oids: readonly Oid[]): void {
    const { changes } = this.#supersede.run(first, `[${oids.join()}]`);
    if (changes !== oids.length) {
      throw new CorruptionError(
        `The table of objects is damaged: of ${oids.length} rows that were there only ${changes} could be copied.`,
      );
    }
  }
}
