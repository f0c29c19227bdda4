import { formatOid, formatTid, parseTid } from '../../ids';
import { requireCapability, TransactionMetaData } from '../../storage/index';
import { databaseUrl, withStorage, type Context } from '../context';
import { printFacts } from '../output';

/** `zodb undo <tid>…`: takes transactions back, in one new transaction. */
export async function undo(
  context: Context,
  tids: readonly string[],
  given: string | undefined,
): Promise<void> {
  const wanted = tids.map(parseTid);
  await withStorage(databaseUrl(given, context.env), 'write', (storage) => {
    requireCapability(storage, 'undo');
    const txn = new TransactionMetaData({ description: `undo ${wanted.map(formatTid).join(', ')}` });
    storage.tpcBegin(txn);
    const oids = new Set<string>();
    try {
      for (const tid of wanted) for (const oid of storage.undo(tid, txn)) oids.add(formatOid(oid));
      storage.tpcVote(txn);
    } catch (error) {
      storage.tpcAbort(txn);
      throw error;
    }
    const tid = formatTid(storage.tpcFinish(txn));
    printFacts(context, { tid, objects: [...oids] }, [
      ['undone in', tid],
      ['objects', [...oids].join(', ') || 'none'],
    ]);
  });
}
