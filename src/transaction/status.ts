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
