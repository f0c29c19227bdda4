/** The files of a pack: the new one, its exchange for the old one, and the blobs that go. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { oidToBigInt, type Tid } from '../../ids';
import { DataFile } from './data-file';
import { writeFully } from './file-system';
import { LENGTH_OFFSET, MAGIC, writeNumber } from './format';
import type { PackRequest } from './pack';
import type { PackCopy } from './pack-copy';

const BUFFER = 1 << 20;

/** The file that a pack writes. */
export class PackTarget {
  readonly path: string;
  readonly fd: number;
  readonly #request: PackRequest;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER);
  #buffered = 0;
  #written = 0;
  #given = false;

  constructor(request: PackRequest) {
    this.#request = request;
    this.path = `${request.path}.pack`;
    this.fd = request.system.open(this.path, 'w+');
    this.write(Buffer.from(MAGIC, 'latin1'));
  }

  /** Where the next byte goes. */
  get end(): number {
    return this.#written + this.#buffered;
  }

  write(piece: Uint8Array): void {
    if (this.#buffered + piece.length > BUFFER) this.flush();
    if (piece.length > BUFFER) this.#put(piece);
    else {
      this.#buffer.set(piece, this.#buffered);
      this.#buffered += piece.length;
    }
  }

  /** Ends the transaction that begins at `start`: writes its length behind it and into its header. */
  setLength(start: number, length: number): void {
    const bytes = Buffer.allocUnsafe(8);
    writeNumber(bytes, 0, length);
    this.write(bytes);
    const at = start + LENGTH_OFFSET;
    // It may be written already, or in part.
    if (at < this.#written) this.flush();
    if (at < this.#written) writeFully(this.#request.system, this.fd, bytes, at);
    else this.#buffer.set(bytes, at - this.#written);
  }

  flush(): void {
    this.#put(this.#buffer.subarray(0, this.#buffered));
    this.#buffered = 0;
  }

  #put(bytes: Uint8Array): void {
    writeFully(this.#request.system, this.fd, bytes, this.#written);
    this.#written += bytes.length;
  }

  /** The file is in place: its descriptor belongs to a {@link DataFile} now. */
  give(): void {
    this.#given = true;
  }

  /** The pack is given up. */
  discard(): void {
    if (this.#given) return;
    this.#given = true;
    this.#request.system.close(this.fd);
    this.#request.system.remove(this.path);
  }
}

/** Puts the new file in the place of the old one: on disk first, then in one step. */
export function exchangeFiles(request: PackRequest, target: PackTarget, copy: PackCopy, packTid: Tid): void {
  const { system, path: name, keepOld, blobs } = request;
  target.flush();
  system.sync(target.fd);
  if (blobs !== undefined && copy.droppedBlobs.length > 0) noteDroppedBlobs(blobs.path, copy);
  const old = `${name}.old`;
  system.remove(old);
  if (keepOld) keepAs(name, old);
  system.rename(target.path, name);
  target.give();
  const file = new DataFile(system, name, target.fd, copy.index, target.end, request.cacheBytes);
  request.replace(file, packTid);
  try {
    system.syncDirectory(path.dirname(path.resolve(name)));
    removeBlobs(request, file, copy);
  } catch (error) {
    request.failed(error);
  }
}

/** A second name for the old file, so that there is no moment without one under its own name. */
function keepAs(name: string, old: string): void {
  try {
    fs.linkSync(name, old);
  } catch {
    fs.copyFileSync(name, old);
  }
}

/** The list by which an interrupted removal is taken up again, in the form that Python's ZODB uses. */
function noteDroppedBlobs(directory: string, copy: PackCopy): void {
  const lines = copy.droppedBlobs.map(({ oid, tid }) => `${hex(oidToBigInt(oid))}${hex(tid)}\n`);
  fs.writeFileSync(path.join(directory, '.removed'), lines.join(''));
}

function hex(value: bigint): string {
  return value.toString(16).padStart(16, '0');
}

/** Removes the blobs of dropped revisions, or moves them beside the old file. */
function removeBlobs(request: PackRequest, file: DataFile, copy: PackCopy): void {
  const { blobs, keepOld } = request;
  if (blobs === undefined) return;
  const old = `${blobs.path}.old`;
  fs.rmSync(old, { recursive: true, force: true });
  for (const { oid, tid } of copy.droppedBlobs) {
    // A copied revision of the same tid: the object has two records in one transaction.
    if (file.positionOf(oid, tid as Tid) !== 0) continue;
    if (keepOld) blobs.moveTo(old, oid, tid as Tid);
    else blobs.remove(oid, tid as Tid);
  }
  if (keepOld && fs.existsSync(blobs.path)) linkRest(request, old);
  fs.rmSync(path.join(blobs.path, '.removed'), { force: true });
}

/** Completes the old directory with what stays, so that it belongs to the old file as a whole. */
function linkRest({ blobs }: PackRequest, old: string): void {
  for (const { path: from } of blobs!.list()) {
    const to = path.join(old, path.relative(blobs!.path, from));
    if (fs.existsSync(to)) continue;
    fs.mkdirSync(path.dirname(to), { recursive: true });
    try {
      fs.linkSync(from, to);
    } catch {
      fs.copyFileSync(from, to);
    }
  }
  const marker = path.join(blobs!.path, '.layout');
  if (fs.existsSync(old) && fs.existsSync(marker)) fs.copyFileSync(marker, path.join(old, '.layout'));
}
