import { StorageError } from '../../errors';
import { formatTid, type Tid } from '../../ids';
import type { PendingTransaction } from './commit';
import type { Schema } from './schema';
import type { ServerWork } from './server';
import { Channel } from './server-worker';

/**
 * Whether a commit whose answer was lost was done after all. What can't be found out is an error of its own.
 * @param transaction a new number, for the question
 */
export function* commitOutcome(
  schema: Schema,
  transaction: number,
  callTimeout: number,
  { tid, serverId }: PendingTransaction,
  error: unknown,
): ServerWork<boolean> {
  if (!(error instanceof StorageError) || error.code !== 'CONNECTION_LOST') return false;
  let outcome: string | null;
  try {
    outcome = yield* ask(schema, transaction, callTimeout, tid, serverId!);
  } catch (cause) {
    throw unknown(tid, "and can't be had again", cause);
  }
  if (outcome === 'committed' || outcome === 'aborted') return outcome === 'committed';
  throw unknown(tid, 'and the server does not know its transaction any more', error);
}

function* ask(
  { txn, meta, commitLock }: Schema,
  transaction: number,
  callTimeout: number,
  tid: Tid,
  serverId: string,
): ServerWork<string | null> {
  // Whoever still works on it has the lock.
  yield {
    channel: Channel.commit,
    place: { transaction, role: 'begin' },
    // The server gives up before we do: nobody would let go of the lock that it got later.
    text: `ROLLBACK; BEGIN; SET LOCAL lock_timeout = ${Math.ceil(callTimeout / 2)}; SELECT pg_advisory_xact_lock(${commitLock})`,
  };
  // Somebody else may have used the tid since, and a pack may have removed the row. A server that took another's place may have neither.
  const rows = yield {
    channel: Channel.commit,
    place: { transaction, role: 'inside' },
    text: `SELECT CASE WHEN EXISTS (SELECT 1 FROM ${txn} WHERE tid = $2) OR (SELECT value >= $2 FROM ${meta} WHERE name = 'packed_to')
      THEN txid_status($1) ELSE 'aborted' END`,
    values: [serverId, tid],
  };
  rows.next();
  const outcome = rows.text();
  yield { channel: Channel.commit, place: { transaction, role: 'end' }, text: 'ROLLBACK' };
  return outcome;
}

function unknown(tid: Tid, why: string, cause: unknown): StorageError {
  return new StorageError(
    `The connection was lost while transaction ${formatTid(tid)} was committed, ${why}: it is not known whether it is stored.`,
    { code: 'COMMIT_UNKNOWN', cause },
  );
}
