import { LockError } from '../../errors';
import type { Handle } from './handle';

/** Pages written between two checkpoints: 4 MiB. */
const PAGES = 1_000;

/**
 * When the write-ahead log is copied back into the database file. SQLite by itself would try at every commit once the log
 * is long and a reader keeps it from being reset, which makes every commit wait for the disk three times.
 */
export class Checkpoints {
  readonly #writer: Handle;
  #pages = 0;

  constructor(writer: Handle) {
    this.#writer = writer;
  }

  /**
   * Notes that about so many pages were written. When it is time, `before` lets go of snapshots that are outdated anyway,
   * so that the log can be reset.
   */
  wrote(pages: number, before: () => void): void {
    this.#pages += pages;
    if (this.#pages < PAGES || this.#writer.db.inTransaction) return;
    this.#pages = 0;
    before();
    try {
      this.#writer.pragma('wal_checkpoint(PASSIVE)');
    } catch (error) {
      if (!(error instanceof LockError)) throw error;
    }
  }
}
