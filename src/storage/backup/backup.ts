import type { Hash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { POSKeyError, refuseUnknownOptions, UnsupportedError } from '../../errors';
import { ZERO_TID, type Oid, type Tid } from '../../ids';
import { copyTransactions } from '../copy';
import { FileStorage } from '../file';
import { BlobDirectory } from '../file/blob-directory';
import { isBlob } from '../file/blob-record';
import { writeFailure } from '../file/errors';
import { nodeFileSystem } from '../file/file-system';
import { decodeIndexFile } from '../file/index-file';
import { saveIndex } from '../file/open-file';
import type { Storage } from '../interfaces';
import type { Steps } from '../steps';
import { BackupWriter, copyBytes, lastTidOf } from './byte-copy';
import { DeltaStorage } from './delta-storage';
import { addToDat, BLOBS, datOf, indexOf, newName, readRepository, type BackupChain } from './repository';

/** Options of {@link backupStorage}. */
export interface BackupOptions {
  /** A whole backup even where an increment would do. Default false. */
  readonly full?: boolean;
  /** Compress. Default false. */
  readonly gzip?: boolean;
  /** Trust the last increment's checksum instead of reading all that was backed up before. Default false. */
  readonly quick?: boolean;
  /** Remove earlier chains after a whole backup. Default false. */
  readonly removeOld?: boolean;
}

/** What a backup did. */
export interface BackupOutcome {
  readonly kind: 'full' | 'increment' | 'nothing new';
  /** The file that was written. */
  readonly path: string | undefined;
  /** Bytes of the `Data.fs` that it holds. */
  readonly bytes: number;
  readonly blobs: number;
  /** Revisions of blobs that the storage has lost: there was nothing to back up. */
  readonly missingBlobs: number;
}

/**
 * Adds a backup of `storage` to a repository, which is made when it does not exist: an increment when the last backup is a beginning of
 * what there is now, else a whole one. A File storage is copied byte by byte; of any other storage the transactions
 * are written as a `Data.fs`.
 */
export function* backupStorage(
  storage: Storage,
  repository: string,
  options: BackupOptions = {},
): Steps<BackupOutcome> {
  refuseUnknownOptions('backupStorage()', options, ['full', 'gzip', 'quick', 'removeOld']);
  try {
    fs.mkdirSync(repository, { recursive: true });
    const chain = options.full ? undefined : toContinue(readRepository(repository).at(-1));
    const outcome =
      storage instanceof FileStorage
        ? yield* backupFile(storage, repository, chain, options)
        : yield* backupTransactions(storage, repository, chain, options);
    if (outcome.kind === 'full' && options.removeOld) removeOld(repository);
    return outcome;
  } catch (error) {
    throw writeFailure(
      error,
      `${storage.name} could not be backed up to ${repository}; earlier backups are as they were.`,
    );
  }
}

/** A chain that the next backup may go on with, and files that must not be there then. */
interface Continued extends BackupChain {
  readonly strays: readonly string[];
}

/**
 * The chain without what was written and not listed, by a backup that was killed at its end. That would come between the
 * last one and the next, so it has to go; what it holds, the next one holds too.
 */
function toContinue(chain: BackupChain | undefined): Continued | undefined {
  const last = chain?.files.findLastIndex(({ md5 }) => md5 !== '') ?? -1;
  if (chain === undefined || last < 0) return undefined;
  const strays = chain.files.slice(last + 1).map((file) => file.path);
  return { dat: chain.dat, files: chain.files.slice(0, last + 1), strays };
}

function* backupFile(
  storage: FileStorage,
  repository: string,
  chain: Continued | undefined,
  options: BackupOptions,
): Steps<BackupOutcome> {
  // Of one moment, whatever is committed while this runs.
  const end = storage.size();
  const index = storage.encodedIndex();
  const source = fs.openSync(storage.name, 'r');
  try {
    const last = chain?.files.at(-1);
    const isContinued =
      chain !== undefined &&
      last !== undefined &&
      last.end > 0 &&
      last.end <= end &&
      (yield* isPrefix(source, chain, options));
    if (isContinued) chain.strays.forEach((stray) => fs.rmSync(stray, { force: true }));
    if (isContinued && last.end === end) return NOTHING;
    const start = isContinued ? last.end : 0;
    const file = newName(repository, `${isContinued ? 'delta' : ''}fs${options.gzip ? 'z' : ''}`);
    // Blobs first: a backup that is there has all it needs.
    const { blobs, missingBlobs } = yield* backupBlobs(
      storage,
      repository,
      isContinued ? lastTidOf(last) : ZERO_TID,
    );
    const writer = new BackupWriter(file, options.gzip ?? false);
    try {
      const hash = yield* copyBytes(source, start, end, (chunk) => writer.write(chunk));
      writer.end();
      fs.writeFileSync(indexOf(file), index);
      publish(writer, file, [isContinued ? chain.dat : datOf(file), start, end, hash.digest('hex')]);
    } finally {
      writer.discard();
    }
    return { kind: isContinued ? 'increment' : 'full', path: file, bytes: end - start, blobs, missingBlobs };
  } finally {
    fs.closeSync(source);
  }
}

const NOTHING: BackupOutcome = { kind: 'nothing new', path: undefined, bytes: 0, blobs: 0, missingBlobs: 0 };

/** Whether the file still begins with what was backed up: a pack changes that. */
function* isPrefix(source: number, { files }: BackupChain, { quick }: BackupOptions): Steps<boolean> {
  for (const { start, end, md5 } of quick ? files.slice(-1) : files) {
    if (md5 === '') return false;
    const hash = yield* copyBytes(source, start, end, () => undefined);
    if (hash.digest('hex') !== md5) return false;
  }
  return true;
}

function* backupBlobs(
  storage: FileStorage,
  repository: string,
  after: Tid,
): Steps<{ blobs: number; missingBlobs: number }> {
  const count = { blobs: 0, missingBlobs: 0 };
  if (!storage.supports.blobs) return count;
  const target = new BlobDirectory(path.join(repository, BLOBS), undefined, false);
  for (const transaction of storage.iterate((after + 1n) as Tid)) {
    for (const { oid, tid, data } of transaction.records()) {
      if (data === null || !isBlob(data) || target.has(oid, tid)) continue;
      const source = blobPath(storage, oid, tid);
      if (source === undefined) {
        // A lost blob is no reason to have no backup of the rest.
        count.missingBlobs++;
        continue;
      }
      target.install(oid, tid, { path: source, consume: false });
      yield { phase: 'copy blobs', done: ++count.blobs, total: undefined };
    }
  }
  return count;
}

function blobPath(storage: FileStorage, oid: Oid, tid: Tid): string | undefined {
  try {
    return storage.blobPath(oid, tid);
  } catch (error) {
    if (error instanceof POSKeyError) return undefined;
    throw error;
  }
}

function* backupTransactions(
  storage: Storage,
  repository: string,
  chain: Continued | undefined,
  options: BackupOptions,
): Steps<BackupOutcome> {
  if (!storage.supports.iterate) {
    throw new UnsupportedError(`${storage.name} can't list its transactions, so it can't be backed up here.`);
  }
  const last = chain?.files.at(-1);
  const saved =
    last && fs.existsSync(indexOf(last.path))
      ? decodeIndexFile(fs.readFileSync(indexOf(last.path)))
      : undefined;
  if (chain === undefined || last === undefined || saved?.position !== last.end) {
    return yield* backupAll(storage, repository, options);
  }
  chain.strays.forEach((stray) => fs.rmSync(stray, { force: true }));
  const since = lastTidOf(last);
  if (since >= storage.lastTransaction()) return NOTHING;
  const file = newName(repository, `deltafs${options.gzip ? 'z' : ''}`);
  const plain = `${file}.plain`;
  const delta = new DeltaStorage(
    plain,
    saved,
    new BlobDirectory(path.join(repository, BLOBS), undefined, false),
  );
  try {
    const { blobs, missingBlobs } = yield* copyTransactions(storage, delta, (since + 1n) as Tid);
    delta.sync();
    yield* adopt(plain, file, options, (hash) => {
      saveIndexAs(indexOf(file), delta);
      return [chain.dat, last.end, delta.end, hash];
    });
    return { kind: 'increment', path: file, bytes: delta.end - last.end, blobs, missingBlobs };
  } finally {
    delta.close();
    fs.rmSync(plain, { force: true });
  }
}

function* backupAll(storage: Storage, repository: string, options: BackupOptions): Steps<BackupOutcome> {
  const file = newName(repository, `fs${options.gzip ? 'z' : ''}`);
  const plain = `${file}.plain`;
  try {
    const target = new FileStorage(plain, {
      truncate: true,
      blobDir: path.join(repository, BLOBS),
      durability: 'normal',
    });
    let blobs: number;
    let missingBlobs: number;
    try {
      ({ blobs, missingBlobs } = yield* copyTransactions(storage, target));
    } finally {
      target.close();
    }
    const bytes = fs.statSync(plain).size;
    yield* adopt(plain, file, options, (hash) => {
      fs.renameSync(`${plain}.index`, indexOf(file));
      return [datOf(file), 0, bytes, hash];
    });
    return { kind: 'full', path: file, bytes, blobs, missingBlobs };
  } finally {
    for (const suffix of ['', '.lock', '.index']) fs.rmSync(plain + suffix, { force: true });
  }
}

/** Where a backup is listed, and what of the `Data.fs` it holds. */
type DatLine = [dat: string, start: number, end: number, md5: string];

function publish(writer: BackupWriter, file: string, [dat, start, end, md5]: DatLine): void {
  writer.publish();
  try {
    addToDat(dat, file, start, end, md5);
  } catch (error) {
    // One that is not listed could not be continued, and would be reported as damaged.
    fs.rmSync(file, { force: true });
    throw error;
  }
}

/** Makes a backup file of a plain one, and lists it: `finish`, called when it is on disk, says where and how. */
function* adopt(
  plain: string,
  file: string,
  { gzip = false }: BackupOptions,
  finish: (md5: string) => DatLine,
): Steps<void> {
  const writer = new BackupWriter(file, gzip);
  try {
    const fd = fs.openSync(plain, 'r');
    let hash: Hash;
    try {
      hash = yield* copyBytes(fd, 0, fs.fstatSync(fd).size, (chunk) => writer.write(chunk));
    } finally {
      fs.closeSync(fd);
    }
    writer.end();
    publish(writer, file, finish(hash.digest('hex')));
  } finally {
    writer.discard();
  }
}

function saveIndexAs(file: string, delta: DeltaStorage): void {
  saveIndex(nodeFileSystem, file.replace(/\.index$/, ''), delta.index, delta.end);
}

function removeOld(repository: string): void {
  const [, ...rest] = readRepository(repository).reverse();
  for (const { dat, files } of rest) {
    for (const { path: file } of files) {
      fs.rmSync(file, { force: true });
      fs.rmSync(indexOf(file), { force: true });
    }
    fs.rmSync(dat, { force: true });
  }
}
