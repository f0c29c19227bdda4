import { POSKeyError, UndoError } from '../../errors';
import { formatTid, ZERO_TID, type Oid, type Tid } from '../../ids';
import type { BlobReader, Committer, OptionalCommitCalls, Storage } from '../interfaces';
import type { TransactionMetaData } from '../transaction-meta';
import { undoneData } from '../undo-rule';
import { isBlob } from '../file/blob-record';
import type { TransformContext } from './transform-committer';

interface Revision {
  readonly serial: Tid;
  readonly data: Uint8Array | null;
}

/** Undo for bytes that are bound to their transaction: what is to come back is stored anew. */
export function undoByStoring(
  context: TransformContext,
  target: Committer & OptionalCommitCalls,
  tid: Tid,
  txn: TransactionMetaData,
): readonly Oid[] {
  const { base, host } = context;
  if (base.undoLog!(0, 1, (entry) => entry.tid === tid).length === 0) {
    throw new UndoError(`Transaction ${formatTid(tid)} is unknown or was packed; it can't be undone.`);
  }
  const changes: (() => void)[] = [];
  const failed: Oid[] = [];
  const oids: Oid[] = [];
  for (const transaction of base.iterate!(tid, tid)) {
    for (const record of transaction.records()) {
      const { oid } = record;
      oids.push(oid);
      const undone = revision(context, oid, tid, record.data);
      const own = context.undone(txn).get(oid);
      const current = own === undefined ? newest(context, oid) : { ...newest(context, oid), data: own };
      const previous = before(context, oid, tid);
      const data = undoneData(
        {
          oid,
          unchanged: own === undefined && current.serial === tid,
          isBlob: isBlobData(undone.data) || isBlobData(current.data),
          currentSerial: current.serial,
          current: current.data,
          undoneSerial: tid,
          undone: undone.data,
          previous: previous?.data ?? null,
        },
        host,
      );
      if (data === undefined) failed.push(oid);
      else {
        changes.push(() => {
          write(context, target, txn, oid, newest(context, oid), data, previous);
          context.undone(txn).set(oid, data);
        });
      }
    }
  }
  if (failed.length > 0) {
    throw new UndoError(
      `Transaction ${formatTid(tid)} can't be undone: later transactions changed ${failed.length} of its objects, and the ` +
        'changes could not be merged.',
      failed,
    );
  }
  for (const change of changes) change();
  return oids;
}

function write(
  { base, transform }: TransformContext,
  target: Committer & OptionalCommitCalls,
  txn: TransactionMetaData,
  oid: Oid,
  current: Revision,
  data: Uint8Array | null,
  previous: Revision | undefined,
): void {
  if (data === null) {
    if (current.data !== null) target.deleteObject!(oid, current.serial, txn);
    return;
  }
  // A deleted object comes back as a new one.
  const serial = current.data === null ? ZERO_TID : current.serial;
  const blob = previous?.data === data ? openBlob(base, oid, previous.serial) : undefined;
  if (blob === undefined) {
    target.store(oid, serial, data, txn);
    return;
  }
  const reader = transform.blobs === undefined ? blob : transform.blobs.decode(blob, oid, previous!.serial);
  try {
    target.storeBlob!(oid, serial, data, readAll(reader), txn);
  } finally {
    reader.close();
  }
}

function isBlobData(data: Uint8Array | null): boolean {
  return data !== null && isBlob(data);
}

function openBlob(base: Storage, oid: Oid, serial: Tid): BlobReader | undefined {
  try {
    return base.openBlob?.(oid, serial);
  } catch (error) {
    if (error instanceof POSKeyError) return undefined;
    throw error;
  }
}

function readAll(reader: BlobReader): Uint8Array {
  const bytes = Buffer.allocUnsafe(reader.size);
  for (let at = 0; at < bytes.length;) {
    const count = reader.read(bytes, at, bytes.length - at, at);
    if (count === 0) break;
    at += count;
  }
  return bytes;
}

function revision(context: TransformContext, oid: Oid, serial: Tid, encoded: Uint8Array | null): Revision {
  return { serial, data: encoded === null ? null : context.transform.decode(encoded, oid, serial) };
}

function newest(context: TransformContext, oid: Oid): Revision {
  const { base } = context;
  try {
    const { data, serial } = base.load(oid);
    return revision(context, oid, serial, data);
  } catch (error) {
    if (!(error instanceof POSKeyError)) throw error;
    return { serial: base.history?.(oid)[0]?.tid ?? ZERO_TID, data: null };
  }
}

function before(context: TransformContext, oid: Oid, tid: Tid): Revision | undefined {
  try {
    const found = context.base.loadBefore(oid, tid);
    return found && revision(context, oid, found.serial, found.data);
  } catch (error) {
    if (error instanceof POSKeyError) return undefined;
    throw error;
  }
}
