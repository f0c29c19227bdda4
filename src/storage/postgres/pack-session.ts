/** A pack's connection: it has the lock of packs, and takes that of commits for a moment at a time. */
import { LockError, StorageError } from '../../errors';
import type { StorageHost } from '../interfaces';
import type { Steps } from '../steps';
import type { News } from './news';
import type { Rows } from './rows';
import type { Schema } from './schema';
import type { Server } from './server';
import { Channel, type Place } from './server-worker';

/** Milliseconds for which a page waits for the commit lock before others have their turn. */
const PATIENCE = 100;

/** What a pack works with. */
export interface PackWork {
  readonly server: Server;
  readonly schema: Schema;
  readonly news: News;
  readonly lockTimeout: number;
}

export function packIsUnderWay(): StorageError {
  return new StorageError('A pack of this storage is under way.', { code: 'PACKING' });
}

export class PackSession {
  readonly #work: PackWork;
  readonly #transaction: number;
  readonly #place: Place;

  constructor(work: PackWork) {
    this.#work = work;
    this.#transaction = work.server.newTransaction();
    this.#place = { transaction: this.#transaction, role: 'inside' };
  }

  get schema(): Schema {
    return this.#work.schema;
  }

  get host(): StorageHost | undefined {
    return this.#work.news.host;
  }

  /** Objects were removed, so often by now. */
  removed(removals: number): void {
    this.#work.news.removed(removals);
  }

  /** One pack at a time, in all programs. The lock goes with the connection. */
  acquire(): void {
    const rows = this.#work.server.call({
      channel: Channel.pack,
      place: { transaction: this.#transaction, role: 'begin' },
      text: `SELECT pg_try_advisory_lock(${this.schema.packLock})`,
    });
    rows.next();
    if (rows.text() !== 't') throw packIsUnderWay();
  }

  release(): void {
    this.#quietly(`SELECT pg_advisory_unlock(${this.schema.packLock})`);
  }

  /** Runs a statement on the connection that has the lock of packs, or not at all. */
  query(text: string, values?: readonly unknown[]): Rows {
    const statement = { channel: Channel.pack, place: this.#place, text };
    return this.#work.server.call(values === undefined ? statement : { ...statement, values });
  }

  number(text: string, values?: readonly unknown[]): number {
    const rows = this.query(text, values);
    rows.next();
    return rows.number();
  }

  /** Does `work` in a transaction of its own that has the commit lock; meanwhile nothing else is committed. */
  *locked(phase: string, end: 'COMMIT' | 'ROLLBACK', work: () => void): Steps<void> {
    const latest = performance.now() + this.#work.lockTimeout;
    while (!this.#begin()) {
      if (performance.now() > latest) {
        throw new LockError(
          'The pack waits for a commit that does not end. What it removed so far stays removed; pack again.',
          { code: 'LOCK_TIMEOUT', retryable: true },
        );
      }
      yield { phase, done: 0, total: undefined };
    }
    try {
      work();
      this.query(end);
    } catch (error) {
      this.#quietly('ROLLBACK');
      throw error;
    }
  }

  /** False when somebody else has the commit lock. */
  #begin(): boolean {
    try {
      this.query(
        `BEGIN; SET LOCAL lock_timeout = ${PATIENCE}; SELECT pg_advisory_xact_lock(${this.schema.commitLock})`,
      );
      return true;
    } catch (error) {
      this.#quietly('ROLLBACK');
      if (error instanceof LockError) return false;
      throw error;
    }
  }

  /** A connection that is lost has neither locks nor a transaction, and a closed storage has no connection. */
  #quietly(text: string): void {
    try {
      this.query(text);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
  }
}
