/** Where a transaction stands. The texts are those of `transaction/src/transaction/_transaction.py`. */
export const TransactionStatus = Object.freeze({
  /** Open for work. An aborted transaction keeps its status too: see `Transaction.ended`. */
  ACTIVE: 'Active',
  COMMITTING: 'Committing',
  COMMITTED: 'Committed',
  /** Can only be aborted: somebody called `doom()`. */
  DOOMED: 'Doomed',
  /** A commit, or making or rolling back a savepoint, failed; it can only be aborted. */
  COMMIT_FAILED: 'Commit failed',
} as const);

export type TransactionStatus = (typeof TransactionStatus)[keyof typeof TransactionStatus];

/** What is under way in a transaction. */
export type Busy = false | 'commit' | 'commitAsync' | 'abort' | 'abortAsync';

/** Why nothing can be done in a transaction, for messages. */
export function whyNot(status: TransactionStatus, busy: Busy, ended: boolean): string {
  if (busy === 'commitAsync' || busy === 'abortAsync') return `its ${busy}() is still under way: await it`;
  if (status === TransactionStatus.COMMITTED) return 'it was committed: begin a new one';
  if (ended) return 'it was aborted: begin a new one';
  return busy === false ? `its status is ${JSON.stringify(status)}` : `its ${busy}() is under way`;
}
