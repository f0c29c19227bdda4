/**
 * Where errors go that must not change an outcome: a hook after a commit that has succeeded, a data manager that
 * fails in the clean-up after another failure.
 */
import { channel } from 'node:diagnostics_channel';
import { describe } from './errors';

/** Published on the diagnostics channel `zodb:transaction:error`. */
export interface SwallowedError {
  /** What was being done: `'after-commit hook'`, `'tpcAbort()'`, … */
  readonly during: string;
  readonly error: unknown;
  readonly transaction: object;
  /** The hook, data manager or synchronizer that failed. */
  readonly participant: unknown;
}

const errors = channel('zodb:transaction:error');

/** Hands the error to the subscribers of `zodb:transaction:error`; when there are none it is a process warning. */
export function reportSwallowed(
  during: string,
  error: unknown,
  transaction: object,
  participant: unknown,
): void {
  if (errors.hasSubscribers) {
    errors.publish({ during, error, transaction, participant } satisfies SwallowedError);
    return;
  }
  process.emitWarning(`An error in ${during} was passed over: ${describe(error)}`, {
    type: 'ZodbTransactionWarning',
    code: 'ZODB_TRANSACTION_ERROR',
    ...(error instanceof Error && error.stack ? { detail: error.stack } : {}),
  });
}
