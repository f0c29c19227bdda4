import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { UnsupportedError } from '../../errors';
import { ZERO_TID, type Tid } from '../../ids';
import { copyTransactions } from '../copy';
import { FileStorage } from '../file';
import { BlobDirectory } from '../file/blob-directory';
import { isBlob } from '../file/blob-record';
import { nodeFileSystem } from '../file/file-system';
import { decodeIndexFile } from '../file/index-file';
import { saveIndex } from '../file/open-file';
import type { Storage } from '../interfaces';
import type { Steps } from '../steps';
import { BackupWriter, copyBytes, readBackup } from './byte-copy';
import { DeltaStorage } from './delta-storage';
import {
  addToDat,
  BLOBS,
  datOf,
  indexOf,
  newName,
  readRepository,
  type BackupChain,
  type BackupFile,
} from './repository';

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
  fs.mkdirSync(repository, { recursive: true });
  const chain = options.full ? undefined : readRepository(repository).at(-1);
  const outcome =
    storage instanceof FileStorage
      ? yield* backupFile(storage, repository, chain, options)
      : yield* backupTransactions(storage, repository, chain, options);
  if (outcome.kind === 'full' && options.removeOld) removeOld(repository);
  return outcome;
}

function* backupFile(
  storage: FileStorage,
  repository: string,
  chain: BackupChain | undefined,
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
    if (isContinued && last.end === end) return NOTHING;
    const start = isContinued ? last.end : 0;
    const file = newName(repository, `${isContinued ? 'delta' : ''}fs${options.gzip ? 'z' : ''}`);
    // Blobs first: a backup that is there has all it needs.
    const blobs = yield* backupBlobs(storage, repository, isContinued ? lastTid(last) : ZERO_TID);
    const writer = new BackupWriter(`${file}.part`, options.gzip ?? false);
    const hash = yield* copyBytes(source, start, end, (chunk) => writer.write(chunk));
    writer.close();
    fs.writeFileSync(indexOf(file), index);
    fs.renameSync(`${file}.part`, file);
    addToDat(isContinued ? chain.dat : datOf(file), file, start, end, hash.digest('hex'));
    return { kind: isContinued ? 'increment' : 'full', path: file, bytes: end - start, blobs };
  } finally {
    fs.closeSync(source);
  }
}

const NOTHING: BackupOutcome = { kind: 'nothing new', path: undefined, bytes: 0, blobs: 0 };

/** Whether the file still begins with what was backed up: a pack changes that. */
function* isPrefix(source: number, { files }: BackupChain, { quick }: BackupOptions): Steps<boolean> {
  for (const { start, end, md5 } of quick ? files.slice(-1) : files) {
    if (md5 === '') return false;
    const hash = yield* copyBytes(source, start, end, () => undefined);
    if (hash.digest('hex') !== md5) return false;
  }
  return true;
}

function* backupBlobs(storage: FileStorage, repository: string, after: Tid): Steps<number> {
  if (!storage.supports.blobs) return 0;
  const target = new BlobDirectory(path.join(repository, BLOBS), undefined, false);
  let count = 0;
  for (const transaction of storage.iterate((after + 1n) as Tid)) {
    for (const { oid, tid, data } of transaction.records()) {
      if (data === null || !isBlob(data) || target.has(oid, tid)) continue;
      target.install(oid, tid, { path: storage.blobPath(oid, tid), consume: false });
      yield { phase: 'copy blobs', done: ++count, total: undefined };
    }
  }
  return count;
}

function* backupTransactions(
  storage: Storage,
  repository: string,
  chain: BackupChain | undefined,
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
  const since = lastTid(last);
  if (since >= storage.lastTransaction()) return NOTHING;
  const file = newName(repository, `deltafs${options.gzip ? 'z' : ''}`);
  const plain = `${file}.plain`;
  const delta = new DeltaStorage(
    plain,
    saved,
    new BlobDirectory(path.join(repository, BLOBS), undefined, false),
  );
  try {
    const { blobs } = yield* copyTransactions(storage, delta, (since + 1n) as Tid);
    delta.close();
    yield* adopt(plain, file, options);
    const hash = yield* hashOf(plain);
    saveIndexAs(indexOf(file), delta);
    fs.renameSync(`${file}.part`, file);
    addToDat(chain.dat, file, last.end, delta.end, hash);
    return { kind: 'increment', path: file, bytes: delta.end - last.end, blobs };
  } finally {
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
    try {
      ({ blobs } = yield* copyTransactions(storage, target));
    } finally {
      target.close();
    }
    const bytes = fs.statSync(plain).size;
    yield* adopt(plain, file, options);
    const hash = yield* hashOf(plain);
    fs.renameSync(`${plain}.index`, indexOf(file));
    fs.renameSync(`${file}.part`, file);
    addToDat(datOf(file), file, 0, bytes, hash);
    return { kind: 'full', path: file, bytes, blobs };
  } finally {
    for (const suffix of ['', '.lock', '.index']) fs.rmSync(plain + suffix, { force: true });
  }
}

function* adopt(plain: string, file: string, { gzip = false }: BackupOptions): Steps<void> {
  const writer = new BackupWriter(`${file}.part`, gzip);
  const fd = fs.openSync(plain, 'r');
  try {
    yield* copyBytes(fd, 0, fs.fstatSync(fd).size, (chunk) => writer.write(chunk));
  } finally {
    fs.closeSync(fd);
    writer.close();
  }
}

function* hashOf(file: string): Steps<string> {
  const fd = fs.openSync(file, 'r');
  try {
    const hash = yield* copyBytes(fd, 0, fs.fstatSync(fd).size, () => undefined, createHash('md5'));
    return hash.digest('hex');
  } finally {
    fs.closeSync(fd);
  }
}

function saveIndexAs(file: string, delta: DeltaStorage): void {
  saveIndex(nodeFileSystem, file.replace(/\.index$/, ''), delta.index, delta.end);
}

/** The tid of the last transaction in a backup file. */
function lastTid(file: BackupFile): Tid {
  const pieces: Buffer[] = [];
  for (const piece of readBackup(file)) pieces.push(Buffer.from(piece));
  const tail = Buffer.concat(pieces);
  const length = Number(tail.readBigUInt64BE(tail.length - 8));
  return tail.readBigUInt64BE(tail.length - 8 - length) as Tid;
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
