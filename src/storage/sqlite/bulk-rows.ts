import { CorruptionError } from '../../errors';
import { ROOT_OID, type Oid } from '../../ids';
import { keepSpecimen } from '../../specimens';
import type { SqlValue, Statement } from './driver';
import type { Handle } from './handle';
import { SealedRows } from './record-format';

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
  /** Four values a row. */
  readonly #values: SqlValue[] = new Array<null>(4 * BULK).fill(null);
  readonly #states = new SealedRows();

  constructor(handle: Handle) {
    const rows = `object (oid, seq, refs, state) VALUES ${Array<string>(BULK).fill('(?, ?, ?, ?)').join(', ')}`;
    this.#insert = handle.prepare(`INSERT OR IGNORE INTO ${rows}`);
    this.#replace = handle.prepare(`REPLACE INTO ${rows}`);
    // CROSS JOIN keeps the order of the list.
    this.#supersede = handle.prepare(
      'INSERT INTO history (id, oid, seq, refs, state) SELECT ? + key, oid, seq, refs, state FROM json_each(?) CROSS JOIN object ON oid = value',
    );
  }

  /** Sets row number `row`, those before it have been set. It must be written before other rows are set in its place. */
  set(
    row: number,
    oid: Oid,
    seq: number,
    references: Uint8Array | null,
    prior: number,
    data: Uint8Array,
  ): void {
    const values = this.#values;
    const at = 4 * row;
    if (row === 0) this.#states.clear();
    values[at] = oid;
    values[at + 1] = seq;
    values[at + 2] = references;
    values[at + 3] = this.#states.seal(oid, seq, prior, data);
  }

  /** Inserts the rows that are set, leaving alone those that exist; how many are new. */
  insert(): number {
    return this.#insert.run(...this.#values).changes;
  }

  /** Overwrites the rows that are set. */
  replace(): void {
    this.#replace.run(...this.#values);
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

keepSpecimen(new BulkRows({ prepare: () => undefined } as unknown as Handle)).set(
  0,
  ROOT_OID,
  1,
  null,
  0,
  new Uint8Array(1),
);
