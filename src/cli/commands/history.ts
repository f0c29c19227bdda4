import { dateOfTid, formatTid, type Tid } from '../../ids';
import { requireCapability, type TransactionInfo } from '../../storage/index';
import { countOf, oidFirst } from '../arguments';
import { databaseUrl, withStorage, type Context } from '../context';
import { printRows } from '../output';

/** Options of `zodb history`. */
export interface HistoryCommandOptions {
  readonly limit: string;
}

/** `zodb history [oid]`: revisions of an object, or the transactions that can be undone. */
export async function history(
  context: Context,
  args: readonly string[],
  { limit }: HistoryCommandOptions,
): Promise<void> {
  const [oid, given] = oidFirst(args);
  const count = countOf('limit', limit);
  await withStorage(databaseUrl(given, context.env), 'read', (storage) => {
    if (oid === undefined) {
      requireCapability(storage, 'iterate');
      // The undo log begins at the end, but ends at the last pack.
      const undoable = storage.supports.undo ? storage.undoLog!(0, -count) : [];
      const newest =
        undoable.length < count ? lastTransactions(storage.iterate(), count) : undoable.map(describe);
      printRows(context, newest, ['tid', 'time', 'user', 'description']);
      return;
    }
    requireCapability(storage, 'history');
    const rows = storage.history(oid, count).map((entry) => ({ ...describe(entry), size: entry.size }));
    printRows(context, rows, ['tid', 'time', 'size', 'user', 'description']);
  });
}

function lastTransactions(transactions: Iterable<TransactionInfo>, limit: number): Record<string, unknown>[] {
  const last: TransactionInfo[] = [];
  for (const transaction of transactions) {
    last.push(transaction);
    if (last.length > limit) last.shift();
  }
  return last.reverse().map(describe);
}

/** A transaction as rows show it. */
export function describe({ tid, meta }: TransactionInfo): Record<string, unknown> {
  return { tid: formatTid(tid), time: timeText(tid), user: meta.user, description: meta.description };
}

function timeText(tid: Tid): string {
  return dateOfTid(tid).toISOString();
}
