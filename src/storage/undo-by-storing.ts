import { POSKeyError, UndoError } from '../errors';
import { formatTid, ZERO_TID, type Oid, type Tid } from '../ids';
import { isBlob } from './file/blob-record';
import type { BlobReader, Committer, OptionalCommitCalls, Storage, StorageHost } from './interfaces';
import type { TransactionMetaData } from './transaction-meta';
import { undoneData } from './undo-rule';

/** What an undo by storing works with. */
export interface UndoByStoring {
  /** Where the revisions are read. */
  readonly storage: Storage;
  /** Where the transaction is under way: the storage or one of its instances. */
  readonly target: Committer & OptionalCommitCalls;
  readonly host: StorageHost | undefined;
  /** What undo has written so far in this transaction. */
  readonly undone: Map<Oid, Uint8Array | null>;
}

/**
 * Undo without the storage's own: what is to come back is stored anew. For layers in which a revision can't be repeated as it is,
 * because it is bound to its tid, or lies in another storage.
 */
export function undoByStoring(work: UndoByStoring, tid: Tid, txn: TransactionMetaData): readonly Oid[] {
  const { storage } = work;
  if (storage.undoLog!(0, 1, (entry) => entry.tid === tid).length === 0) {
    throw new UndoError(`Transaction ${formatTid(tid)} is unknown or was packed; it can't be undone.`);
  }
  const changes = new Map<Oid, (() => void) | undefined>();
  for (const transaction of storage.iterate!(tid, tid)) {
    for (const { oid, data } of transaction.records()) changes.set(oid, undoOne(work, tid, txn, oid, data));
  }
  const failed = [...changes].filter(([, change]) => change === undefined).map(([oid]) => oid);
  if (failed.length > 0) {
    throw new UndoError(
      `Transaction ${formatTid(tid)} can't be undone: later transactions changed ${failed.length} of its objects, and the ` +
        'changes could not be merged.',
      failed,
    );
  }
  for (const change of changes.values()) change!();
  return [...changes.keys()];
}

interface Revision {
  readonly serial: Tid;
  readonly data: Uint8Array | null;
}

function undoOne(
  work: UndoByStoring,
  tid: Tid,
  txn: TransactionMetaData,
  oid: Oid,
  undone: Uint8Array | null,
): (() => void) | undefined {
  const { storage, host } = work;
  const own = work.undone.get(oid);
  const newest = newestRevision(storage, oid);
  const current = own === undefined ? newest.data : own;
  const previous = revisionBefore(storage, oid, tid);
  const data = undoneData(
    {
      oid,
      unchanged: own === undefined && newest.serial === tid,
      isBlob: [undone, current].some((record) => record !== null && isBlob(record)),
      currentSerial: newest.serial,
      current,
      undoneSerial: tid,
      undone,
      previous: previous?.data ?? null,
    },
    host,
  );
  if (data === undefined) return undefined;
  return () => {
    write(work, txn, oid, newest, data, previous);
    work.undone.set(oid, data);
  };
}

function write(
  { storage, target }: UndoByStoring,
  txn: TransactionMetaData,
  oid: Oid,
  newest: Revision,
  data: Uint8Array | null,
  previous: Revision | undefined,
): void {
  if (data === null) {
    if (newest.data !== null) target.deleteObject!(oid, newest.serial, txn);
    return;
  }
  // A deleted object comes back as a new one.
  const serial = newest.data === null ? ZERO_TID : newest.serial;
  const blob = previous?.data === data && isBlob(data) ? openBlob(storage, oid, previous.serial) : undefined;
  if (blob === undefined) {
    target.store(oid, serial, data, txn);
    return;
  }
  try {
    target.storeBlob!(oid, serial, data, readAll(blob), txn);
  } finally {
    blob.close();
  }
}

function openBlob(storage: Storage, oid: Oid, serial: Tid): BlobReader | undefined {
  try {
    return storage.openBlob?.(oid, serial);
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

function newestRevision(storage: Storage, oid: Oid): Revision {
  try {
    const { data, serial } = storage.load(oid);
    return { data, serial };
  } catch (error) {
    if (!(error instanceof POSKeyError)) throw error;
    return { serial: storage.history?.(oid)[0]?.tid ?? ZERO_TID, data: null };
  }
}

function revisionBefore(storage: Storage, oid: Oid, tid: Tid): Revision | undefined {
  try {
    return storage.loadBefore(oid, tid);
  } catch (error) {
    if (error instanceof POSKeyError) return undefined;
    throw error;
  }
}
