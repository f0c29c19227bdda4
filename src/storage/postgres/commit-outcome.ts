import { StorageError } from '../../errors';
import { formatTid, type Tid } from '../../ids';
import type { Schema } from './schema';
import type { ServerWork } from './server';
import { Channel } from './server-worker';

/** Whether a commit whose answer was lost was done after all. What can't be found out is an error of its own. */
export function* commitOutcome(
  { txn, commitLock }: Schema,
  transaction: number,
  callTimeout: number,
  tid: Tid,
  error: unknown,
): ServerWork<boolean> {
  if (!(error instanceof StorageError) || error.code !== 'CONNECTION_LOST') return false;
  try {
    // Whoever still works on it has the lock.
    yield {
      channel: Channel.commit,
      place: { transaction, role: 'begin' },
      // The server gives up before we do: nobody would let go of the lock that it got later.
      text: `ROLLBACK; BEGIN; SET LOCAL lock_timeout = ${Math.ceil(callTimeout / 2)}; SELECT pg_advisory_xact_lock(${commitLock})`,
    };
    const text = `SELECT 1 FROM ${txn} WHERE tid = $1`;
    const rows = yield {
      channel: Channel.commit,
      place: { transaction, role: 'inside' },
      text,
      values: [tid],
    };
    const isThere = rows.next();
    yield { channel: Channel.commit, place: { transaction, role: 'end' }, text: 'ROLLBACK' };
    return isThere;
  } catch (cause) {
    throw new StorageError(
      `The connection was lost while transaction ${formatTid(tid)} was committed, and can't be had again: it is not known whether it is stored.`,
      { code: 'COMMIT_UNKNOWN', cause },
    );
  }
}
