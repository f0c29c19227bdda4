import { recoverFile } from '../../storage/index';
import type { Context } from '../context';
import { formatBytes, formatCount, printFacts } from '../output';
import { runWithProgress } from '../progress';

/** Options of `zodb recover`. */
export interface RecoverCommandOptions {
  readonly partial?: boolean;
}

/** `zodb recover DAMAGED NEW`: what is whole in a damaged Data.fs. */
export function recover(
  context: Context,
  source: string,
  target: string,
  options: RecoverCommandOptions,
): void {
  const report = runWithProgress(context, recoverFile(source, target, { partial: options.partial ?? false }));
  printFacts(context, { path: target, ...report }, [
    ['recovered to', target],
    ['transactions', formatCount(report.transactions)],
    ['records', formatCount(report.records)],
    ['damaged transactions', formatCount(report.damagedTransactions)],
    ['skipped', formatBytes(report.skippedBytes)],
    ...report.problems.map((problem): [string, string] => ['', problem]),
  ]);
}
