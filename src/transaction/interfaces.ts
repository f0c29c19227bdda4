/**
 * The contracts between a transaction and what takes part in it, after
 * `transaction/src/transaction/interfaces.py`.
 *
 * A **data manager** joins the transaction that is to hold its changes (`transaction.join(this)`), once a
 * transaction. From then on the transaction calls it, in one of three ways:
 *
 * | what happens | calls |
 * |---|---|
 * | commit | `tpcBegin`, `commit`, `tpcVote`, `tpcFinish` |
 * | commit, and it is the only one and has `tpcCommit` | `tpcBegin`, `commit`, `tpcCommit` |
 * | a commit fails before the data manager has voted | `abort`, `tpcAbort` |
 * | a commit fails after it has voted | `tpcAbort` |
 * | abort | `abort` |
 *
 * Each phase runs over all data managers, in the order of their `sortKey()`, before the next one starts; `abort`
 * runs in the order in which they joined. After the last call of each row the data manager is out of the
 * transaction and may join another one.
 */
import type { Transaction } from './transaction';

/** What a data manager's step gives: nothing, or, where promises are allowed, a promise of nothing. */
export type StepResult = void | PromiseLike<void>;

/**
 * How a data manager can be driven.
 *
 * - `'sync'`: its steps return when they are done. The default.
 * - `'async'`: its steps return promises. `commit()` refuses at once when such a data manager has joined;
 *   `commitAsync()` lets it vote before any other data manager takes a lock.
 * - `'both'`: its steps return when they are done, and its `…Async` steps do the same without blocking. The default
 *   of a data manager that has any of those.
 */
export type DataManagerMode = 'sync' | 'async' | 'both';

/** A resource that takes part in two-phase commit. */
export interface DataManager {
  /** Read when a commit or an abort starts, so a getter may decide. */
  readonly mode?: DataManagerMode;

  /**
   * Gives up all changes. Called outside two-phase commit: by an abort, by the clean-up of a commit in which this
   * data manager has not voted, by the rollback of a savepoint older than its `join`, and after after-commit and
   * after-abort hooks, which may have left new changes. So it must do nothing, without an error, when there is
   * nothing to give up.
   */
  abort(transaction: Transaction): StepResult;

  /** Starts two-phase commit. Locks that outlive the call may be taken here: the order of sort keys avoids deadlock. */
  tpcBegin(transaction: Transaction): StepResult;

  /** Writes the changes so that they can still be undone. Conflicts are to be found here or in `tpcVote`. */
  commit(transaction: Transaction): StepResult;

  /** The last chance to refuse. Returning is a promise that `tpcFinish` will succeed, come what may. */
  tpcVote(transaction: Transaction): StepResult;

  /** Makes the changes permanent. Must not fail: others may have finished already. */
  tpcFinish(transaction: Transaction): StepResult;

  /**
   * Votes and finishes at once: called instead of `tpcVote` and `tpcFinish` when this is the only data manager, so that nobody is
   * asked in between. After an error, `abort` and `tpcAbort` follow, as after that of a vote.
   */
  tpcCommit?(transaction: Transaction): StepResult;

  /**
   * Undoes what two-phase commit did so far. May be called after any of its steps, also when `tpcBegin` was never
   * reached, and even after `tpcFinish` (when another one failed in it), where it must do nothing.
   */
  tpcAbort(transaction: Transaction): StepResult;

  /**
   * The place of this data manager among others: compared as text, and the same in every process that shares the
   * resource, so that locks are always taken in one order. A leading `~` sorts after everything usual.
   */
  sortKey(): string;

  /** Remembers the present state. Without this method, only optimistic savepoints can be made. */
  savepoint?(): DataManagerSavepoint;

  /** Whether running the transaction again may help after this error. */
  shouldRetry?(error: unknown): boolean;

  /** Called by `commitAsync()` instead of `tpcBegin` in mode `'both'`; and so on. May return without a promise. */
  tpcBeginAsync?(transaction: Transaction): StepResult;
  commitAsync?(transaction: Transaction): StepResult;
  tpcVoteAsync?(transaction: Transaction): StepResult;
  tpcFinishAsync?(transaction: Transaction): StepResult;
  tpcCommitAsync?(transaction: Transaction): StepResult;
  tpcAbortAsync?(transaction: Transaction): StepResult;
  abortAsync?(transaction: Transaction): StepResult;
}

/** The state of one data manager at a savepoint. */
export interface DataManagerSavepoint {
  /** Goes back to it. May be called more than once. */
  rollback(): void;
}

/**
 * Is told of the boundaries of a transaction manager's transactions. The manager holds it weakly: whoever wants
 * to be told keeps it alive.
 */
export interface Synchronizer {
  /** Called by `begin()`, when `get()` already gives the new transaction, and on registering during a transaction. */
  newTransaction(transaction: Transaction): void;
  /** Called before a commit (after the before-commit hooks) or an abort starts. An error stops a commit. */
  beforeCompletion(transaction: Transaction): void;
  /** Called before a savepoint is made or gone back to: the last moment to find changes and to join. */
  beforeSavepoint?(transaction: Transaction): void;
  /**
   * Called after a commit, failed or not, or an abort. The outcome is in the transaction's `status`. After a failed
   * commit the transaction is still its manager's current one, and the abort to come calls its data managers, and
   * this, once more: what belongs to the transaction must not be given away yet.
   */
  afterCompletion(transaction: Transaction): void;
}

/** A hook and the arguments it was added with. */
export interface HookEntry {
  readonly hook: (...args: never[]) => unknown;
  readonly args: readonly unknown[];
}

/** Options of `savepoint()`. */
export interface SavepointOptions {
  /**
   * True makes a savepoint also when some data manager can't go back; only a rollback then fails (and fails the
   * transaction). For code that makes savepoints to save memory. Default false.
   */
  optimistic?: boolean;
}

/** Waiting times between attempts: random, between 0 and a bound that doubles from attempt to attempt. */
export interface Backoff {
  /** Bound of the first wait in milliseconds. Default 10; 2 in a synchronous run. */
  baseMs?: number;
  /** Bound of every wait in milliseconds. Default 1,000; 20 in a synchronous run, which blocks its thread. */
  maxMs?: number;
  /** A number from 0 to below 1; `Math.random` by default. */
  random?: () => number;
}

/** Options of `run()`. */
export interface RunOptions {
  /** How often the function is called at most. Default 3; `db.transaction()` takes the DB's. */
  attempts?: number;
  /** Waiting between attempts; `false` for none. */
  backoff?: Backoff | false;
  /** Description of the transaction. Default: the function's name, if it has one other than `_`. */
  note?: string;
  /** Called before the function is run again, with the error and the number of the attempt that failed (from 1). */
  onRetry?: (error: unknown, attempt: number) => void;
}

/** Options of a transaction manager. */
export interface TransactionManagerOptions {
  /** True: transactions start by `begin()` only, and must have ended before the next one begins. Default false. */
  explicit?: boolean;
}
