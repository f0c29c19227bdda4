import * as fs from 'node:fs';
import * as path from 'node:path';
import type { BackupReport } from '../interfaces';
import type { Steps } from '../steps';
import type { BlobDirectory } from './blob-directory';
import { LAYOUT_MARKER } from './blob-layout';
import type { DataFile } from './data-file';
import { readFully } from './file-system';

const CHUNK = 1 << 20;

/** Copies a file as it is now, and its blobs (to `path` with `.blobs` added), while commits go on. */
export function* copyFile(
  file: DataFile,
  blobs: BlobDirectory | undefined,
  target: string,
): Steps<BackupReport> {
  const end = file.size;
  const temporary = `${target}.part`;
  const out = fs.openSync(target, 'wx');
  fs.closeSync(out);
  file.retain();
  let bytes = 0;
  try {
    const fd = fs.openSync(temporary, 'w');
    try {
      const chunk = Buffer.allocUnsafe(CHUNK);
      for (let at = 0; at < end; at += CHUNK) {
        const count = readFully(file.system, file.fd, chunk, 0, Math.min(CHUNK, end - at), at);
        fs.writeSync(fd, chunk, 0, count, at);
        bytes += count;
        yield { phase: 'copy', done: at, total: end };
      }
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    if (blobs !== undefined) bytes += yield* copyBlobs(file, end, blobs, `${target}.blobs`);
    fs.renameSync(temporary, target);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    fs.rmSync(target, { force: true });
    throw error;
  } finally {
    file.release();
  }
  return { path: target, bytes };
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
