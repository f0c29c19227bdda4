import { LockError } from '../../errors';
import type { Oid, Tid } from '../../ids';
import type { Statement } from './driver';
import { oidKey, type Handle } from './handle';
import { unpackReferences } from './references';
import type { LastTransaction } from './write-context';

/** The statements of a commit, prepared once. */
export class WriteStatements {
  readonly removals: Statement<number>;
  readonly currentSeq: Statement<number>;
  readonly insert: Statement;
  readonly supersede: Statement;
  readonly update: Statement;
  readonly transaction: Statement;
  readonly #last: Statement<[seq: bigint, tid: bigint, past: bigint, objects: bigint]>;
  readonly #lock: Statement;
  readonly #handle: Handle;
  #references: Statement<{ seq: number; refs: Buffer | null }> | undefined;

  constructor(handle: Handle) {
    this.#last = handle
      .prepare<[bigint, bigint, bigint, bigint]>(
        'SELECT seq, tid, past, objects FROM txn ORDER BY seq DESC LIMIT 1',
      )
      .raw()
      .safeIntegers();
    this.removals = handle.prepare<number>("SELECT value FROM meta WHERE name = 'removals'").pluck();
    this.currentSeq = handle.prepare<number>('SELECT seq FROM object WHERE oid = ?').pluck();
    this.insert = handle.prepare('INSERT OR IGNORE INTO object (oid, seq, refs, state) VALUES (?, ?, ?, ?)');
    this.supersede = handle.prepare(
      'INSERT INTO history (id, oid, seq, refs, state) SELECT ?, oid, seq, refs, state FROM object WHERE oid = ?',
    );
    this.update = handle.prepare('UPDATE object SET seq = ?, refs = ?, state = ? WHERE oid = ?');
    this.transaction = handle.prepare(
      'INSERT INTO txn (seq, tid, packed, past, objects, crc, user, description, extension, changed) ' +
        'VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
    );
    // Changes nothing, but takes the lock.
    this.#lock = handle.prepare('DELETE FROM meta WHERE 0');
    this.#handle = handle;
  }

  /** The last transaction. */
  last(): LastTransaction {
    const [seq, tid, past, objects] = this.#last.get() ?? [0n, 0n, 0n, 0n];
    return { seq: Number(seq), tid: tid as Tid, past: Number(past), objects: Number(objects) };
  }

  /** Makes a write transaction of the read transaction that is open; false when others have written since it began. */
  tryToWrite(handle: Handle): boolean {
    try {
      this.#lock.run();
      return true;
    } catch (error) {
      const translated = handle.failed(error);
      if (translated instanceof LockError) return false;
      throw translated;
    }
  }

  /** What the current revision refers to, as far as it is known. */
  currentReferences(oid: Oid): Oid[] {
    this.#references ??= this.#handle.prepare<{ seq: number; refs: Buffer | null }>(
      'SELECT seq, refs FROM object WHERE oid = ?',
    );
    const row = this.#references.get(oidKey(oid));
    return (row && unpackReferences(oid, row.seq, row.refs)) ?? [];
  }
}
