import { copyTransactions } from '../../storage/index';
import { withStorage, type Context } from '../context';
import { formatCount, printFacts } from '../output';
import { runWithProgress } from '../progress';

/** `zodb copy SOURCE TARGET`: all transactions, with their tids and blobs, into a storage of any kind. */
export async function copy(context: Context, source: string, target: string): Promise<void> {
  await withStorage(source, 'read', (from) =>
    withStorage(target, 'make', (to) => {
      const report = runWithProgress(context, copyTransactions(from, to, next(to.lastTransaction())));
      printFacts(context, { source, target, ...report }, [
        ['copied to', target],
        ['transactions', formatCount(report.transactions)],
        ['records', formatCount(report.records)],
        ['blobs', formatCount(report.blobs)],
      ]);
    }),
  );
}

/** A target that has something is continued from there. */
function next<T extends bigint>(last: T): T {
  return (last + 1n) as T;
}
