import { TransactionStateError } from './errors';
import { Hooks } from './hooks';
import type { HookEntry } from './interfaces';
import { TransactionMetadata } from './metadata';

const NO_HOOKS: readonly HookEntry[] = Object.freeze([]);

/**
 * The part of a transaction that takes hooks: functions called once, before or after its commit or its abort. Under
 * `commitAsync()` and `abortAsync()` they may return promises, which are waited for. `commit()` refuses a promise
 * from a before-commit hook and does not wait for one from the others.
 */
export abstract class TransactionWithHooks extends TransactionMetadata {
  /** @internal Made when the first hook is added. */
  protected hooks: Hooks | null = null;

  /** True once the transaction was committed or aborted. */
  abstract get ended(): boolean;

  /**
   * Calls `hook(...args)` when a commit starts. It may change data, let data managers join, and add hooks, which are
   * called too. An error stops the commit and comes out of it.
   */
  addBeforeCommitHook<A extends unknown[]>(hook: (...args: A) => unknown, ...args: A): void {
    this.#toAddTo().beforeCommit.push({ hook, args });
  }

  /**
   * Calls `hook(success, ...args)` after a commit. Errors go to the diagnostics channel `zodb:transaction:error`
   * (a process warning when nobody listens), and changes made in it are aborted.
   */
  addAfterCommitHook<A extends unknown[]>(hook: (success: boolean, ...args: A) => unknown, ...args: A): void {
    this.#toAddTo().afterCommit.push({ hook, args });
  }

  /** Calls `hook(...args)` when an abort starts. Errors as in {@link addAfterCommitHook}. */
  addBeforeAbortHook<A extends unknown[]>(hook: (...args: A) => unknown, ...args: A): void {
    this.#toAddTo().beforeAbort.push({ hook, args });
  }

  /** Calls `hook(...args)` after an abort. Errors as in {@link addAfterCommitHook}; changes made in it are aborted. */
  addAfterAbortHook<A extends unknown[]>(hook: (...args: A) => unknown, ...args: A): void {
    this.#toAddTo().afterAbort.push({ hook, args });
  }

  getBeforeCommitHooks(): IterableIterator<HookEntry> {
    return (this.hooks?.beforeCommit ?? NO_HOOKS).values();
  }

  getAfterCommitHooks(): IterableIterator<HookEntry> {
    return (this.hooks?.afterCommit ?? NO_HOOKS).values();
  }

  getBeforeAbortHooks(): IterableIterator<HookEntry> {
    return (this.hooks?.beforeAbort ?? NO_HOOKS).values();
  }

  getAfterAbortHooks(): IterableIterator<HookEntry> {
    return (this.hooks?.afterAbort ?? NO_HOOKS).values();
  }

  #toAddTo(): Hooks {
    if (this.ended) {
      throw new TransactionStateError(
        "Can't add a hook to this transaction: it has ended, so no hook is called.",
      );
    }
    return (this.hooks ??= new Hooks());
  }
}
