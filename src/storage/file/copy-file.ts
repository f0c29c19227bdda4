import * as fs from 'node:fs';
import * as path from 'node:path';
import { InvalidArgumentError } from '../../errors';
import type { BackupReport } from '../interfaces';
import type { Steps } from '../steps';
import type { BlobDirectory } from './blob-directory';
import { LAYOUT_MARKER } from './blob-layout';
import type { DataFile } from './data-file';
import { DamagedFileError, writeFailure } from './errors';
import { nodeFileSystem, readFully, writeFully } from './file-system';

const CHUNK = 1 << 20;

/** Copies a file as it is now, and its blobs (to `path` with `.blobs` added), while commits go on. */
export function* copyFile(
  file: DataFile,
  blobs: BlobDirectory | undefined,
  target: string,
): Steps<BackupReport> {
  if (fs.existsSync(target)) {
    throw new InvalidArgumentError(`${target} exists; copy to another path, or move it away.`);
  }
  const end = file.size;
  const part = `${target}.part`;
  const blobTarget = `${target}.blobs`;
  const made = [part, target, ...[blobTarget].filter((each) => !fs.existsSync(each))];
  file.retain();
  let bytes = 0;
  try {
    yield* copyBytes(file, end, part);
    bytes += end;
    if (blobs !== undefined) bytes += yield* copyBlobs(file, end, blobs, blobTarget);
    fs.renameSync(part, target);
    nodeFileSystem.syncDirectory(path.dirname(path.resolve(target)));
  } catch (error) {
    for (const each of made) fs.rmSync(each, { recursive: true, force: true });
    throw writeFailure(error, `${file.path} could not be copied to ${target}.`);
  } finally {
    file.release();
  }
  return { path: target, bytes };
}

function* copyBytes(file: DataFile, end: number, part: string): Steps<void> {
  const fd = fs.openSync(part, 'w');
  try {
    const chunk = Buffer.allocUnsafe(CHUNK);
    for (let at = 0; at < end; at += CHUNK) {
      const length = Math.min(CHUNK, end - at);
      if (readFully(file.system, file.fd, chunk, 0, length, at) < length)
        throw new DamagedFileError(file.path, at, 'the file became shorter while it was copied');
      writeFully(nodeFileSystem, fd, chunk.subarray(0, length), at);
      yield { phase: 'copy', done: at, total: end };
    }
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function* copyBlobs(file: DataFile, end: number, blobs: BlobDirectory, target: string): Steps<number> {
  let bytes = 0;
  let done = 0;
  for (const blob of blobs.list()) {
    const position = file.positionOf(blob.oid, blob.tid);
    if (position === 0 || position >= end) continue;
    const to = path.join(target, path.relative(blobs.path, blob.path));
    fs.mkdirSync(path.dirname(to), { recursive: true });
    fs.copyFileSync(blob.path, to, fs.constants.COPYFILE_FICLONE);
    bytes += fs.statSync(to).size;
    yield { phase: 'copy blobs', done: ++done, total: undefined };
  }
  if (done > 0) fs.writeFileSync(path.join(target, LAYOUT_MARKER), blobs.layout);
  return bytes;
}
