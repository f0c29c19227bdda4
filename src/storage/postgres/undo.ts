import { UndoError } from '../../errors';
import { formatTid, type Oid, type Tid } from '../../ids';
import type { StorageHost } from '../interfaces';
import { undoneData } from '../undo-rule';
import type { PendingTransaction } from './commit';
import type { Revision } from './revisions';
import type { ServerWork } from './server';

/** Takes back what `tid` wrote, in a transaction that has the commit lock from then on; what it changed so far counts as current. */
export function* undo(
  pending: PendingTransaction,
  host: StorageHost | undefined,
  tid: Tid,
): ServerWork<readonly Oid[]> {
  yield* pending.lock();
  const oids = yield* pending.written(tid);
  if (oids === undefined)
    throw new UndoError(`Transaction ${formatTid(tid)} is unknown or was packed; it can't be undone.`);
  const newest = yield* pending.revisions(oids, 'newest', tid);
  const undone = yield* pending.revisions(oids, 'at', tid);
  const before = yield* pending.revisions(oids, 'before', tid);
  const failed: Oid[] = [];
  const results: [Oid, Uint8Array | null, Revision | undefined][] = [];
  for (const oid of oids) {
    const previous = before.get(oid);
    const data = undoOne(pending, host, undone.get(oid), newest.get(oid), previous);
    if (data === undefined) failed.push(oid);
    else results.push([oid, data, previous]);
  }
  if (failed.length > 0) {
    throw new UndoError(
      `Transaction ${formatTid(tid)} can't be undone: later transactions changed ${failed.length} of its objects, and the changes could not be merged.`,
      failed,
    );
  }
  for (const [oid, data, previous] of results) {
    if (data === (previous?.data ?? null))
      pending.repeat(oid, data, previous?.origin, previous?.blob ?? null);
    else pending.repeat(oid, data, undefined, null);
  }
  return oids;
}

function undoOne(
  pending: PendingTransaction,
  host: StorageHost | undefined,
  undone: Revision | undefined,
  newest: Revision | undefined,
  previous: Revision | undefined,
): Uint8Array | null | undefined {
  if (undone === undefined || newest === undefined) return undefined;
  const own = pending.changes.get(undone.oid);
  const origin = own === undefined ? newest.origin : own.origin;
  return undoneData(
    {
      oid: undone.oid,
      unchanged: origin === undone.origin,
      isBlob: undone.blob !== null || (own ?? newest).blob !== null || own?.source !== undefined,
      currentSerial: newest.tid,
      current: own === undefined ? newest.data : own.data,
      undoneSerial: undone.tid,
      undone: undone.data,
      previous: previous?.data ?? null,
    },
    host,
  );
}
