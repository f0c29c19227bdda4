/**
 * Two-phase commit over any resource, after Python's `transaction` package. Knows nothing of objects or bytes.
 *
 * | file | idea |
 * |---|---|
 * | `interfaces.ts` | the contracts of data managers and synchronizers |
 * | `transaction.ts` | one transaction: its statuses and orders of events |
 * | `two-phase.ts`, `steps.ts` | two-phase commit, described once, driven synchronously or asynchronously |
 * | `savepoint.ts`, `hooks.ts`, `synchronizers.ts` | what a transaction is made of |
 * | `manager.ts`, `attempt.ts`, `run.ts`, `retry.ts` | the current transaction; whole transactions, and again |
 * | `context.ts`, `ambient.ts` | the manager of an async context; the module API |
 * | `events.ts`, `report.ts` | diagnostics channels, and errors that must not change an outcome |
 */
export { currentManager, refuseForeignRun, runInContext, transact, transaction } from './ambient';
export { Attempt } from './attempt';
export { detached, withManager } from './context';
export {
  AlreadyInTransaction,
  AsyncRequiredError,
  CrossingTransactionsError,
  DoomedTransaction,
  ForgottenAwaitError,
  InvalidSavepointRollbackError,
  NoTransaction,
  SavepointsUnsupportedError,
  StaleContextError,
  TransactionError,
  TransactionFailedError,
  TransactionStateError,
  TransientError,
} from './errors';
export type { TransactionEvent } from './events';
export type {
  Backoff,
  DataManager,
  DataManagerMode,
  DataManagerSavepoint,
  HookEntry,
  RunOptions,
  SavepointOptions,
  StepResult,
  Synchronizer,
  TransactionManagerOptions,
} from './interfaces';
export { TransactionManager } from './manager';
export type { SwallowedError } from './report';
export { retry, type RetryOptions } from './retry';
export { Savepoint } from './savepoint';
export { TransactionStatus } from './status';
export { isThenable } from './steps';
export { Transaction, type TransactionOwner } from './transaction';
