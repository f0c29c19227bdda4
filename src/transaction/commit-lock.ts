import { LockError } from '../errors';
import { AsyncCommitInProgressError } from './errors';

interface Waiter {
  readonly owner: object;
  readonly grant: () => void;
}

/**
 * The lock that a storage holds from `tpcBegin` to `tpcFinish` or `tpcAbort`, among the commits of one thread.
 * Asynchronous ones queue in order. A synchronous one can't wait for a holder that needs the event loop, so it is
 * refused at once with a retryable error.
 */
export class CommitLock {
  #holder: object | null = null;
  readonly #queue: Waiter[] = [];

  /** Who holds it; usually a transaction. */
  get holder(): object | null {
    return this.#holder;
  }

  /** How many wait for it. */
  get waiting(): number {
    return this.#queue.length;
  }

  /**
   * Takes the lock now, or not at all. Taking it again by its holder does nothing.
   * @throws AsyncCommitInProgressError when somebody else has it
   */
  acquire(owner: object): void {
    if (this.#holder === owner) return;
    if (this.#holder !== null) throw new AsyncCommitInProgressError();
    this.#holder = owner;
  }

  /**
   * Takes the lock when its turn has come. Returns without a promise when that is now.
   * @param timeoutMs after which it gives up
   * @throws LockError (retryable) when the time is over
   */
  acquireAsync(owner: object, timeoutMs?: number): void | Promise<void> {
    if (this.#holder === owner) return;
    if (this.#holder === null) {
      this.#holder = owner;
      return;
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        owner,
        grant: () => {
          clearTimeout(timer);
          resolve();
        },
      };
      this.#queue.push(waiter);
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => reject(this.#giveUp(waiter, timeoutMs)), timeoutMs);
    });
  }

  /**
   * Gives the lock to who waits longest: it is never free while somebody waits. Does nothing for one who
   * does not have it.
   */
  release(owner: object): void {
    if (this.#holder !== owner) return;
    const next = this.#queue.shift();
    this.#holder = next?.owner ?? null;
    next?.grant();
  }

  #giveUp(waiter: Waiter, timeoutMs: number): LockError {
    this.#queue.splice(this.#queue.indexOf(waiter), 1);
    return new LockError(`The commit lock was not free within ${timeoutMs} ms. Run the transaction again.`, {
      retryable: true,
    });
  }
}
