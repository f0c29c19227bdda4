import { LockError } from '../../errors';
import type { Statement } from './driver';
import type { Handle } from './handle';
import { LogSpace } from './log-space';
import type { ResolvedOptions } from './options';

/**
 * Pages written between two checkpoints, at most: 8 MiB. Pages that many commits change are copied once for all of them; but the commit
 * that copies them waits for the disk, up to 15 ms for each 1,000 when all are different, and other work of its thread with it.
 */
const PAGES = 2_000;

/**
 * When the write-ahead log is copied back into the database file. SQLite by itself would try at every commit once the log
 * is long and a reader keeps it from being reset, which makes every commit wait for the disk three times.
 *
 * It is done between two commits of this thread. Measured: in a worker thread it gains nothing, because a commit that is made
 * meanwhile waits for the same disk.
 */
export class Checkpoints {
  readonly space: LogSpace;
  readonly #writer: Handle;
  /** Looks at the log and copies nothing; an SQLite older than 3.51 copies here already. */
  readonly #length: Statement<[busy: number, pages: number, copied: number]>;
  readonly #limit: number;
  #pages = 0;
  /** Pages for which the file of the log has room. */
  #room = 0;

  constructor(writer: Handle, { walLimit, durability }: ResolvedOptions) {
    this.#writer = writer;
    this.#limit = Math.max(16, Math.min(PAGES, walLimit / 4_096));
    // Only who waits for the disk gains by it.
    this.space = new LogSpace(`${writer.path}-wal`, durability === 'full' ? walLimit : 0);
    this.#length = writer.prepare<[number, number, number]>('PRAGMA wal_checkpoint(NOOP)').raw();
  }

  /**
   * Notes that about so many pages were written.
   * @returns whether it is time to {@link copy} them back
   */
  wrote(pages: number): boolean {
    this.#pages += pages;
    this.#room -= pages;
    if ((this.#pages < this.#limit && this.#room > 0) || this.#writer.db.inTransaction) return false;
    try {
      const [, length, copied] = this.#length.get()!;
      this.#pages = length - copied;
      if (this.#pages >= this.#limit) return true;
      this.#room = this.space.look(length);
    } catch (error) {
      this.#refuse(error);
    }
    return false;
  }

  /** Copies the log back. Afterwards it begins anew, unless somebody has a snapshot that needs it. */
  copy(): void {
    this.#pages = 0;
    this.#room = 0;
    try {
      this.#writer.pragma('wal_checkpoint(PASSIVE)');
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** That others use the log is no error. */
  #refuse(error: unknown): void {
    const translated = this.#writer.failed(error);
    if (!(translated instanceof LockError)) throw translated;
  }
}
