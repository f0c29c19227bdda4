/**
 * Where the file of a blob revision is in a blob directory, in the two layouts of `ZODB/src/ZODB/blob.py`:
 *
 * | layout | path of oid 0x2a at tid 0x03f6f35ccddddddd |
 * |---|---|
 * | bushy | `0x00/0x00/0x00/0x00/0x00/0x00/0x00/0x2a/0x03f6f35ccddddddd.blob` |
 * | lawn | `0x2a/0x03f6f35ccddddddd.blob` |
 *
 * The file `.layout` names the layout. Without it, an empty directory is bushy and any other is lawn.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { FormatError } from '../../errors';
import { formatTid, oidFromBigInt, oidToBigInt, parseTid, type Oid, type Tid } from '../../ids';

export type BlobLayout = 'bushy' | 'lawn';

/** The file that names the layout. */
export const LAYOUT_MARKER = '.layout';
/** The directory of files that are not committed. */
export const TEMPORARY = 'tmp';

const BLOB_NAME = /^(0x[0-9a-f]{16})\.blob$/;

/** The directory of an object's revisions, relative to the blob directory. */
export function oidDirectory(oid: Oid, layout: BlobLayout): string {
  const digits = oidToBigInt(oid).toString(16).padStart(16, '0');
  if (layout === 'bushy') return path.join(...Array.from(digits.matchAll(/../g), ([pair]) => `0x${pair}`));
  const stripped = digits.replace(/^(00)+/, '');
  return `0x${stripped === '' ? '00' : stripped}`;
}

/** The name of a revision's file. */
export function blobFileName(tid: Tid): string {
  return `${formatTid(tid)}.blob`;
}

/** The tid in a file's name; `undefined` when it is none of a blob. */
export function tidOfBlobFile(name: string): Tid | undefined {
  const match = BLOB_NAME.exec(name);
  return match === null ? undefined : parseTid(match[1]!);
}

/** The layout of an existing directory; `undefined` when there is none, or nothing in it. */
export function detectLayout(directory: string): BlobLayout | undefined {
  let names: string[];
  try {
    names = fs.readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (names.includes(LAYOUT_MARKER)) {
    const layout = fs.readFileSync(path.join(directory, LAYOUT_MARKER), 'utf8').trim();
    if (layout === 'bushy' || layout === 'lawn') return layout;
    throw new FormatError(
      `${path.join(directory, LAYOUT_MARKER)} names the unknown blob layout ${JSON.stringify(layout)}.`,
    );
  }
  const content = names.filter((name) => name !== TEMPORARY && !name.startsWith('.'));
  if (content.length === 0) return undefined;
  // Older than the marker, which came with the bushy layout. Eight levels of single bytes are bushy all the same.
  return looksBushy(directory, content) ? 'bushy' : 'lawn';
}

function looksBushy(directory: string, names: readonly string[]): boolean {
  if (!names.every((name) => /^0x[0-9a-f]{2}$/.test(name))) return false;
  const inner = fs.readdirSync(path.join(directory, names[0]!));
  return inner.length > 0 && inner.every((name) => /^0x[0-9a-f]{2}$/.test(name));
}

/** A blob revision found in a directory. */
export interface StoredBlob {
  readonly oid: Oid;
  readonly tid: Tid;
  readonly path: string;
}

/** Every blob revision in a directory. */
export function* listBlobs(directory: string, layout: BlobLayout): Generator<StoredBlob> {
  if (!fs.existsSync(directory)) return;
  yield* walk(directory, layout === 'bushy' ? 8 : 1, '');
}

function* walk(directory: string, levels: number, digits: string): Generator<StoredBlob> {
  for (const name of fs.readdirSync(directory).sort()) {
    const inner = path.join(directory, name);
    if (levels === 0) {
      const tid = tidOfBlobFile(name);
      if (tid !== undefined) yield { oid: oidFromBigInt(BigInt(`0x${digits}`)), tid, path: inner };
    } else if (/^0x([0-9a-f]{2})+$/.test(name) && fs.statSync(inner).isDirectory()) {
      yield* walk(inner, levels - 1, digits + name.slice(2));
    }
  }
}
