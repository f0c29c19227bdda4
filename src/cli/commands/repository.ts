import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvalidArgumentError } from '../../errors';
import { formatTid } from '../../ids';
import { backupStorage, restoreBackup, verifyBackup } from '../../storage/index';
import { databaseUrl, EXIT, withStorage, type Context } from '../context';
import { formatBytes, formatCount, printFacts, problemFacts } from '../output';
import { runWithProgress } from '../progress';
import { refuseExisting, restore } from './backup';

/** Options of `zodb backup` that concern a directory of backups. */
export interface RepositoryOptions {
  readonly incremental?: boolean;
  readonly full?: boolean;
  readonly gzip?: boolean;
  readonly quick?: boolean;
  readonly removeOld?: boolean;
}

/** Whether a backup's target, or a restore's source, is a directory of backups. */
export function isRepository(path: string, options: RepositoryOptions = {}): boolean {
  return options.incremental === true || (existsSync(path) && statSync(path).isDirectory());
}

/** `zodb backup DIRECTORY`: adds an increment, or a whole backup, in the layout of Python's repozo. */
export async function backupInto(
  context: Context,
  repository: string,
  given: string | undefined,
  { full = false, gzip = false, quick = false, removeOld = false }: RepositoryOptions,
): Promise<void> {
  await withStorage(databaseUrl(given, context.env), 'read', (storage) => {
    const outcome = runWithProgress(
      context,
      backupStorage(storage, repository, { full, gzip, quick, removeOld }),
    );
    printFacts(context, outcome, [
      ['backup', outcome.kind],
      ...(outcome.path === undefined ? [] : [['file', outcome.path] satisfies [string, string]]),
      ['size', formatBytes(outcome.bytes)],
      ['blobs', formatCount(outcome.blobs)],
      ...lostBlobs(outcome.missingBlobs),
    ]);
  });
}

/** `zodb restore DIRECTORY`: a Data.fs as of the last backup, or of any moment; by way of one also a database of another kind. */
export async function restoreFrom(
  context: Context,
  repository: string,
  target: string,
  at: string | undefined,
): Promise<void> {
  const time = at === undefined ? undefined : timeOf(at);
  if (/^[a-z][a-z0-9+.-]+:|\.(sqlite3?|db)$/i.test(target)) {
    await restoreByWay(context, repository, target, time);
    return;
  }
  const outcome = runWithProgress(
    context,
    restoreBackup(repository, target, time === undefined ? {} : { time }),
  );
  const lastTransaction = formatTid(outcome.lastTransaction);
  printFacts(context, { ...outcome, lastTransaction }, [
    ['restored', outcome.path],
    ['size', formatBytes(outcome.bytes)],
    ['last transaction', lastTransaction],
    ['blobs', formatCount(outcome.blobs)],
    ...lostBlobs(outcome.missingBlobs),
  ]);
}

/** Restores to a Data.fs in a temporary directory, and copies that. */
async function restoreByWay(
  context: Context,
  repository: string,
  target: string,
  time: number | undefined,
): Promise<void> {
  refuseExisting(target);
  const directory = mkdtempSync(join(tmpdir(), 'zodb-restore-'));
  try {
    const path = join(directory, 'Data.fs');
    runWithProgress(context, restoreBackup(repository, path, time === undefined ? {} : { time }));
    await restore(context, path, target);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** `zodb verify-backup DIRECTORY`: compares all files with their checksums; exit code 3 when something is wrong. */
export function verify(context: Context, repository: string, { quick = false }: RepositoryOptions): void {
  const report = runWithProgress(context, verifyBackup(repository, { quick }));
  const { problems } = report;
  printFacts(context, report, [
    ['files', formatCount(report.files)],
    ['size', formatBytes(report.bytes)],
    ...problemFacts(context, problems),
  ]);
  if (problems.length > 0) context.exitCode = EXIT.problems;
}

function lostBlobs(count: number): [string, string][] {
  return count === 0 ? [] : [['blobs missing', `${formatCount(count)}; "zodb check" names them`]];
}

function timeOf(text: string): number {
  const time = Date.parse(text);
  if (!Number.isNaN(time)) return time;
  throw new InvalidArgumentError(`${JSON.stringify(text)} is no moment; write it as 2026-01-31T12:00:00Z.`, {
    code: 'USAGE',
  });
}
