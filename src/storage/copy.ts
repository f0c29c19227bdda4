import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { CorruptionError, InvalidArgumentError, POSKeyError, UnsupportedError } from '../errors';
import type { Tid } from '../ids';
import { newWorkingFile } from './blob-working-files';
import { requireCapability } from './capabilities';
import { isBlob } from './file/blob-record';
import type { BlobReader, Committer, DataRecord, RestoreCalls, Storage, StorageSupports } from './interfaces';
import type { Steps } from './steps';
import type { TransactionMetaData } from './transaction-meta';

/** What takes over transactions: each storage that supports `restore`. */
export interface CopyTarget
  extends Pick<Committer, 'tpcBegin' | 'tpcVote' | 'tpcFinish' | 'tpcAbort'>, Partial<RestoreCalls> {
  readonly name: string;
  readonly supports: StorageSupports;
  blobDirectory?(): string;
}

/** What {@link copyTransactions} did. */
export interface CopyReport {
  readonly transactions: number;
  readonly records: number;
  readonly blobs: number;
  /** Revisions of blobs whose content the source does not have: only their records are copied. */
  readonly missingBlobs: number;
}

/**
 * Copies all transactions of one storage into another, with their tids, metadata and blobs
 * (`ZODB/src/ZODB/BaseStorage.py`, `copyTransactionsFrom`). The source must support iteration, the target restoring.
 */
export function* copyTransactions(source: Storage, target: CopyTarget, from?: Tid): Steps<CopyReport> {
  for (const storage of [source, target] as Partial<Storage>[]) {
    if (typeof storage.supports !== 'object')
      throw new InvalidArgumentError(`Storages are copied, not ${typeof storage}s: openStorage(path).`);
  }
  requireCapability(source, 'iterate');
  if (!target.supports.restore || target.restore === undefined) {
    throw new UnsupportedError(
      `The storage ${target.name} can't take over transactions: it does not support "restore".`,
    );
  }
  const withBlobs = source.supports.blobs && target.supports.blobs;
  let [transactions, records, blobs, missingBlobs] = [0, 0, 0, 0];
  for (const transaction of source.iterate(from)) {
    const { meta } = transaction;
    target.tpcBegin(meta, transaction.tid, transaction.status);
    try {
      for (const record of transaction.records()) {
        const isContent = record.data !== null && isBlob(record.data);
        const blob = isContent && withBlobs ? openBlob(source, record) : undefined;
        if (blob) {
          blobs++;
          restoreBlob(target, record, blob, meta);
        } else {
          if (isContent) missingBlobs++;
          target.restore!(record.oid, record.data, meta, record.dataTid);
        }
        if (++records % 500 === 0) yield { phase: 'copy', done: transactions, total: undefined };
      }
      target.tpcVote(meta);
    } catch (error) {
      target.tpcAbort(meta);
      throw error;
    }
    target.tpcFinish(meta);
    transactions++;
    yield { phase: 'copy', done: transactions, total: undefined };
  }
  return { transactions, records, blobs, missingBlobs };
}

function openBlob(source: Storage, { oid, tid }: DataRecord): BlobReader | undefined {
  try {
    return source.openBlob!(oid, tid);
  } catch (error) {
    if (error instanceof POSKeyError) return undefined;
    throw error;
  }
}

function restoreBlob(
  target: CopyTarget,
  { oid, data }: DataRecord,
  blob: BlobReader,
  meta: TransactionMetaData,
): void {
  const path = newWorkingFile(target.blobDirectory!());
  try {
    writeContent(path, blob);
    target.restoreBlob!(oid, data!, { path, consume: true }, meta);
  } finally {
    blob.close();
    rmSync(path, { force: true });
  }
}

function writeContent(path: string, blob: BlobReader): void {
  const file = openSync(path, 'wx');
  try {
    const piece = Buffer.allocUnsafe(256 * 1024);
    for (let position = 0; position < blob.size;) {
      const count = blob.read(piece, 0, piece.length, position);
      if (count === 0) {
        throw new CorruptionError(`The content of a blob ends ${blob.size - position} bytes early.`);
      }
      // Unlike `writeSync` it goes on when a disk that is nearly full takes a part only.
      writeFileSync(file, piece.subarray(0, count));
      position += count;
    }
  } finally {
    closeSync(file);
  }
}
