import {
  AsyncRequiredError,
  DoomedTransaction,
  nameOf,
  TransactionFailedError,
  TransactionStateError,
} from './errors';
import { events, publishEvent } from './events';
import { callForgivingHooks, callStoppingHooks } from './hooks';
import { TransactionWithHooks } from './transaction-hooks';
import type { DataManager, DataManagerSavepoint, SavepointOptions } from './interfaces';
import { reportSwallowed } from './report';
import { isRetryable } from './retryable';
import { Savepoint, saveStates } from './savepoint';
import { SavepointBook } from './savepoint-book';
import { TransactionStatus, whyNot, type Busy } from './status';
import { driveAsync, driveDetached, driveSync, isThenable, type Steps } from './steps';
import { Synchronizers } from './synchronizers';
import { abortAll, cleanUpAll, twoPhaseCommit } from './two-phase';

/** What a transaction needs of the manager that made it. */
export interface TransactionOwner {
  /** The transaction has ended: it is no longer the current one. Must accept one that isn't. */
  release(transaction: Transaction): void;
}

const NO_SYNCHRONIZERS = new Synchronizers();
const NOBODY: TransactionOwner = { release: () => undefined };

/**
 * A unit of work over any number of data managers: all of it happens, or nothing. Made by a
 * `TransactionManager`; current until it is committed or aborted.
 *
 * Used with `using`, a transaction that was not committed is aborted at the end of the block.
 */
export class Transaction extends TransactionWithHooks {
  #status: TransactionStatus = TransactionStatus.ACTIVE;
  /** Committed or aborted: resources, hooks and data are gone. */
  #ended = false;
  #busy: Busy = false;
  /** Settles (never rejects) when the `commitAsync()` or `abortAsync()` under way has. */
  #pending: Promise<void> | null = null;
  /** The first failure, when the status is {@link TransactionStatus.COMMIT_FAILED}. */
  #failure: unknown = undefined;
  #owner: TransactionOwner;
  #synchronizers: Synchronizers;

  // Everything below is made when it is first needed: most transactions need little of it.
  #resources: DataManager[] | null = null;
  /** How many of them a commit has looked at. */
  #known = 0;
  #savepoints: SavepointBook | null = null;

  /** For transaction managers; alone it is a transaction that nobody calls current. */
  constructor(owner: TransactionOwner = NOBODY, synchronizers: Synchronizers = NO_SYNCHRONIZERS) {
    super();
    this.#owner = owner;
    this.#synchronizers = synchronizers;
    if (events.hasSubscribers) publishEvent('begin', this);
  }

  /** Where the transaction stands. Abort does not change it: see {@link ended}. */
  get status(): TransactionStatus {
    return this.#status;
  }

  /** True once the transaction was committed or aborted: nothing more can be done in it. */
  override get ended(): boolean {
    return this.#ended;
  }

  /** The first failure, while the status is `'Commit failed'`. */
  get failure(): unknown {
    return this.#failure;
  }

  /** The `commitAsync()` or `abortAsync()` that is under way, as a promise that is never rejected; else null. */
  get pending(): Promise<void> | null {
    return this.#pending;
  }

  // --- who takes part

  /**
   * Makes a data manager take part. Joining twice is the caller's mistake: it would be committed twice.
   * @throws TransactionFailedError after a failure; TransactionStateError during a commit and after the end
   */
  join(manager: DataManager): void {
    if (this.#status !== TransactionStatus.ACTIVE || this.#ended) this.#checkJoinable('join');
    if (this.#resources === null) this.#resources = [manager];
    else this.#resources.push(manager);
    this.#savepoints?.joined(manager);
  }

  /** Who has joined, in that order. */
  get dataManagers(): readonly DataManager[] {
    return this.#resources === null ? [] : [...this.#resources];
  }

  /** Whether one data manager takes part, and no other. @internal */
  get hasOneManager(): boolean {
    return this.#resources?.length === 1;
  }

  /** Whether running this transaction again may help after the error. Ask before the abort. */
  isRetryableError(error: unknown): boolean {
    return isRetryable(error, this.#resources);
  }

  // --- two-phase commit

  /**
   * Makes everything permanent, or fails and makes nothing permanent. After a failure in the commit itself
   * the status is `'Commit failed'`: abort, or begin a new transaction. A before-commit hook or `beforeCompletion`
   * that fails stops the commit before it starts, and leaves the transaction as it was.
   * @throws DoomedTransaction, TransactionFailedError, TransactionStateError; AsyncRequiredError before anything
   * happened when a data manager works asynchronously only; whatever a participant throws
   */
  commit(): void {
    this.#startCommit('commit');
    try {
      driveSync(this.#commitSteps(false));
    } finally {
      this.#busy = false;
    }
  }

  /**
   * As {@link commit}, waiting for promises of data managers and hooks. Data managers with `mode: 'async'` vote
   * before any other takes a lock; without promises the event loop is not given up in between. While it is
   * under way, the transaction refuses everything else.
   */
  commitAsync(): Promise<void> {
    try {
      this.#startCommit('commitAsync');
    } catch (error) {
      return Promise.reject(error as Error);
    }
    return this.#track(driveAsync(this.#commitSteps(true)));
  }

  /**
   * Gives up everything. Every data manager is aborted even if one of them fails; the first error is thrown at the
   * end. Aborting again, or after the commit, does nothing. Data managers with `mode: 'async'` are told, and not
   * waited for: see {@link abortAsync}.
   */
  abort(): void {
    if (this.#ended || this.#status === TransactionStatus.COMMITTED) return;
    this.#checkIdle('abort');
    this.#busy = 'abort';
    try {
      driveDetached(this.#abortSteps(false), (error) => {
        reportSwallowed('abort()', error, this, undefined);
      });
    } finally {
      this.#end();
    }
  }

  /** As {@link abort}, waiting for data managers and hooks that return promises. */
  abortAsync(): Promise<void> {
    if (this.#ended || this.#status === TransactionStatus.COMMITTED) return Promise.resolve();
    try {
      this.#checkIdle('abortAsync');
    } catch (error) {
      return Promise.reject(error as Error);
    }
    this.#busy = 'abortAsync';
    return this.#track(
      driveAsync(this.#abortSteps(true)).finally(() => {
        this.#end();
      }),
    );
  }

  /** Aborts what was not committed. */
  [Symbol.dispose](): void {
    this.abort();
  }

  /** Waits for a commit that is under way, then aborts what was not committed. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#pending !== null) await this.#pending;
    await this.abortAsync();
  }

  /**
   * Lets the transaction end in an abort only. Doing it again is fine.
   * @throws TransactionStateError during and after a commit
   */
  doom(): void {
    if (this.#status === TransactionStatus.DOOMED) return;
    if (this.#status !== TransactionStatus.ACTIVE || this.#ended) this.#checkJoinable('doom');
    this.#status = TransactionStatus.DOOMED;
  }

  isDoomed(): boolean {
    return this.#status === TransactionStatus.DOOMED;
  }

  // --- savepoints

  /**
   * A point to which this transaction can go back.
   * @throws SavepointsUnsupportedError when a data manager can't and `optimistic` was not asked for. As any other
   * failure in it, that fails the transaction
   */
  savepoint(options: SavepointOptions = {}): Savepoint {
    if (this.#status !== TransactionStatus.ACTIVE || this.#ended) this.#checkJoinable('savepoint');
    if (this.#synchronizers.size > 0) this.#synchronizers.beforeSavepoint(this);
    let states: DataManagerSavepoint[];
    const resources = this.#resources ?? [];
    try {
      states = saveStates(resources, options.optimistic ?? false);
    } catch (error) {
      driveDetached(cleanUpAll(this, resources), (later) => {
        reportSwallowed('tpcAbort()', later, this, undefined);
      });
      this.#fail(error);
      throw error;
    }
    this.#savepoints ??= new SavepointBook();
    return new Savepoint(this, this.#savepoints.next(), states);
  }

  /** @internal */
  isSavepointValid(index: number): boolean {
    return !this.#ended && this.#savepoints !== null && this.#savepoints.isValid(index);
  }

  /** @internal */
  rollbackTo(index: number, states: readonly DataManagerSavepoint[]): void {
    this.#checkJoinable('roll back');
    if (this.#synchronizers.size > 0) this.#synchronizers.beforeSavepoint(this);
    this.#savepoints?.endAfter(index);
    try {
      for (const state of states) state.rollback();
      this.#unjoinAfter(index);
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  // --- the orders of events

  #startCommit(how: 'commit' | 'commitAsync'): void {
    this.#checkIdle(how);
    if (this.#status === TransactionStatus.DOOMED) throw new DoomedTransaction();
    this.#savepoints?.endAfter(0);
    if (this.#status === TransactionStatus.COMMIT_FAILED) throw new TransactionFailedError(this.#failure);
    if (this.#ended || this.#status !== TransactionStatus.ACTIVE) throw this.#stateError(how);
    if (how === 'commit') this.#refuseAsyncManagers();
    this.#busy = how;
  }

  *#commitSteps(asynchronous: boolean): Steps {
    if (this.hooks !== null) yield* callStoppingHooks(this.hooks.beforeCommit);
    if (this.#synchronizers.size > 0) this.#synchronizers.beforeCompletion(this);
    // A hook may have doomed it. Python would commit; what must not be committed is not.
    if (this.#status === TransactionStatus.DOOMED) throw new DoomedTransaction();
    if (this.#resources !== null) {
      // Nor may one have joined that can't be waited for.
      if (!asynchronous && this.#resources.length > this.#known) this.#refuseAsyncManagers();
      this.#status = TransactionStatus.COMMITTING;
      try {
        yield* twoPhaseCommit(this, this.#resources, asynchronous);
      } catch (error) {
        this.#fail(error);
        if (this.#synchronizers.size > 0) this.#synchronizers.afterCompletion(this);
        this.#busy = false;
        yield* this.#callAfterCommitHooks(false, asynchronous);
        throw error;
      }
    }
    this.#status = TransactionStatus.COMMITTED;
    if (this.#synchronizers.size > 0) this.#synchronizers.afterCompletion(this);
    this.#busy = false;
    if (this.hooks !== null) yield* this.#callAfterCommitHooks(true, asynchronous);
    if (events.hasSubscribers) publishEvent('commit', this);
    this.#end();
  }

  *#abortSteps(asynchronous: boolean): Steps {
    let first: { error: unknown } | undefined;
    if (this.hooks !== null) {
      yield* callForgivingHooks('before-abort hook', this.hooks.beforeAbort, this, undefined, asynchronous);
    }
    this.#savepoints?.endAfter(0);
    if (this.#synchronizers.size > 0) first = this.#synchronizers.beforeAbort(this);
    if (this.#resources !== null) {
      const failed = yield* abortAll(this, this.#resources, asynchronous);
      first ??= failed;
    }
    if (this.hooks !== null && this.hooks.afterAbort.length > 0) {
      yield* callForgivingHooks('after-abort hook', this.hooks.afterAbort, this, undefined, asynchronous);
      if (this.#resources !== null) yield* abortAll(this, this.#resources, asynchronous);
    }
    // Unlike in a commit, the transaction is no longer the current one in afterCompletion.
    this.#owner.release(this);
    if (this.#synchronizers.size > 0) {
      const failed = this.#synchronizers.afterCompletion(this);
      first ??= failed;
    }
    if (events.hasSubscribers) publishEvent('abort', this);
    if (first !== undefined) throw first.error;
  }

  *#callAfterCommitHooks(success: boolean, asynchronous: boolean): Steps {
    const hooks = this.hooks?.afterCommit;
    if (hooks === undefined || hooks.length === 0) return;
    yield* callForgivingHooks('after-commit hook', hooks, this, success, asynchronous);
    // The commit is over either way, but hooks may have touched resources again.
    if (this.#resources !== null) yield* abortAll(this, this.#resources, asynchronous);
  }

  /** Publishes {@link pending} for as long as `work` lasts. */
  #track(work: Promise<void>): Promise<void> {
    const tracked = work.finally(() => {
      this.#pending = null;
      this.#busy = false;
    });
    this.#pending = tracked.then(undefined, () => undefined);
    return tracked;
  }

  #end(): void {
    this.#owner.release(this);
    this.#ended = true;
    this.#busy = false;
    this.#owner = NOBODY;
    this.#synchronizers = NO_SYNCHRONIZERS;
    this.#resources = null;
    this.#savepoints = null;
    this.hooks = null;
    this.forgetData();
  }

  #fail(error: unknown): void {
    this.#status = TransactionStatus.COMMIT_FAILED;
    this.#failure = error;
    if (events.hasSubscribers) publishEvent('fail', this);
  }

  #unjoinAfter(index: number): void {
    for (;;) {
      const manager = this.#savepoints?.takeJoinedAfter(index);
      if (manager === undefined) return;
      this.#known = 0;
      const result = manager.abort(this);
      if (isThenable(result)) {
        result.then(undefined, (error: unknown) => {
          reportSwallowed('abort()', error, this, manager);
        });
      }
      this.#resources = (this.#resources ?? []).filter((other) => other !== manager);
    }
  }

  #refuseAsyncManagers(): void {
    this.#known = this.#resources?.length ?? 0;
    for (const manager of this.#resources ?? []) {
      if (manager.mode === 'async') {
        throw new AsyncRequiredError(
          `${nameOf(manager)} works asynchronously only, so this transaction needs commitAsync() ` +
            '(or an async function in run()). Nothing was committed; the transaction goes on.',
        );
      }
    }
  }

  /** Throws when the status, or what is under way, forbids to go on working in the transaction. */
  #checkJoinable(action: string): void {
    if (this.#status === TransactionStatus.COMMIT_FAILED && !this.#ended) {
      throw new TransactionFailedError(this.#failure);
    }
    if (
      this.#ended ||
      (this.#status !== TransactionStatus.ACTIVE && this.#status !== TransactionStatus.DOOMED)
    ) {
      throw this.#stateError(action);
    }
  }

  #checkIdle(action: string): void {
    if (this.#busy !== false || this.#status === TransactionStatus.COMMITTING) throw this.#stateError(action);
  }

  #stateError(action: string): TransactionStateError {
    const why = whyNot(this.#status, this.#busy, this.#ended);
    return new TransactionStateError(`Can't ${action} in this transaction: ${why}.`);
  }
}
