import { LockError } from '../../errors';
import type { CommitLock } from '../commit-lock';
import { TransactionMetaData } from '../transaction-meta';
import type { CommitGate } from './pack';

/** Asked this often without the event loop having run once, the pack is driven synchronously. */
const PATIENCE = 1000;

/** Takes the commit lock for the last steps of a pack, in turn with the commits. */
export class PackGate implements CommitGate {
  readonly #lock: CommitLock;
  readonly #name: string;
  #ticket: TransactionMetaData | undefined;
  #closed = false;
  #asked = 0;
  #loopRan = false;

  constructor(lock: CommitLock, name: string) {
    this.#lock = lock;
    this.#name = name;
  }

  close(): boolean {
    if (this.#closed) return true;
    if (this.#ticket === undefined) this.#queue();
    if (this.#closed) return true;
    if (++this.#asked > PATIENCE && !this.#loopRan) {
      throw new LockError(
        `A transaction of this thread is committing to ${this.#name}, and a pack that runs in one go can't wait for it. ` +
          'Pack again when it has ended, or use packAsync().',
        { code: 'COMMIT_BUSY', retryable: true },
      );
    }
    return false;
  }

  open(): void {
    if (this.#ticket !== undefined) this.#lock.release(this.#ticket);
    this.#ticket = undefined;
    this.#closed = false;
  }

  #queue(): void {
    this.#ticket = new TransactionMetaData({ description: 'pack' });
    if (this.#lock.holder === undefined) {
      this.#lock.acquire(this.#ticket);
      this.#closed = true;
      return;
    }
    setImmediate(() => (this.#loopRan = true));
    this.#lock.acquireAsync(this.#ticket).then(
      () => (this.#closed = true),
      // Given up, or the storage was closed.
      () => undefined,
    );
  }
}
