import { LockError, StorageTransactionError } from '../errors';
import type { TransactionMetaData } from './transaction-meta';

/**
 * One commit at a time in this thread. A synchronous caller can't wait for a holder that needs the event loop to go on,
 * so it gets a retryable error at once; asynchronous callers queue in order.
 */
export class CommitLock {
  readonly #name: string;
  readonly #queue: { txn: TransactionMetaData; granted: () => void; refused: (error: unknown) => void }[] =
    [];
  #holder: TransactionMetaData | undefined;

  /** @param name of the storage, for messages */
  constructor(name: string) {
    this.#name = name;
  }

  /** The transaction under way. */
  get holder(): TransactionMetaData | undefined {
    return this.#holder;
  }

  /** Takes the lock or throws: `StorageTransactionError` when `txn` has it, `LockError` (retryable) when another has. */
  acquire(txn: TransactionMetaData): void {
    if (this.#holder === undefined) {
      this.#holder = txn;
      return;
    }
    this.#refuseTwice(txn);
    throw new LockError(
      `Another transaction of this thread is committing to ${this.#name}. A synchronous commit can't wait for it; ` +
        'run the transaction again later, or commit with commitAsync().',
      { code: 'COMMIT_BUSY', retryable: true },
    );
  }

  /** Resolves when it is `txn`'s turn. */
  acquireAsync(txn: TransactionMetaData): Promise<void> {
    return new Promise<void>((granted, refused) => {
      if (this.#holder === undefined) {
        this.#holder = txn;
        granted();
        return;
      }
      this.#refuseTwice(txn);
      this.#queue.push({ txn, granted, refused });
    });
  }

  /** Throws unless `txn` is the transaction under way. */
  require(txn: TransactionMetaData): void {
    if (this.#holder !== txn) {
      throw new StorageTransactionError(
        `This transaction has not begun on ${this.#name}, or has ended: call tpcBegin first.`,
      );
    }
  }

  /** Ends `txn`'s turn; the next in the queue has the lock at once. Silent when it was not its turn. */
  release(txn: TransactionMetaData): void {
    if (this.#holder !== txn) {
      const place = this.#queue.findIndex((waiting) => waiting.txn === txn);
      if (place >= 0) this.#queue.splice(place, 1)[0]!.refused(this.#ended());
      return;
    }
    const next = this.#queue.shift();
    this.#holder = next?.txn;
    next?.granted();
  }

  /** Refuses all that wait. */
  close(error: unknown): void {
    for (const waiting of this.#queue.splice(0)) waiting.refused(error);
    this.#holder = undefined;
  }

  #refuseTwice(txn: TransactionMetaData): void {
    if (this.#holder === txn || this.#queue.some((waiting) => waiting.txn === txn)) {
      throw new StorageTransactionError(
        `Duplicate tpcBegin calls for the same transaction on ${this.#name}.`,
      );
    }
  }

  #ended(): StorageTransactionError {
    return new StorageTransactionError(`The transaction was aborted while it waited for ${this.#name}.`);
  }
}
