import { InvalidArgumentError } from '../errors';
import { Attempt } from './attempt';
import { currentFrame, refuseStale } from './context';
import { AlreadyInTransaction, NoTransaction } from './errors';
import type { RunOptions, SavepointOptions, Synchronizer, TransactionManagerOptions } from './interfaces';
import { checkAttempts } from './retry';
import { refuseInRun, run } from './run';
import type { Savepoint } from './savepoint';
import { Synchronizers } from './synchronizers';
import { Transaction } from './transaction';

/**
 * Starts transactions and knows the current one. One after the other, never two at a time: independent work at the
 * same time needs managers of its own.
 *
 * By default a manager is implicit: `get()` starts a transaction when there is none, and `begin()` aborts
 * one that was left open. An explicit manager refuses both, which finds forgotten ends and beginnings.
 */
export class TransactionManager {
  /** Whether transactions start by {@link begin} only. */
  explicit: boolean;
  /** @internal Whether a `run()` is under way. */
  running = false;

  #current: Transaction | null = null;
  readonly #synchronizers = new Synchronizers();
  #retired = false;

  constructor(options: TransactionManagerOptions = {}) {
    this.explicit = options.explicit ?? false;
  }

  /** The current transaction, if there is one. Asking starts none. */
  get current(): Transaction | null {
    return this.#current;
  }

  /**
   * Starts a transaction; in implicit mode it aborts the current one first.
   * @throws AlreadyInTransaction in explicit mode when there is one; TransactionStateError when one is being
   * committed asynchronously
   */
  begin(): Transaction {
    if (this.running) refuseInRun(this, 'begin()');
    return this.start();
  }

  /**
   * The current transaction. In implicit mode it is made when there is none.
   * @throws NoTransaction in explicit mode when there is none
   */
  get(): Transaction {
    if (this.running) {
      const frame = currentFrame();
      if (frame?.manager === this) refuseStale(frame);
    }
    if (this.#current === null) {
      if (this.explicit) throw this.#noTransaction();
      this.#current = new Transaction(this, this.#synchronizers);
    }
    return this.#current;
  }

  /** Commits the current transaction: see {@link Transaction.commit}. */
  commit(): void {
    if (this.running) refuseInRun(this, 'commit()');
    this.get().commit();
  }

  /**
   * Commits the current transaction: see {@link Transaction.commitAsync}. When an asynchronous commit of this
   * manager is under way, it waits for that one and then commits the transaction that is current then.
   */
  async commitAsync(): Promise<void> {
    if (this.running) refuseInRun(this, 'commitAsync()');
    for (let pending = this.#current?.pending; pending; pending = this.#current?.pending) await pending;
    await this.get().commitAsync();
  }

  /** Aborts the current transaction: see {@link Transaction.abort}. */
  abort(): void {
    if (this.running) refuseInRun(this, 'abort()');
    this.get().abort();
  }

  /** Aborts the current transaction, waiting for data managers that need it: see {@link Transaction.abortAsync}. */
  async abortAsync(): Promise<void> {
    if (this.running) refuseInRun(this, 'abortAsync()');
    for (let pending = this.#current?.pending; pending; pending = this.#current?.pending) await pending;
    await this.get().abortAsync();
  }

  /** Lets the current transaction end in an abort only. */
  doom(): void {
    this.get().doom();
  }

  isDoomed(): boolean {
    return this.get().isDoomed();
  }

  /** A point in the current transaction to go back to: see {@link Transaction.savepoint}. */
  savepoint(options?: SavepointOptions): Savepoint {
    return this.get().savepoint(options);
  }

  /**
   * Forgets the current transaction, which the caller has ended.
   * @throws InvalidArgumentError when it is not the current one
   */
  free(transaction: Transaction): void {
    if (transaction !== this.#current) {
      throw new InvalidArgumentError('This transaction is not the current one of this transaction manager.');
    }
    this.#current = null;
  }

  // --- synchronizers

  /**
   * Tells a synchronizer of the boundaries of this manager's transactions, from now on; at once of the current
   * transaction, if there is one. It is held weakly.
   */
  registerSynch(synchronizer: Synchronizer): void {
    this.#synchronizers.add(synchronizer);
    if (this.#current !== null) synchronizer.newTransaction(this.#current);
  }

  /** Does nothing when it is not registered. */
  unregisterSynch(synchronizer: Synchronizer): void {
    this.#synchronizers.remove(synchronizer);
  }

  clearSynchs(): void {
    this.#synchronizers.clear();
  }

  /** Whether any synchronizer is registered and alive. */
  registeredSynchs(): boolean {
    return this.#synchronizers.hasLive();
  }

  // --- whole transactions

  /**
   * Calls `fn` in a new transaction and commits it; aborts it when `fn` or the commit fails. After a retryable
   * error that is done again, up to `attempts` times. When `fn` returns a promise, so does this, and the commit is
   * asynchronous.
   *
   * Inside a run of the same manager it is a savepoint: a failure of `fn` undoes only what it did, nothing is
   * committed, and only the outermost run tries again.
   * @returns what `fn` returned
   */
  run<T>(fn: (transaction: Transaction) => T, options?: RunOptions): T {
    return run(this, fn, options);
  }

  /**
   * The attempts of a transaction, as a loop that ends with the first success:
   *
   * ```ts
   * for (const attempt of manager.attempts(3)) attempt.run(() => { … });       // or: await attempt.run(async …)
   * ```
   * A retryable error in any but the last is swallowed; the loop goes on.
   * @throws InvalidArgumentError unless `number` is a positive integer
   */
  attempts(number?: number, options: Omit<RunOptions, 'attempts'> = {}): IterableIterator<Attempt> {
    return Attempt.loop(this, checkAttempts(number), options);
  }

  // --- for the rest of this room

  /** @internal {@link begin} without asking whether a run is under way. */
  start(): Transaction {
    if (this.#current !== null) {
      if (this.explicit) throw new AlreadyInTransaction();
      this.#current.abort();
    }
    if (this.#retired) throw this.#noTransaction();
    const transaction = new Transaction(this, this.#synchronizers);
    this.#current = transaction;
    if (this.#synchronizers.size > 0) this.#synchronizers.newTransaction(transaction);
    return transaction;
  }

  /** @internal */
  release(transaction: Transaction): void {
    if (this.#current === transaction) this.#current = null;
  }

  /** @internal The run that this manager was made for has ended: it starts no more transactions. */
  retire(): void {
    this.#retired = true;
    this.explicit = true;
  }

  #noTransaction(): NoTransaction {
    return this.#retired
      ? new NoTransaction(
          'The run that this transaction manager was made for has ended. Objects and connections of it can not be ' +
            'used outside; was a promise not awaited?',
        )
      : new NoTransaction();
  }
}
