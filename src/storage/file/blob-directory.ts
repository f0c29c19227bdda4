import * as fs from 'node:fs';
import * as path from 'node:path';
import { FormatError, POSKeyError, ReadOnlyError } from '../../errors';
import { formatOid, formatTid, parseOid, type Oid, type Tid } from '../../ids';
import type { BlobReader, BlobSource } from '../interfaces';
import { newWorkingFile, sweepWorkingFiles } from '../blob-working-files';
import {
  blobFileName,
  detectLayout,
  LAYOUT_MARKER,
  listBlobs,
  oidDirectory,
  TEMPORARY,
  tidOfBlobFile,
} from './blob-layout';
import type { BlobLayout, StoredBlob } from './blob-layout';

/** Committed blobs can't be written to, by mistake at least. */
const COMMITTED_MODE = 0o444;
/** Names a list of the files that a commit under way has put in place. */
const COMMIT_LIST = /^commit-(0x[0-9a-f]{16})$/;

/** The directory that holds the blobs of one File storage. It is made when the first blob is stored. */
export class BlobDirectory {
  readonly path: string;
  readonly layout: BlobLayout;
  readonly #readOnly: boolean;
  #prepared = false;

  /** `FormatError` when the directory has another layout than `wanted`. */
  constructor(directory: string, wanted: BlobLayout | undefined, readOnly: boolean) {
    this.path = path.resolve(directory);
    this.#readOnly = readOnly;
    const found = detectLayout(this.path);
    if (found !== undefined && wanted !== undefined && found !== wanted) {
      throw new FormatError(`The blob directory ${this.path} has the layout "${found}", not "${wanted}".`);
    }
    this.layout = found ?? wanted ?? 'bushy';
  }

  /** Where files are that are not committed. It exists after this call. */
  temporary(): string {
    this.#prepare();
    return path.join(this.path, TEMPORARY);
  }

  /** The path of a revision's file, whether it exists or not. */
  pathOf(oid: Oid, tid: Tid): string {
    return path.join(this.path, oidDirectory(oid, this.layout), blobFileName(tid));
  }

  has(oid: Oid, tid: Tid): boolean {
    return fs.existsSync(this.pathOf(oid, tid));
  }

  /** The path of a revision's file. `POSKeyError` when there is none. */
  require(oid: Oid, tid: Tid): string {
    const file = this.pathOf(oid, tid);
    if (!fs.existsSync(file)) throw missing(oid, tid, file);
    return file;
  }

  open(oid: Oid, tid: Tid): BlobReader {
    const file = this.pathOf(oid, tid);
    let fd: number;
    try {
      fd = fs.openSync(file, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw missing(oid, tid, file);
      throw error;
    }
    const { size } = fs.fstatSync(fd);
    let open = true;
    return {
      size,
      read: (target, offset, length, position) =>
        fs.readSync(fd, target, offset, Math.min(length, target.length - offset), position),
      close() {
        if (open) fs.closeSync(fd);
        open = false;
      },
    };
  }

  /** Puts a blob's content in place and on disk. */
  install(oid: Oid, tid: Tid, source: BlobSource): void {
    const target = this.#place(oid, tid);
    if (source instanceof Uint8Array) {
      this.#byWorkingFile(target, (working) => fs.writeFileSync(working, source));
    } else if (!source.consume || !moveFile(source.path, target)) {
      this.#byWorkingFile(target, (working) => fs.copyFileSync(source.path, working));
      if (source.consume) fs.rmSync(source.path, { force: true });
    }
    fs.chmodSync(target, COMMITTED_MODE);
    syncFile(target);
  }

  /** Gives a later revision the content of an earlier one, without copying where the file system can. */
  repeat(oid: Oid, from: Tid, to: Tid): void {
    const source = this.require(oid, from);
    const target = this.#place(oid, to);
    try {
      fs.linkSync(source, target);
    } catch {
      this.#byWorkingFile(target, (working) => fs.copyFileSync(source, working));
      fs.chmodSync(target, COMMITTED_MODE);
    }
    syncFile(target);
  }

  remove(oid: Oid, tid: Tid): void {
    const file = this.pathOf(oid, tid);
    fs.rmSync(file, { force: true });
    this.#removeEmptyDirectories(path.dirname(file));
  }

  /** Moves a revision's file to the same place below another directory. */
  moveTo(other: string, oid: Oid, tid: Tid): void {
    const from = this.pathOf(oid, tid);
    if (!fs.existsSync(from)) return;
    const to = path.join(other, path.relative(this.path, from));
    fs.mkdirSync(path.dirname(to), { recursive: true });
    fs.renameSync(from, to);
    this.#removeEmptyDirectories(path.dirname(from));
  }

  list(): Generator<StoredBlob> {
    return listBlobs(this.path, this.layout);
  }

  /** Notes on disk that `tid` is about to put these blobs in place, so that a crash before its end can be mended. */
  noteCommit(tid: Tid, oids: Iterable<Oid>): void {
    fs.writeFileSync(this.#commitList(tid), Array.from(oids, (oid) => `${formatOid(oid)}\n`).join(''));
  }

  /** The commit ended, one way or the other. */
  forgetCommit(tid: Tid): void {
    fs.rmSync(this.#commitList(tid), { force: true });
  }

  /** Removes what crashes left behind: blobs of transactions that were never finished, and working files. */
  sweep(isCommitted: (oid: Oid, tid: Tid) => boolean): number {
    const temporary = path.join(this.path, TEMPORARY);
    if (!fs.existsSync(temporary)) return 0;
    let removed = 0;
    for (const name of fs.readdirSync(temporary)) {
      const match = COMMIT_LIST.exec(name);
      if (match === null) continue;
      const list = path.join(temporary, name);
      const tid = BigInt(match[1]!) as Tid;
      for (const line of fs.readFileSync(list, 'utf8').split('\n')) {
        if (!/^0x[0-9a-f]+$/.test(line)) continue;
        const oid = parseOid(line);
        if (isCommitted(oid, tid) || !this.has(oid, tid)) continue;
        this.remove(oid, tid);
        removed++;
      }
      fs.rmSync(list, { force: true });
    }
    return removed + this.#finishRemoval(isCommitted) + sweepWorkingFiles(temporary);
  }

  /** Takes up the removal of blobs after a pack, which a crash interrupted: their names stand in `.removed`. */
  #finishRemoval(isCommitted: (oid: Oid, tid: Tid) => boolean): number {
    const list = path.join(this.path, '.removed');
    if (!fs.existsSync(list)) return 0;
    let removed = 0;
    for (const line of fs.readFileSync(list, 'latin1').split('\n')) {
      if (!/^[0-9a-f]{16}([0-9a-f]{16})?$/.test(line)) continue;
      const oid = parseOid(`0x${line.slice(0, 16)}`);
      for (const tid of line.length === 32
        ? [BigInt(`0x${line.slice(16)}`) as Tid]
        : this.#revisionsOf(oid)) {
        // The list may be older than a file that was restored since: what is in use stays.
        if (isCommitted(oid, tid) || !this.has(oid, tid)) continue;
        this.remove(oid, tid);
        removed++;
      }
    }
    fs.rmSync(list);
    return removed;
  }

  #revisionsOf(oid: Oid): Tid[] {
    const directory = path.join(this.path, oidDirectory(oid, this.layout));
    if (!fs.existsSync(directory)) return [];
    return fs.readdirSync(directory).flatMap((name) => tidOfBlobFile(name) ?? []);
  }

  #place(oid: Oid, tid: Tid): string {
    this.#prepare();
    const target = this.pathOf(oid, tid);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    return target;
  }

  #byWorkingFile(target: string, make: (working: string) => void): void {
    const working = newWorkingFile(path.join(this.path, TEMPORARY));
    try {
      make(working);
      fs.renameSync(working, target);
    } catch (error) {
      fs.rmSync(working, { force: true });
      throw error;
    }
  }

  #commitList(tid: Tid): string {
    return path.join(this.path, TEMPORARY, `commit-${formatTid(tid)}`);
  }

  #prepare(): void {
    if (this.#prepared) return;
    if (this.#readOnly) throw new ReadOnlyError(`${this.path} belongs to a database that is open read-only.`);
    fs.mkdirSync(path.join(this.path, TEMPORARY), { recursive: true });
    const marker = path.join(this.path, LAYOUT_MARKER);
    if (!fs.existsSync(marker)) fs.writeFileSync(marker, this.layout);
    this.#prepared = true;
  }

  #removeEmptyDirectories(start: string): void {
    for (let directory = start; directory !== this.path; directory = path.dirname(directory)) {
      try {
        fs.rmdirSync(directory);
      } catch {
        return;
      }
    }
  }
}

function missing(oid: Oid, tid: Tid, file: string): POSKeyError {
  return new POSKeyError(oid, `The blob ${formatOid(oid)} of ${formatTid(tid)} has no file ${file}.`);
}

/** False when the file has to be copied instead: it lies on another file system. */
function moveFile(from: string, to: string): boolean {
  try {
    fs.renameSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EXDEV') return false;
    throw error;
  }
}

function syncFile(file: string): void {
  for (const each of [file, path.dirname(file)]) {
    if (process.platform === 'win32' && each !== file) continue;
    const fd = fs.openSync(each, 'r');
    try {
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  }
}
