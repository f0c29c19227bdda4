import { channel } from 'node:diagnostics_channel';
import { InvalidArgumentError } from '../errors';
import {
  AsyncRequiredError,
  DoomedTransaction,
  nameOf,
  TransactionError,
  TransactionFailedError,
  TransactionStateError,
} from './errors';
import { callHook, type HookList, Hooks } from './hooks';
import type { DataManager, DataManagerSavepoint, HookEntry, SavepointOptions } from './interfaces';
import { reportSwallowed } from './report';
import { isRetryable } from './retryable';
import { EndedSavepoints, Savepoint, saveStates, type SavepointOwner } from './savepoint';
import { TransactionStatus } from './status';
import { driveAsync, driveDetached, driveSync, isThenable, type Steps } from './steps';
import { Synchronizers } from './synchronizers';
import { textOf } from './text';
import { cleanUpAll, modeOf, twoPhaseCommit } from './two-phase';

/** What a transaction needs of the manager that made it. */
export interface TransactionOwner {
  /** The transaction has ended: it is no longer the current one. Must accept one that isn't. */
  release(transaction: Transaction): void;
}

/** Published on the diagnostics channel `zodb:transaction`. */
export interface TransactionEvent {
  readonly event: 'begin' | 'commit' | 'abort' | 'fail';
  readonly transaction: Transaction;
}

const events = channel('zodb:transaction');
const NO_SYNCHRONIZERS = new Synchronizers();
const NOBODY: TransactionOwner = { release: () => undefined };
const NO_HOOKS: readonly HookEntry[] = Object.freeze([]);

type Busy = false | 'commit' | 'commitAsync' | 'abort' | 'abortAsync';

/**
 * A unit of work over any number of data managers: all of it happens, or nothing. Made by a
 * `TransactionManager`; current until it is committed or aborted.
 *
 * Used with `using`, a transaction that was not committed is aborted at the end of the block.
 */
export class Transaction implements SavepointOwner {
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
  /** Who joined after a savepoint, with the number of the last savepoint made before. */
  #lateJoins: { manager: DataManager; after: number }[] | null = null;
  #lastSavepoint = 0;
  #endedSavepoints: EndedSavepoints | null = null;
  #hooks: Hooks | null = null;
  #data: Map<unknown, unknown> | null = null;
  #extension: Record<string, unknown> | null = null;
  #user = '';
  #description = '';

  /** For transaction managers; alone it is a transaction that nobody calls current. */
  constructor(owner: TransactionOwner = NOBODY, synchronizers: Synchronizers = NO_SYNCHRONIZERS) {
    this.#owner = owner;
    this.#synchronizers = synchronizers;
    if (events.hasSubscribers) this.#publish('begin');
  }

  /** Where the transaction stands. Abort does not change it: see {@link ended}. */
  get status(): TransactionStatus {
    return this.#status;
  }

  /** True once the transaction was committed or aborted: nothing more can be done in it. */
  get ended(): boolean {
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
    // A savepoint made earlier needs no state of the newcomer: going back there means leaving again.
    if (this.#lastSavepoint > 0) (this.#lateJoins ??= []).push({ manager, after: this.#lastSavepoint });
  }

  /** Who has joined, in that order. */
  get dataManagers(): readonly DataManager[] {
    return this.#resources === null ? [] : [...this.#resources];
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
    this.#lastSavepoint += 1;
    return new Savepoint(this, this.#lastSavepoint, states);
  }

  /** @internal */
  isSavepointValid(index: number): boolean {
    return !this.#ended && !(this.#endedSavepoints?.has(index) ?? false);
  }

  /** @internal */
  rollbackTo(index: number, states: readonly DataManagerSavepoint[]): void {
    this.#checkJoinable('roll back');
    this.#endSavepointsAfter(index);
    try {
      for (const state of states) state.rollback();
      this.#unjoinAfter(index);
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  // --- what is written with it

  /** Who did it. @throws InvalidArgumentError for null and undefined */
  get user(): string {
    return this.#user;
  }

  set user(value: string) {
    if (value == null) throw new InvalidArgumentError("A transaction's user must be a text, not null.");
    this.#user = textOf(value, 'user');
  }

  /** Sets {@link user} to `path + ' ' + name`, as Zope's user folders do. */
  setUser(name: string, path = '/'): void {
    if (name == null) throw new InvalidArgumentError("A transaction's user must be a text, not null.");
    this.user = `${textOf(path, 'path')} ${textOf(name, 'user')}`;
  }

  /** What it is for. Setting null or undefined does nothing. */
  get description(): string {
    return this.#description;
  }

  set description(value: string) {
    if (value != null) this.#description = textOf(value, 'description');
  }

  /** Adds a line to {@link description}, without spaces around it. Null and undefined add nothing. */
  note(text: string | null | undefined): void {
    if (text == null) return;
    const line = textOf(text, 'note').trim();
    this.#description = this.#description ? `${this.#description}\n${line}` : line;
  }

  /** Free data written with the commit, by name. */
  get extension(): Record<string, unknown> {
    return (this.#extension ??= {});
  }

  set extension(value: Record<string, unknown>) {
    this.#extension = value;
  }

  /** Whether {@link extension} holds anything; asking that way makes no object. */
  get hasExtension(): boolean {
    return this.#extension !== null && Object.keys(this.#extension).length > 0;
  }

  setExtendedInfo(name: string, value: unknown): void {
    this.extension[name] = value;
  }

  /**
   * What {@link setData} put there for this very key. Gone when the transaction ends.
   * @throws TransactionError with code `NO_DATA` when there is nothing: see {@link hasData}
   */
  data(key: unknown): unknown {
    if (!this.hasData(key)) {
      throw new TransactionError('This transaction holds no data for that key.', { code: 'NO_DATA' });
    }
    return this.#data!.get(key);
  }

  hasData(key: unknown): boolean {
    return this.#data?.has(key) ?? false;
  }

  /** Keeps something for a participant until the transaction ends, by the identity of `key`. */
  setData(key: unknown, value: unknown): void {
    if (this.#ended) throw this.#stateError('setData');
    (this.#data ??= new Map()).set(key, value);
  }

  // --- hooks

  /**
   * Calls `hook(...args)` when a commit starts. It may change data, let data managers join, and add hooks, which are
   * called too. An error stops the commit and comes out of it.
   */
  addBeforeCommitHook<A extends unknown[]>(hook: (...args: A) => unknown, ...args: A): void {
    this.#hooksToAddTo().beforeCommit.push({ hook, args });
  }

  /**
   * Calls `hook(success, ...args)` after a commit. Errors go to the diagnostics channel `zodb:transaction:error`
   * (a process warning when nobody listens), and changes made in it are aborted.
   */
  addAfterCommitHook<A extends unknown[]>(hook: (success: boolean, ...args: A) => unknown, ...args: A): void {
    this.#hooksToAddTo().afterCommit.push({ hook, args });
  }

  /** Calls `hook(...args)` when an abort starts. Errors as in {@link addAfterCommitHook}. */
  addBeforeAbortHook<A extends unknown[]>(hook: (...args: A) => unknown, ...args: A): void {
    this.#hooksToAddTo().beforeAbort.push({ hook, args });
  }

  /** Calls `hook(...args)` after an abort. Errors as in {@link addAfterCommitHook}; changes made in it are aborted. */
  addAfterAbortHook<A extends unknown[]>(hook: (...args: A) => unknown, ...args: A): void {
    this.#hooksToAddTo().afterAbort.push({ hook, args });
  }

  getBeforeCommitHooks(): IterableIterator<HookEntry> {
    return (this.#hooks?.beforeCommit ?? NO_HOOKS).values();
  }

  getAfterCommitHooks(): IterableIterator<HookEntry> {
    return (this.#hooks?.afterCommit ?? NO_HOOKS).values();
  }

  getBeforeAbortHooks(): IterableIterator<HookEntry> {
    return (this.#hooks?.beforeAbort ?? NO_HOOKS).values();
  }

  getAfterAbortHooks(): IterableIterator<HookEntry> {
    return (this.#hooks?.afterAbort ?? NO_HOOKS).values();
  }

  // --- the orders of events

  #startCommit(how: 'commit' | 'commitAsync'): void {
    this.#checkIdle(how);
    if (this.#status === TransactionStatus.DOOMED) throw new DoomedTransaction();
    this.#endSavepointsAfter(0);
    if (this.#status === TransactionStatus.COMMIT_FAILED) throw new TransactionFailedError(this.#failure);
    if (this.#ended || this.#status !== TransactionStatus.ACTIVE) throw this.#stateError(how);
    if (how === 'commit') this.#refuseAsyncManagers();
    this.#busy = how;
  }

  *#commitSteps(asynchronous: boolean): Steps {
    if (this.#hooks !== null) yield* this.#callStoppingHooks(this.#hooks.beforeCommit);
    if (this.#synchronizers.size > 0) this.#synchronizers.beforeCompletion(this);
    // A hook may have doomed it. Python would commit; what must not be committed is not.
    if (this.isDoomed()) throw new DoomedTransaction();
    if (this.#resources !== null) {
      if (!asynchronous) this.#refuseAsyncManagers();
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
    if (this.#hooks !== null) yield* this.#callAfterCommitHooks(true, asynchronous);
    if (events.hasSubscribers) this.#publish('commit');
    this.#end();
  }

  *#abortSteps(asynchronous: boolean): Steps {
    let first: { error: unknown } | undefined;
    if (this.#hooks !== null) {
      yield* this.#callForgivingHooks('before-abort hook', this.#hooks.beforeAbort, undefined, asynchronous);
    }
    this.#endSavepointsAfter(0);
    if (this.#synchronizers.size > 0) first = this.#synchronizers.beforeAbort(this);
    if (this.#resources !== null) {
      const failed = yield* this.#abortResources(asynchronous);
      first ??= failed;
    }
    if (this.#hooks !== null && this.#hooks.afterAbort.length > 0) {
      yield* this.#callForgivingHooks('after-abort hook', this.#hooks.afterAbort, undefined, asynchronous);
      yield* this.#abortResources(asynchronous);
    }
    // Unlike in a commit, the transaction is no longer the current one in afterCompletion.
    this.#owner.release(this);
    if (this.#synchronizers.size > 0) {
      const failed = this.#synchronizers.afterCompletion(this);
      first ??= failed;
    }
    if (events.hasSubscribers) this.#publish('abort');
    if (first !== undefined) throw first.error;
  }

  /** Aborts every data manager, reports every error, and returns the first as `{ error }`. */
  *#abortResources(asynchronous: boolean): Generator<unknown, { error: unknown } | undefined, void> {
    let first: { error: unknown } | undefined;
    for (const manager of this.#resources ?? []) {
      try {
        const nonBlocking = asynchronous && manager.abortAsync !== undefined && modeOf(manager) === 'both';
        const result = nonBlocking ? manager.abortAsync!(this) : manager.abort(this);
        if (result !== undefined) yield result;
      } catch (error) {
        first ??= { error };
        reportSwallowed('abort()', error, this, manager);
      }
    }
    return first;
  }

  *#callStoppingHooks(hooks: HookList): Steps {
    try {
      // The list may grow while it is called.
      for (const entry of hooks) {
        const result = callHook(entry, undefined);
        if (isThenable(result)) yield result;
      }
    } finally {
      hooks.length = 0;
    }
  }

  *#callForgivingHooks(
    kind: string,
    hooks: HookList,
    outcome: boolean | undefined,
    asynchronous: boolean,
  ): Steps {
    for (const entry of hooks) {
      try {
        const result = callHook(entry, outcome);
        if (!isThenable(result)) continue;
        if (asynchronous) {
          yield result;
        } else {
          result.then(undefined, (error: unknown) => {
            reportSwallowed(kind, error, this, entry.hook);
          });
        }
      } catch (error) {
        reportSwallowed(kind, error, this, entry.hook);
      }
    }
    hooks.length = 0;
  }

  *#callAfterCommitHooks(success: boolean, asynchronous: boolean): Steps {
    const hooks = this.#hooks?.afterCommit;
    if (hooks === undefined || hooks.length === 0) return;
    yield* this.#callForgivingHooks('after-commit hook', hooks, success, asynchronous);
    // The commit is over either way, but hooks may have touched resources again.
    yield* this.#abortResources(asynchronous);
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
    this.#lateJoins = null;
    this.#hooks = null;
    this.#data = null;
  }

  #fail(error: unknown): void {
    this.#status = TransactionStatus.COMMIT_FAILED;
    this.#failure = error;
    if (events.hasSubscribers) this.#publish('fail');
  }

  #endSavepointsAfter(index: number): void {
    if (this.#lastSavepoint > index) {
      (this.#endedSavepoints ??= new EndedSavepoints()).end(index, this.#lastSavepoint);
    }
  }

  #unjoinAfter(index: number): void {
    while (this.#lateJoins !== null) {
      const position = this.#lateJoins.findIndex(({ after }) => after >= index);
      if (position < 0) return;
      const [{ manager }] = this.#lateJoins.splice(position, 1) as [{ manager: DataManager; after: number }];
      const result = manager.abort(this);
      if (isThenable(result)) {
        result.then(undefined, (error: unknown) => {
          reportSwallowed('abort()', error, this, manager);
        });
      }
      this.#resources = (this.#resources ?? []).filter((other) => other !== manager);
    }
  }

  #hooksToAddTo(): Hooks {
    if (this.#ended) throw this.#stateError('add a hook');
    return (this.#hooks ??= new Hooks());
  }

  #refuseAsyncManagers(): void {
    for (const manager of this.#resources ?? []) {
      if (modeOf(manager) === 'async') {
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
    let why: string;
    if (this.#busy === 'commitAsync' || this.#busy === 'abortAsync') {
      why = `its ${this.#busy}() is still under way: await it`;
    } else if (this.#status === TransactionStatus.COMMITTED) {
      why = 'it was committed: begin a new one';
    } else if (this.#ended) {
      why = 'it was aborted: begin a new one';
    } else if (this.#busy !== false) {
      why = `its ${this.#busy}() is under way`;
    } else {
      why = `its status is ${JSON.stringify(this.#status)}`;
    }
    return new TransactionStateError(`Can't ${action} in this transaction: ${why}.`);
  }

  #publish(event: TransactionEvent['event']): void {
    events.publish({ event, transaction: this } satisfies TransactionEvent);
  }
}
