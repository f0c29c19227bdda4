import { existsSync, statSync } from 'node:fs';
import { StorageError } from '../../errors';
import { ZERO_TID } from '../../ids';
import { copyTransactions, type Storage } from '../../storage/index';
import { databaseUrl, withStorage, type Context } from '../context';
import { formatBytes, formatCount, printFacts, withoutPassword } from '../output';
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
      refuseFilled(copy);
      const report = runWithProgress(context, copyTransactions(storage, copy));
      const path = withoutPassword(target);
      printFacts(context, { path, ...report }, [
        ['backup', path],
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
      refuseFilled(to);
      const report = runWithProgress(context, copyTransactions(from, to));
      const path = withoutPassword(target);
      printFacts(context, { path, ...report }, [
        ['restored', path],
        ['transactions', formatCount(report.transactions)],
        ['records', formatCount(report.records)],
        ['blobs', formatCount(report.blobs)],
        ...missingBlobs(report),
      ]);
    }),
  );
}

/** As {@link refuseExisting}, for a database that is no file, or is in layers. */
function refuseFilled(storage: Storage): void {
  if (storage.lastTransaction() === ZERO_TID) return;
  throw new StorageError(`${storage.name} holds a database already; it is not changed. Name another one.`, {
    code: 'EXISTS',
  });
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
