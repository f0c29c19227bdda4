/**
 * Running a function in a transaction: begin, call, commit; again after errors that may pass. A run inside a run of
 * the same manager is a savepoint of it.
 */
import { Frame, inFrame, refuseStale, runFrameOf } from './context';
import { CrossingTransactionsError, ForgottenAwaitError } from './errors';
import type { RunOptions } from './interfaces';
import type { TransactionManager } from './manager';
import { reportSwallowed } from './report';
import { retry } from './retry';
import type { Savepoint } from './savepoint';
import { isThenable } from './steps';
import type { Transaction } from './transaction';

type Body<T> = (transaction: Transaction) => T;

/** What a run found out about the failure of its last attempt, asked while the transaction was still there. */
export interface Verdict {
  retryable: boolean;
  /** The run was nested: only the outermost one may try again. */
  nested: boolean;
}

/** `manager.run(fn, options)`; `verdict` tells what became of it. */
export function run<T>(
  manager: TransactionManager,
  fn: Body<T>,
  options: RunOptions = {},
  verdict: Verdict = { retryable: false, nested: false },
): T {
  const here = runFrameOf(manager);
  if (here !== undefined) refuseStale(here);
  if (manager.running) {
    if (here === undefined) {
      throw new CrossingTransactionsError(
        `Can't start ${labelOf(fn, options)}: its transaction manager is busy with a run of another async context. ` +
          'Use transaction.run() or db.transaction(), which give each async context a manager of its own.',
      );
    }
    verdict.nested = true;
    return runNested(here, fn, options);
  }
  return runOutermost(manager, fn, options, verdict);
}

function runOutermost<T>(manager: TransactionManager, fn: Body<T>, options: RunOptions, verdict: Verdict): T {
  const label = labelOf(fn, options);
  const note = options.note ?? noteOf(fn);
  manager.running = true;
  let asynchronous = false;
  try {
    const result = retry(
      () => {
        verdict.retryable = false;
        // A frame for each attempt: what a failed one left under way must not reach the next one.
        const frame = new Frame(manager, true, null, label);
        return inFrame(frame, () => attempt(manager, frame, fn, note, verdict));
      },
      { ...options, isRetryable: () => verdict.retryable },
    );
    if (!isThenable(result)) return result;
    asynchronous = true;
    return (result as unknown as Promise<unknown>).finally(() => {
      manager.running = false;
    }) as T;
  } finally {
    if (!asynchronous) manager.running = false;
  }
}

function attempt<T>(
  manager: TransactionManager,
  frame: Frame,
  fn: Body<T>,
  note: string,
  verdict: Verdict,
): T {
  let asynchronous = false;
  try {
    const transaction = manager.start();
    if (note) transaction.note(note);
    try {
      const result = fn(transaction);
      if (isThenable(result)) {
        asynchronous = true;
        return attemptAsync(manager, frame, result, verdict) as T;
      }
      refuseUnfinished(frame);
      frame.committing = true;
      manager.current?.commit();
      return result;
    } catch (error) {
      frame.endChild();
      verdict.retryable = isRetryableIn(manager, error);
      abandon(manager);
      throw error;
    }
  } finally {
    if (!asynchronous) frame.end();
  }
}

/** Aborts without waiting; after a commit that is under way, when it has failed. */
function abandon(manager: TransactionManager): void {
  const transaction = manager.current;
  if (transaction === null) return;
  const report = (error: unknown): void => {
    reportSwallowed('abort()', error, transaction, manager);
  };
  if (transaction.pending !== null) {
    transaction.pending.then(() => transaction.abortAsync()).catch(report);
    return;
  }
  try {
    transaction.abort();
  } catch (error) {
    report(error);
  }
}

async function attemptAsync(
  manager: TransactionManager,
  frame: Frame,
  result: PromiseLike<unknown>,
  verdict: Verdict,
): Promise<unknown> {
  try {
    const value: unknown = await result;
    refuseUnfinished(frame);
    frame.committing = true;
    await manager.current?.commitAsync();
    return value;
  } catch (error) {
    frame.endChild();
    const transaction = manager.current;
    if (transaction?.pending) await transaction.pending;
    verdict.retryable = isRetryableIn(manager, error);
    try {
      await manager.current?.abortAsync();
    } catch (later) {
      reportSwallowed('abort()', later, transaction ?? manager, manager);
    }
    throw error;
  } finally {
    frame.end();
  }
}

function runNested<T>(parent: Frame, fn: Body<T>, options: RunOptions): T {
  const { manager } = parent;
  const label = labelOf(fn, options);
  if (parent.child !== null) {
    throw new CrossingTransactionsError(
      `Can't start ${label} while ${parent.child.label} is under way in the same transaction: going back to the ` +
        'start of the one would undo the other. Await one after the other, or start both outside of the transaction.',
    );
  }
  const frame = new Frame(manager, true, parent, label);
  parent.child = frame;
  let asynchronous = false;
  let savepoint: Savepoint | undefined;
  try {
    const transaction = manager.get();
    savepoint = transaction.savepoint({ optimistic: true });
    if (options.note) transaction.note(options.note);
    const result = inFrame(frame, () => fn(transaction));
    if (isThenable(result)) {
      asynchronous = true;
      const promise = nestedAsync(parent, frame, savepoint, result);
      frame.promise = promise;
      return promise as T;
    }
    refuseUnfinished(frame);
    return result;
  } catch (error) {
    frame.end();
    goBack(savepoint, manager);
    throw error;
  } finally {
    if (!asynchronous) leave(parent, frame);
  }
}

async function nestedAsync(
  parent: Frame,
  frame: Frame,
  savepoint: Savepoint,
  result: PromiseLike<unknown>,
): Promise<unknown> {
  try {
    const value: unknown = await result;
    refuseStale(frame);
    refuseUnfinished(frame);
    return value;
  } catch (error) {
    // When the outer run has ended there is nothing left to go back in.
    if (!frame.ended) {
      frame.end();
      goBack(savepoint, frame.manager);
    }
    throw error;
  } finally {
    leave(parent, frame);
  }
}

function leave(parent: Frame, frame: Frame): void {
  frame.end();
  if (parent.child === frame) parent.child = null;
}

/** A rollback that fails has failed the transaction, so its commit will say so; the error at hand matters more. */
function goBack(savepoint: Savepoint | undefined, manager: TransactionManager): void {
  if (!savepoint?.valid || manager.current?.status === 'Commit failed') return;
  try {
    savepoint.rollback();
  } catch (error) {
    reportSwallowed('rollback()', error, manager.current ?? manager, savepoint);
  }
}

/** Throws when the function of this frame has ended before what it had started. */
function refuseUnfinished(frame: Frame): void {
  const { child, label, manager } = frame;
  if (child !== null) {
    throw new ForgottenAwaitError(
      `${label} ended while ${child.label}, nested in it, was still under way, so all of it was undone: await it.`,
    );
  }
  const transaction = manager.current;
  if (transaction?.pending && !transaction.ended) {
    throw new ForgottenAwaitError(
      `${label} ended while a commitAsync() or abortAsync() in it was still under way: await it. ` +
        'That one went on by itself.',
    );
  }
}

function isRetryableIn(manager: TransactionManager, error: unknown): boolean {
  const { current } = manager;
  return current === null
    ? (error as { retryable?: unknown } | null | undefined)?.retryable === true
    : current.isRetryableError(error);
}

function noteOf(fn: { name: string }): string {
  return fn.name === '_' ? '' : fn.name;
}

function labelOf(fn: { name: string }, { note = fn.name }: RunOptions): string {
  return `run(${note})`;
}

/** The frame that refuses what ends a transaction from inside or beside a run of its manager. */
export function refuseInRun(manager: TransactionManager, action: string): void {
  const here = runFrameOf(manager);
  if (here === undefined) {
    throw new CrossingTransactionsError(
      `Can't ${action}: the transaction belongs to a run of another async context, which ends it itself.`,
    );
  }
  refuseStale(here);
  if (here.parent !== null || here.child !== null) {
    throw new CrossingTransactionsError(
      `Can't ${action} while ${(here.child ?? here).label} is nested in the transaction: ` +
        'the outermost run ends it. To give up, throw, or doom() it.',
    );
  }
}
