/** Opening a `Data.fs`: its magic, its saved index or a scan, and what a crash left behind its end. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { FormatError } from '../../errors';
import { ZERO_TID, type Tid } from '../../ids';
import { DataFile } from './data-file';
import { DamagedFileError } from './errors';
import { readFully, writeFully, type FileSystem } from './file-system';
import { FIRST_POSITION, MAGIC, PYTHON_2_MAGIC } from './format';
import { decodeIndexFile, indexFileParts } from './index-file';
import { OidIndex } from './oid-index';
import { scanFile, verifyIndex, type ScanResult } from './open-scan';
import type { FileWarning } from './options';
import { ScanBuffer } from './scan-buffer';

/** An index is written in pieces of this size. */
const WRITE_BYTES = 1 << 20;

/** What {@link openDataFile} is told. */
export interface OpenRequest {
  readonly path: string;
  readonly system: FileSystem;
  readonly readOnly: boolean;
  readonly create: boolean;
  readonly truncate: boolean;
  readonly stop: Tid | undefined;
  readonly cacheBytes: number | undefined;
  readonly warn: (warning: FileWarning) => void;
}

/** An open file and what is known from opening it. */
export interface OpenedFile {
  readonly file: DataFile;
  readonly lastTid: Tid;
  /** Written by Python 2 (`FS21`): for reading only. */
  readonly python2: boolean;
  /** How far the saved index covered the file; 0 when all was scanned. */
  readonly indexedTo: number;
  readonly scannedTransactions: number;
  /** Where what was cut off is saved. */
  readonly savedTail: string | undefined;
}

export function openDataFile(request: OpenRequest): OpenedFile {
  const { system, path: name } = request;
  const fd = openDescriptor(request);
  try {
    const fileSize = system.sizeOf(fd);
    if (fileSize === 0) return startFile(request, fd);
    const python2 = readMagic(system, fd, name) === PYTHON_2_MAGIC;
    const reader = new ScanBuffer(system, fd, name, fileSize);
    const saved = loadIndex(request, reader);
    const index = saved?.index ?? new OidIndex();
    const position = saved?.position ?? FIRST_POSITION;
    const scan = scanFile(reader, index, {
      path: name,
      position,
      lastTid: saved?.lastTid ?? ZERO_TID,
      ...(request.stop === undefined ? {} : { stop: request.stop }),
    });
    reportOddities(request, scan);
    const savedTail = request.readOnly || python2 ? undefined : cutTail(request, fd, fileSize, scan);
    return {
      file: new DataFile(system, name, fd, index, scan.end, request.cacheBytes),
      lastTid: scan.lastTid,
      python2,
      indexedTo: saved?.position ?? 0,
      scannedTransactions: scan.transactions,
      savedTail,
    };
  } catch (error) {
    system.close(fd);
    throw error;
  }
}

function openDescriptor({ system, path: name, readOnly, create, truncate }: OpenRequest): number {
  if (readOnly) return system.open(name, 'r');
  if (truncate) return system.open(name, 'w+');
  if (system.size(name) >= 0) return system.open(name, 'r+');
  if (!create) return system.open(name, 'r');
  // 'a' would make every write go to the end; 'wx+' fails when somebody made the file meanwhile.
  return system.open(name, 'wx+');
}

function startFile(request: OpenRequest, fd: number): OpenedFile {
  const { system, path: name } = request;
  if (!request.readOnly) {
    writeFully(system, fd, Buffer.from(MAGIC, 'latin1'), 0);
    system.sync(fd);
    system.syncDirectory(path.dirname(path.resolve(name)));
  }
  const size = request.readOnly ? 0 : FIRST_POSITION;
  return {
    file: new DataFile(system, name, fd, new OidIndex(), size, request.cacheBytes),
    lastTid: ZERO_TID,
    python2: false,
    indexedTo: size,
    scannedTransactions: 0,
    savedTail: undefined,
  };
}

/** The magic of an open file. `FormatError` when it is none of a `Data.fs`. */
export function readMagic(system: FileSystem, fd: number, name: string): string {
  const bytes = Buffer.alloc(FIRST_POSITION);
  readFully(system, fd, bytes, 0, FIRST_POSITION, 0);
  const magic = bytes.toString('latin1');
  if (magic !== MAGIC && magic !== PYTHON_2_MAGIC) {
    throw new FormatError(
      `${name} is no Data.fs: it begins with ${JSON.stringify(magic)}, not with "FS30". Is it the right file?`,
    );
  }
  return magic;
}

function loadIndex(
  request: OpenRequest,
  reader: ScanBuffer,
): { index: OidIndex; position: number; lastTid: Tid } | undefined {
  const indexPath = `${request.path}.index`;
  if (request.system.size(indexPath) < 0) return undefined;
  const saved = decodeIndexFile(fs.readFileSync(indexPath));
  let lastTid: Tid | undefined;
  try {
    if (saved !== undefined) lastTid = verifyIndex(reader, saved.index, saved.position);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
  }
  if (saved === undefined || lastTid === undefined) {
    request.warn({
      code: 'INDEX_IGNORED',
      path: indexPath,
      message: `${indexPath} does not belong to ${request.path}, or is damaged. The index is made anew from the data.`,
    });
    return undefined;
  }
  // An index that goes beyond the time asked for is of no use.
  if (request.stop !== undefined && lastTid >= request.stop) return undefined;
  return { ...saved, lastTid };
}

function reportOddities({ path: name, warn }: OpenRequest, scan: ScanResult): void {
  for (const { position, message } of scan.warnings) {
    warn({ code: 'ODD_TRANSACTION', path: name, message: `${name}: ${message}, at ${position}.` });
  }
}

/** Cuts off what follows the last whole transaction, and saves it in a `.tr0`, `.tr1`, … */
function cutTail(request: OpenRequest, fd: number, fileSize: number, scan: ScanResult): string | undefined {
  const { system, path: name } = request;
  if (scan.tail === 'none') return undefined;
  let savedAs: string | undefined;
  if (scan.tail !== 'short') {
    let number = 0;
    while (system.size(`${name}.tr${number}`) >= 0) number++;
    savedAs = `${name}.tr${number}`;
    copyRange(system, fd, scan.end, fileSize, savedAs);
  }
  system.truncate(fd, scan.end);
  system.sync(fd);
  request.warn({
    code: 'TORN_TAIL',
    path: name,
    message:
      `${name} ended in ${fileSize - scan.end} bytes that are no whole transaction: a commit was interrupted there. ` +
      (savedAs === undefined ? 'They were removed.' : `They were moved to ${savedAs}.`),
  });
  return savedAs;
}

function copyRange(system: FileSystem, fd: number, from: number, to: number, target: string): void {
  const out = system.open(target, 'wx');
  try {
    const chunk = Buffer.allocUnsafe(1 << 20);
    for (let at = from; at < to;) {
      const count = readFully(system, fd, chunk, 0, Math.min(chunk.length, to - at), at);
      if (count === 0) throw new DamagedFileError(target, at, 'the file became shorter while it was read');
      writeFully(system, out, chunk.subarray(0, count), at - from);
      at += count;
    }
    system.sync(out);
  } finally {
    system.close(out);
  }
}

/** Replaces the `.index` file, in one step: a crash leaves the old or the new one. */
export function saveIndex(system: FileSystem, name: string, index: OidIndex, position: number): void {
  const temporary = `${name}.index_tmp`;
  const fd = system.open(temporary, 'w');
  try {
    writeParts(system, fd, indexFileParts(index, position));
    system.sync(fd);
  } finally {
    system.close(fd);
  }
  system.rename(temporary, `${name}.index`);
}

function writeParts(system: FileSystem, fd: number, parts: Iterable<Buffer>): void {
  let group: Buffer[] = [];
  let grouped = 0;
  let at = 0;
  const write = (): void => {
    writeFully(system, fd, Buffer.concat(group, grouped), at);
    at += grouped;
    group = [];
    grouped = 0;
  };
  for (const part of parts) {
    group.push(part);
    grouped += part.length;
    if (grouped >= WRITE_BYTES) write();
  }
  write();
}
