import { existsSync, realpathSync } from 'node:fs';
import { InvalidArgumentError } from '../../errors';
import { copyTransactions, type CopyReport } from '../../storage/index';
import { withStorage, type Context } from '../context';
import { formatCount, printFacts, withoutPassword } from '../output';
import { runWithProgress } from '../progress';

/** `zodb copy SOURCE TARGET`: all transactions, with their tids and blobs, into a storage of any kind. */
export async function copy(context: Context, source: string, target: string): Promise<void> {
  if (placeOf(source) === placeOf(target)) {
    throw new InvalidArgumentError(`${withoutPassword(source)} can't be copied into itself.`, {
      code: 'USAGE',
    });
  }
  await withStorage(source, 'read', (from) =>
    withStorage(target, 'make', (to) => {
      const report = runWithProgress(context, copyTransactions(from, to, next(to.lastTransaction())));
      const [of, shown] = [withoutPassword(source), withoutPassword(target)];
      printFacts(context, { source: of, target: shown, ...report }, [
        ['copied to', shown],
        ['transactions', formatCount(report.transactions)],
        ['records', formatCount(report.records)],
        ['blobs', formatCount(report.blobs)],
        ...missingBlobs(report),
      ]);
    }),
  );
}

/** What is said of blobs that the source has lost, or keeps elsewhere. */
export function missingBlobs({ missingBlobs: count }: CopyReport): [string, string][] {
  if (count === 0) return [];
  return [['blobs missing', `${formatCount(count)}: their records are copied, without content`]];
}

/** The file that is meant, where it is one. */
function placeOf(url: string): string {
  const path = /^[a-z][a-z0-9+.-]+:/i.test(url) ? url.replace(/^(sqlite|file):/i, '').split('?')[0]! : url;
  return existsSync(path) ? realpathSync(path) : path;
}

/** A target that has something is continued from there. */
function next<T extends bigint>(last: T): T {
  return (last + 1n) as T;
}
