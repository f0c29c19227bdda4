import { existsSync, statSync } from 'node:fs';
import { StorageError } from '../../errors';
import { copyTransactions } from '../../storage/index';
import { databaseUrl, withStorage, type Context } from '../context';
import { formatBytes, formatCount, printFacts } from '../output';
import { runWithProgress } from '../progress';
import { missingBlobs } from './copy';

/** `zodb backup <target>`: a consistent copy, while others go on. */
export async function backup(context: Context, target: string, given: string | undefined): Promise<void> {
  await withStorage(databaseUrl(given, context.env), 'read', async (storage) => {
    if (storage.backup) {
      const report = runWithProgress(context, storage.backup(target));
      printFacts(context, report, [
        ['backup', report.path],
        ['size', formatBytes(report.bytes)],
      ]);
      return;
    }
    refuseExisting(target);
    await withStorage(target, 'make', (copy) => {
      const report = runWithProgress(context, copyTransactions(storage, copy));
      printFacts(context, { path: target, ...report }, [
        ['backup', target],
        ['transactions', formatCount(report.transactions)],
        ...missingBlobs(report),
      ]);
    });
  });
}

/** `zodb restore <source>`: makes a new database from a backup or any other database, which may be of another kind. */
export async function restore(context: Context, source: string, given: string | undefined): Promise<void> {
  const target = databaseUrl(given, context.env);
  refuseExisting(target);
  await withStorage(source, 'read', (from) =>
    withStorage(target, 'make', (to) => {
      const report = runWithProgress(context, copyTransactions(from, to));
      printFacts(context, { path: target, ...report }, [
        ['restored', target],
        ['transactions', formatCount(report.transactions)],
        ['records', formatCount(report.records)],
        ['blobs', formatCount(report.blobs)],
        ...missingBlobs(report),
      ]);
    }),
  );
}

/** `StorageError` (`EXISTS`) when there is a database already. */
export function refuseExisting(target: string): void {
  const path = target.replace(/^(sqlite|file):/i, '').split('?')[0]!;
  if (existsSync(path) && statSync(path).size > 0) {
    throw new StorageError(`${target} exists already; it is not overwritten. Name another one.`, {
      code: 'EXISTS',
    });
  }
}
