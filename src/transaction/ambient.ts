import { currentFrame, type Frame, refuseStale } from './context';
import type { Attempt } from './attempt';
import { CrossingTransactionsError } from './errors';
import type { RunOptions, SavepointOptions, Synchronizer } from './interfaces';
import { TransactionManager } from './manager';
import { run } from './run';
import type { Savepoint } from './savepoint';
import { isThenable } from './steps';
import type { Transaction } from './transaction';

// Anchored for the same reason as the frames in context.ts.
const MANAGER = Symbol.for('zodb.transaction.manager.1');
const shared = globalThis as { [MANAGER]?: TransactionManager };
const processManager = (shared[MANAGER] ??= new TransactionManager());

/**
 * The transaction manager of the running code: that of the `run()`, `db.transaction()` or `withManager()` it was
 * started in, else the process-wide one (each worker thread has its own).
 * @throws StaleContextError in code that outlives the run it was started in
 */
export function currentManager(): TransactionManager {
  const frame = currentFrame();
  if (frame === undefined) return processManager;
  if (frame.isRun) refuseStale(frame);
  return frame.manager;
}

/**
 * For data managers that are about to join: throws when their manager is the process-wide one and the code around is
 * in a run of another manager, whose commit would not include the change.
 * @throws CrossingTransactionsError
 */
export function refuseForeignRun(manager: TransactionManager): void {
  if (manager !== processManager) return;
  const frame = currentFrame();
  if (frame === undefined || !frame.isRun || frame.ended || frame.manager === manager) return;
  throw new CrossingTransactionsError(
    `Something of the process-wide transaction was changed in ${frame.label}, whose commit does not include it. ` +
      'Open the connection inside of the run, or use db.transaction().',
  );
}

/** As {@link TransactionManager.run}, in the run around it, or else with a manager of its own. */
export function runInContext<T>(fn: (transaction: Transaction) => T, options?: RunOptions): T {
  const frame = currentFrame();
  if (frame !== undefined && !isAfterCommit(frame)) return run(currentManager(), fn, options);
  const manager = new TransactionManager();
  let asynchronous = false;
  try {
    const result = run(manager, fn, options);
    if (!isThenable(result)) return result;
    asynchronous = true;
    return (result as unknown as Promise<unknown>).finally(() => {
      manager.retire();
    }) as T;
  } finally {
    if (!asynchronous) manager.retire();
  }
}

/** Whether the code around is an after-commit hook of a run: what it runs can't be part of that transaction any more. */
function isAfterCommit(frame: Frame): boolean {
  const { current } = frame.manager;
  return (
    frame.committing &&
    !frame.ended &&
    (current?.status === 'Committed' || current?.status === 'Commit failed')
  );
}

/**
 * The transaction of the running code, as Python's `transaction` module: every method is that of
 * {@link currentManager}.
 */
export const transaction = Object.freeze({
  /** See {@link currentManager}. */
  get manager(): TransactionManager {
    return currentManager();
  },
  begin: (): Transaction => currentManager().begin(),
  get: (): Transaction => currentManager().get(),
  commit: (): void => {
    currentManager().commit();
  },
  commitAsync: async (): Promise<void> => currentManager().commitAsync(),
  abort: (): void => {
    currentManager().abort();
  },
  abortAsync: async (): Promise<void> => currentManager().abortAsync(),
  doom: (): void => {
    currentManager().doom();
  },
  isDoomed: (): boolean => currentManager().isDoomed(),
  savepoint: (options?: SavepointOptions): Savepoint => currentManager().savepoint(options),
  registerSynch: (synchronizer: Synchronizer): void => {
    currentManager().registerSynch(synchronizer);
  },
  unregisterSynch: (synchronizer: Synchronizer): void => {
    currentManager().unregisterSynch(synchronizer);
  },
  clearSynchs: (): void => {
    currentManager().clearSynchs();
  },
  registeredSynchs: (): boolean => currentManager().registeredSynchs(),
  /** See {@link TransactionManager.attempts}; as for `run`, outside of any run they have a manager of their own. */
  attempts: (number?: number, options?: Omit<RunOptions, 'attempts'>): IterableIterator<Attempt> =>
    (currentFrame() === undefined ? new TransactionManager({ explicit: true }) : currentManager()).attempts(
      number,
      options,
    ),
  /**
   * Calls `fn` in a transaction and commits it, again after retryable errors: see {@link TransactionManager.run}.
   * Outside of any run it makes a transaction manager of its own, so concurrent calls do not meet: open connections
   * inside of it.
   */
  run: <T>(fn: (transaction: Transaction) => T, options?: RunOptions): T => runInContext(fn, options),
});

/** `fn` as a function that runs in a transaction of its own, or in a savepoint of the one around its call. */
export function transact<A extends unknown[], T>(
  fn: (...args: A) => T,
  options?: RunOptions,
): (...args: A) => T {
  const note = options?.note ?? fn.name;
  return function (this: unknown, ...args: A): T {
    return runInContext(() => fn.apply(this, args), { ...options, note });
  };
}
