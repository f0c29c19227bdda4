import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { CorruptionError, InvalidArgumentError, refuseUnknownOptions } from '../../errors';
import { dateOfTid, MAX_TID, tidFromTime, ZERO_TID, type Tid } from '../../ids';
import { FileStorage } from '../file';
import { BlobDirectory } from '../file/blob-directory';
import { writeFailure } from '../file/errors';
import { nodeFileSystem, writeFully } from '../file/file-system';
import { isBlob } from '../file/blob-record';
import type { Steps } from '../steps';
import { readBackup } from './byte-copy';
import { BLOBS, indexOf, readRepository, syncFile, type BackupChain, type BackupFile } from './repository';

/** Options of {@link restoreBackup}. */
export interface RestoreOptions {
  /** Restore the database as it was at this moment (milliseconds since 1970), exact to the transaction. Default: the last backup. */
  readonly time?: number;
  /** Where the blobs go. Default the target with `.blobs` added. */
  readonly blobDir?: string;
}

/** What a restore made. */
export interface RestoreOutcome {
  readonly path: string;
  readonly bytes: number;
  readonly lastTransaction: Tid;
  readonly blobs: number;
  /** Revisions of blobs that were lost before they could be backed up. */
  readonly missingBlobs: number;
  /** The backup files that it was made of. */
  readonly from: readonly string[];
}

/**
 * Makes a `Data.fs` (and its blobs) of a repository. Everything is compared with its checksum. The target must not exist; it appears
 * only when it is complete.
 */
export function* restoreBackup(
  repository: string,
  target: string,
  options: RestoreOptions = {},
): Steps<RestoreOutcome> {
  refuseUnknownOptions('restoreBackup()', options, ['time', 'blobDir']);
  if (fs.existsSync(target))
    throw new InvalidArgumentError(`${target} exists; restore to another path, or move it away.`);
  const files = chooseFiles(readRepository(repository), options.time, repository);
  const part = `${target}.part`;
  const blobDir = options.blobDir ?? `${target}.blobs`;
  const made = [part, target, ...[`${target}.index`, blobDir].filter((each) => !fs.existsSync(each))];
  try {
    yield* join(files, part);
    const until = options.time === undefined ? MAX_TID : tidFromTime(options.time);
    const { end, last, whole } = findEnd(part, until);
    if (last === ZERO_TID && options.time !== undefined) throw tooOld(part, repository, options.time);
    if (whole) copyIndex(files.at(-1)!, target);
    else cut(part, end);
    const { blobs, missingBlobs } = yield* restoreBlobs(part, repository, blobDir);
    fs.renameSync(part, target);
    nodeFileSystem.syncDirectory(path.dirname(path.resolve(target)));
    return {
      path: target,
      bytes: end,
      lastTransaction: last,
      blobs,
      missingBlobs,
      from: files.map((file) => file.path),
    };
  } catch (error) {
    for (const each of made) fs.rmSync(each, { recursive: true, force: true });
    throw writeFailure(error, `${repository} could not be restored to ${target}.`);
  }
}

/**
 * The last chain that began before `time`: a later one may have been packed to after it. All of its files are joined, and what is too new
 * is cut off: the names of the files say to the second, and not exactly, what is in them.
 */
function chooseFiles(
  chains: readonly BackupChain[],
  time: number | undefined,
  repository: string,
): readonly BackupFile[] {
  const chain =
    time === undefined
      ? chains.at(-1)
      : (chains.findLast(({ files }) => files[0]!.time <= time) ?? chains[0]);
  if (chain === undefined) throw new InvalidArgumentError(`There are no backups in ${repository}.`);
  return chain.files;
}

function* join(files: readonly BackupFile[], part: string): Steps<void> {
  const out = fs.openSync(part, 'w');
  let position = 0;
  try {
    for (const file of files) {
      if (file.start >= 0 && file.start !== position) {
        throw new CorruptionError(
          `A backup is missing before ${file.path}: it begins at ${file.start}, not at ${position}.`,
          {
            code: 'BACKUP_DAMAGED',
          },
        );
      }
      const hash = createHash('md5');
      for (const chunk of readBackup(file)) {
        hash.update(chunk);
        writeFully(nodeFileSystem, out, chunk, position);
        position += chunk.length;
        yield { phase: 'restore', done: position, total: files.at(-1)!.end };
      }
      checkPart(file, position, hash.digest('hex'));
    }
    fs.fsyncSync(out);
  } finally {
    fs.closeSync(out);
  }
}

function checkPart(file: BackupFile, position: number, md5: string): void {
  if (file.md5 === '') return;
  if (position !== file.end || md5 !== file.md5) {
    throw new CorruptionError(`${file.path} is not what was backed up: its length or checksum differs.`, {
      code: 'BACKUP_DAMAGED',
    });
  }
}

/** Where the last transaction up to `until` ends. */
function findEnd(part: string, until: Tid): { end: number; last: Tid; whole: boolean } {
  const storage = new FileStorage(part, { readOnly: true, blobDir: false });
  try {
    const size = storage.size();
    if (storage.lastTransaction() <= until)
      return { end: size, last: storage.lastTransaction(), whole: true };
    let end = 4;
    let last = 0n as Tid;
    for (const transaction of storage.iterateBackwards(until)) {
      const { position, length } = transaction as unknown as { position: number; length: number };
      end = position + length + 8;
      last = transaction.tid;
      break;
    }
    return { end, last, whole: false };
  } finally {
    storage.close();
  }
}

function tooOld(part: string, repository: string, time: number): InvalidArgumentError {
  const storage = new FileStorage(part, { readOnly: true, blobDir: false });
  try {
    const [first] = storage.iterate();
    const since = first === undefined ? 'is empty' : `began at ${dateOfTid(first.tid).toISOString()}`;
    return new InvalidArgumentError(
      `There was nothing at ${new Date(time).toISOString()}: the database in ${repository} ${since}.`,
    );
  } finally {
    storage.close();
  }
}

function cut(part: string, end: number): void {
  fs.truncateSync(part, end);
  syncFile(part);
}

function copyIndex(file: BackupFile, target: string): void {
  const index = indexOf(file.path);
  if (fs.existsSync(index)) fs.copyFileSync(index, `${target}.index`);
}

function* restoreBlobs(
  part: string,
  repository: string,
  blobDir: string,
): Steps<{ blobs: number; missingBlobs: number }> {
  const count = { blobs: 0, missingBlobs: 0 };
  const source = new BlobDirectory(path.join(repository, BLOBS), undefined, true);
  const target = new BlobDirectory(blobDir, undefined, false);
  const storage = new FileStorage(part, { readOnly: true, blobDir: false });
  try {
    for (const transaction of storage.iterate()) {
      for (const { oid, tid, data } of transaction.records()) {
        if (data === null || !isBlob(data)) continue;
        if (!source.has(oid, tid)) {
          count.missingBlobs++;
          continue;
        }
        target.install(oid, tid, { path: source.pathOf(oid, tid), consume: false });
        yield { phase: 'restore blobs', done: ++count.blobs, total: undefined };
      }
    }
  } finally {
    storage.close();
  }
  return count;
}
