import { dateOfTid, formatTid } from '../../ids';
import { FileStorage, requireCapability, type Storage, type TransactionRecord } from '../../storage/index';
import { countOf } from '../arguments';
import { databaseUrl, withStorage, type Context } from '../context';
import { printRows } from '../output';

/** Options of `zodb tail`. */
export interface TailCommandOptions {
  readonly limit: string;
}

/** `zodb tail`: the last transactions, newest first, with how much they wrote. */
export async function tail(
  context: Context,
  given: string | undefined,
  { limit }: TailCommandOptions,
): Promise<void> {
  const count = countOf('limit', limit);
  await withStorage(databaseUrl(given, context.env), 'read', (storage) => {
    const rows: Record<string, unknown>[] = [];
    for (const transaction of newestFirst(storage, count)) rows.push(describe(transaction));
    printRows(context, rows, ['tid', 'time', 'records', 'bytes', 'user', 'description']);
  });
}

function* newestFirst(storage: Storage, limit: number): Generator<TransactionRecord> {
  if (storage instanceof FileStorage) {
    let count = 0;
    for (const transaction of storage.iterateBackwards()) {
      if (count++ >= limit) return;
      yield transaction;
    }
    return;
  }
  requireCapability(storage, 'iterate');
  const last: TransactionRecord[] = [];
  for (const transaction of storage.iterate()) {
    last.push(transaction);
    if (last.length > limit) last.shift();
  }
  yield* last.reverse();
}

function describe(transaction: TransactionRecord): Record<string, unknown> {
  let records = 0;
  let bytes = 0;
  for (const { data } of transaction.records()) {
    records++;
    bytes += data?.length ?? 0;
  }
  const { tid, meta } = transaction;
  return {
    tid: formatTid(tid),
    time: dateOfTid(tid).toISOString(),
    user: meta.user,
    description: meta.description,
    records,
    bytes,
  };
}
