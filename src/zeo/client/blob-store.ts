/**
 * Blob files at the client. A directory of its own holds what was downloaded, as Python's client lays it out: `oid % 997` is a directory
 * in it, `{oid // 997}.{tid}.blob` the file. A directory shared with the server is laid out as the server's, and nothing is downloaded.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { POSKeyError, StorageError } from '../../errors';
import {
  formatOid,
  formatTid,
  oidFromBigInt,
  oidFromBytes,
  parseTid,
  oidToBigInt,
  oidToBytes,
  tidFromBytes,
  type Oid,
  type Tid,
} from '../../ids';
import { newWorkingFile, sweepWorkingFiles, type BlobReader, type BlobSource } from '../../storage/index';
import { itemsOf, type WireValue } from '../wire/values';
import type { FileFailure } from './socket-orders';

const BUCKETS = 997n;
/** Share of the size limit that is freed, and downloaded before it is looked at again. */
const SLACK = 0.1;

/** Options of {@link BlobStore}. */
export interface BlobStoreOptions {
  /** `undefined`: a temporary directory, removed at `close`. */
  readonly directory: string | undefined;
  readonly shared: boolean;
  /** Bytes of downloaded files that are kept; `undefined`: no limit. */
  readonly limit: number | undefined;
}

/** A file that arrives; the thread with the sockets writes it. */
interface Download {
  readonly file: string;
  failure: string | undefined;
  isWhole: boolean;
}

/** See the head of this file. */
export class BlobStore {
  readonly #options: BlobStoreOptions;
  readonly #downloads = new Map<string, Download>();
  #directory: string | undefined;
  #isTemporary = false;
  #sinceCheck = 0;

  constructor(options: BlobStoreOptions) {
    this.#options = options;
  }

  get shared(): boolean {
    return this.#options.shared;
  }

  /** The directory for files that are not committed; it exists. */
  workDirectory(): string {
    const directory = path.join(this.#root(), 'tmp');
    fs.mkdirSync(directory, { recursive: true });
    return directory;
  }

  /** The file of a revision, whether it is here or not. */
  pathOf(oid: Oid, tid: Tid): string {
    if (this.#options.shared) return path.join(this.sharedDirectory(oid), `${formatTid(tid)}.blob`);
    const number = oidToBigInt(oid);
    const name = `${number / BUCKETS}.${formatTid(tid).slice(2)}.blob`;
    return path.join(this.#root(), String(number % BUCKETS), name);
  }

  has(oid: Oid, tid: Tid): boolean {
    return fs.existsSync(this.pathOf(oid, tid));
  }

  /** Where the server and its clients keep the files of an object. */
  sharedDirectory(oid: Oid): string {
    const parts = Array.from(oidToBytes(oid), (byte) => `0x${byte.toString(16).padStart(2, '0')}`);
    return path.join(this.#root(), ...parts);
  }

  /** Takes over the content of a blob to be committed; the file returned is in our directory. */
  take(source: BlobSource, directory: string): string {
    fs.mkdirSync(directory, { recursive: true });
    const file = newWorkingFile(directory);
    if (source instanceof Uint8Array) fs.writeFileSync(file, source, { mode: 0o600 });
    else if (source.consume) moveFile(source.path, file);
    else fs.copyFileSync(source.path, file);
    return file;
  }

  /** A file of ours was committed: keeps it, so that it need not be downloaded. */
  keep(file: string, oid: Oid, tid: Tid): void {
    const target = this.pathOf(oid, tid);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.chmodSync(file, 0o444);
    fs.renameSync(file, target);
    this.#added(target);
  }

  /** Where a revision's content goes while it arrives. */
  beginDownload(oid: Oid, tid: Tid): string {
    const file = newWorkingFile(this.workDirectory());
    this.#downloads.set(keyOf(oid, tid), { file, failure: undefined, isWhole: false });
    return file;
  }

  /** A message of the server's that belongs to a blob. */
  receive(name: string, args: WireValue): void {
    const [oid, tid, chunk] = itemsOf(args) as [Uint8Array, Uint8Array, Uint8Array | undefined];
    const download = this.#downloads.get(keyOf(oidFromBytes(oid), tidFromBytes(tid)));
    if (!download) return;
    if (name === 'receiveBlobStop') download.isWhole = true;
    // Only when it is written in another way than the one that is looked for.
    else if (name === 'receiveBlobChunk') fs.appendFileSync(download.file, chunk!);
  }

  /** A file that arrives could not be written. */
  failed({ file, reason }: FileFailure): void {
    for (const download of this.#downloads.values()) if (download.file === file) download.failure = reason;
  }

  /** The server has sent it all: the file takes its place. Throws `StorageError` when it is not what was sent. */
  finishDownload(oid: Oid, tid: Tid): void {
    const download = this.#downloads.get(keyOf(oid, tid));
    const failure = download?.failure ?? (download?.isWhole ? undefined : 'the server sent no end of it');
    if (failure !== undefined) {
      throw new StorageError(
        `The blob of ${formatOid(oid)} (${formatTid(tid)}) could not be downloaded to ${this.#root()}: ${failure}.`,
        { code: 'BLOB_DOWNLOAD' },
      );
    }
    this.keep(download!.file, oid, tid);
  }

  /** It is over, whatever became of it. */
  dropDownload(oid: Oid, tid: Tid): void {
    const key = keyOf(oid, tid);
    const download = this.#downloads.get(key);
    this.#downloads.delete(key);
    if (download) fs.rmSync(download.file, { force: true });
  }

  open(oid: Oid, tid: Tid): BlobReader {
    const file = this.pathOf(oid, tid);
    let descriptor: number;
    try {
      descriptor = fs.openSync(file, 'r');
    } catch (error) {
      throw new POSKeyError(oid, `The blob file of the revision ${formatTid(tid)} is missing: ${file}.`, {
        cause: error,
      });
    }
    if (this.#options.limit !== undefined) {
      const now = new Date();
      // Not every file system notes reads.
      fs.utimesSync(file, now, fs.fstatSync(descriptor).mtime);
    }
    return new FileReader(descriptor);
  }

  /** The files that were downloaded. */
  downloaded(): { oid: Oid; tid: Tid; file: string }[] {
    if (!this.#directory) return [];
    return listBlobFiles(this.#directory).flatMap(({ file }) => {
      const match = /(\d+)[/\\](\d+)\.([0-9a-f]{16})\.blob$/.exec(file);
      if (!match) return [];
      const oid = oidFromBigInt(BigInt(match[2]!) * BUCKETS + BigInt(match[1]!));
      return [{ oid, tid: parseTid(match[3]!), file }];
    });
  }

  close(): void {
    for (const { file } of this.#downloads.values()) fs.rmSync(file, { force: true });
    this.#downloads.clear();
    if (this.#isTemporary && this.#directory) fs.rmSync(this.#directory, { recursive: true, force: true });
    this.#directory = undefined;
  }

  #root(): string {
    if (this.#directory) return this.#directory;
    const { directory, shared } = this.#options;
    if (directory === undefined) {
      this.#directory = fs.mkdtempSync(path.join(os.tmpdir(), 'zeo-blobs-'));
      this.#isTemporary = true;
      return this.#directory;
    }
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (!shared) checkLayout(directory);
    this.#directory = directory;
    sweepWorkingFiles(path.join(directory, 'tmp'));
    return directory;
  }

  #added(file: string): void {
    const { limit, shared } = this.#options;
    if (limit === undefined || shared) return;
    this.#sinceCheck += fs.statSync(file).size;
    if (this.#sinceCheck < limit * SLACK) return;
    this.#sinceCheck = 0;
    this.#shrink(limit * (1 - SLACK), file);
  }

  /** Removes the least recently read files; never the one that has just come. */
  #shrink(target: number, newest: string): void {
    const files = listBlobFiles(this.#root()).sort((a, b) => a.used - b.used);
    let total = files.reduce((sum, { size }) => sum + size, 0);
    for (const { file, size } of files) {
      if (total <= target) return;
      if (file === newest) continue;
      fs.rmSync(file, { force: true });
      total -= size;
    }
  }
}

function listBlobFiles(root: string): { file: string; size: number; used: number }[] {
  const out: { file: string; size: number; used: number }[] = [];
  for (const bucket of fs.readdirSync(root)) {
    if (!/^\d+$/.test(bucket)) continue;
    for (const name of fs.readdirSync(path.join(root, bucket))) {
      const file = path.join(root, bucket, name);
      const found = name.endsWith('.blob') ? fs.statSync(file, { throwIfNoEntry: false }) : undefined;
      if (found) out.push({ file, size: found.size, used: found.atimeMs });
    }
  }
  return out;
}

function checkLayout(directory: string): void {
  const marker = path.join(directory, '.layout');
  if (!fs.existsSync(marker)) {
    fs.writeFileSync(marker, 'zeocache');
    return;
  }
  const layout = fs.readFileSync(marker, 'utf8').trim();
  if (layout !== 'zeocache') {
    throw new StorageError(
      `${directory} is laid out as ${JSON.stringify(layout)}: it is no client's. Name another directory, or share it with the server.`,
    );
  }
}

function keyOf(oid: Oid, tid: Tid): string {
  return `${oid}.${tid}`;
}

function moveFile(from: string, to: string): void {
  try {
    fs.renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    fs.copyFileSync(from, to);
    fs.rmSync(from);
  }
}

class FileReader implements BlobReader {
  readonly size: number;
  #descriptor: number | undefined;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
    this.size = fs.fstatSync(descriptor).size;
  }

  read(target: Uint8Array, offset: number, length: number, position: number): number {
    if (this.#descriptor === undefined) throw new StorageError('This blob reader is closed.');
    return fs.readSync(this.#descriptor, target, offset, Math.min(length, target.length - offset), position);
  }

  close(): void {
    if (this.#descriptor !== undefined) fs.closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}
