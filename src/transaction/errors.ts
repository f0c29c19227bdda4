/**
 * What transactions refuse and how they fail. Names follow `transaction/src/transaction/interfaces.py`; what
 * Python says with `ValueError` is a {@link TransactionStateError} or an `InvalidArgumentError` here.
 */
import { ZodbError, type ZodbErrorOptions } from '../errors';

/** Base of all errors of transactions. */
export class TransactionError extends ZodbError {
  constructor(message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'TRANSACTION', ...options });
  }
}

/** The transaction's status does not allow what was asked of it. Nothing was done. */
export class TransactionStateError extends TransactionError {
  constructor(message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'TRANSACTION_STATE', ...options });
  }
}

/**
 * An earlier commit or savepoint of this transaction failed, so that nothing but `abort()` (or a new `begin()`)
 * can go on. `cause` is that first failure.
 */
export class TransactionFailedError extends TransactionError {
  constructor(cause: unknown) {
    super(
      `This transaction failed before (${describe(cause)}); abort() it or begin() a new one. ` +
        'The first failure is the cause of this error.',
      { code: 'TRANSACTION_FAILED', cause },
    );
  }
}

/** `doom()` was called, so this transaction can only be aborted. */
export class DoomedTransaction extends TransactionError {
  constructor(message = 'This transaction is doomed: it can be aborted, not committed.') {
    super(message, { code: 'DOOMED_TRANSACTION' });
  }
}

/** Something went wrong that may well go right when the same transaction is run again from its start. */
export class TransientError extends TransactionError {
  constructor(message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'TRANSIENT', retryable: true, ...options });
  }
}

/** A rollback was asked of a savepoint that a commit, an abort or the rollback of an earlier one has ended. */
export class InvalidSavepointRollbackError extends TransactionError {
  constructor(
    message = 'This savepoint ended with its transaction, or with a rollback to an earlier savepoint.',
  ) {
    super(message, { code: 'INVALID_SAVEPOINT_ROLLBACK' });
  }
}

/** A data manager of the transaction has no `savepoint()`. Ask for `{ optimistic: true }` to go on without. */
export class SavepointsUnsupportedError extends TransactionError {
  /** The data manager that can't go back. */
  readonly dataManager: object;

  constructor(dataManager: object) {
    super(
      `${nameOf(dataManager)} has no savepoints, so this transaction can't be rolled back in part; ` +
        'savepoint({ optimistic: true }) makes one that fails only when it is rolled back.',
      { code: 'SAVEPOINTS_UNSUPPORTED' },
    );
    this.dataManager = dataManager;
  }
}

/** A transaction manager in explicit mode was asked for its transaction before `begin()`. */
export class NoTransaction extends TransactionError {
  constructor(
    message = 'No transaction is active. This transaction manager is explicit: call begin() first.',
  ) {
    super(message, { code: 'NO_TRANSACTION' });
  }
}

/** A transaction manager in explicit mode was asked to begin while its transaction is active. */
export class AlreadyInTransaction extends TransactionError {
  constructor(
    message = 'A transaction is active already. This transaction manager is explicit: commit() or abort() it first.',
  ) {
    super(message, { code: 'ALREADY_IN_TRANSACTION' });
  }
}

/**
 * A synchronous call met something that works only asynchronously: a data manager with `mode: 'async'`, or a
 * hook or data manager that returned a promise. Use `commitAsync()`, `abortAsync()`, or an async function in
 * `run()`.
 */
export class AsyncRequiredError extends TransactionError {
  constructor(message: string) {
    super(message, { code: 'ASYNC_REQUIRED' });
  }
}

/** Two runs that are not nested properly tried to share one transaction, as under `Promise.all`. */
export class CrossingTransactionsError extends TransactionError {
  constructor(message: string) {
    super(message, { code: 'CROSSING_TRANSACTIONS' });
  }
}

/** A `run()` ended while something that it had started was still under way. Its transaction was aborted. */
export class ForgottenAwaitError extends TransactionError {
  constructor(message: string) {
    super(message, { code: 'FORGOTTEN_AWAIT' });
  }
}

/** Code that outlived the `run()` it was started in asked for that run's transaction. */
export class StaleContextError extends TransactionError {
  constructor(message: string) {
    super(message, { code: 'STALE_CONTEXT' });
  }
}

/** A thrown value in a few words. */
export function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** What to call an object in a message: the name of its class. */
export function nameOf(value: object): string {
  const { constructor } = value as { constructor?: { name?: string } };
  return constructor?.name || 'A data manager';
}
