import { CorruptionError } from '../../errors';
import { formatOid, oidToBytes, type Oid } from '../../ids';
import { sizeCrc } from './blob-contents';
import { crc32 } from './crc32';
import type { Statement } from './driver';
import { oidKey, type Handle } from './handle';

/** Which content belongs to which revision, as one handle sees it. */
export class BlobIndex {
  readonly #handle: Handle;
  readonly #find: Statement<{ content: number; crc: number }>;
  readonly #size: Statement<{ size: number; crc: number }>;

  constructor(handle: Handle) {
    this.#handle = handle;
    this.#find = handle.prepare('SELECT content, crc FROM blob WHERE oid = ? AND seq = ?');
    this.#size = handle.prepare('SELECT size, crc FROM blob_content WHERE id = ?');
  }

  /** The content of a revision; `undefined` when it has none. */
  contentOf(oid: Oid, seq: number): number | undefined {
    const row = this.#find.get(oidKey(oid), seq);
    if (row === undefined) return undefined;
    if (row.crc !== blobCrc(oid, seq, row.content)) {
      throw new CorruptionError(
        `${this.#handle.path}: it is damaged which content the blob ${formatOid(oid)} has.`,
      );
    }
    return row.content;
  }

  sizeOf(content: number): number {
    const row = this.#size.get(content);
    if (row === undefined || row.crc !== sizeCrc(content, row.size)) {
      throw new CorruptionError(
        `${this.#handle.path}: the size of blob content ${content} is missing or damaged.`,
      );
    }
    return row.size;
  }
}

/** Checksum of a row of `blob`. */
export function blobCrc(oid: Oid, seq: number, content: number): number {
  return crc32(oidToBytes(oid), crc32(Buffer.from(`${seq}:${content}`), 0));
}
