/**
 * Records of the server, kept by the client: a ring of blocks in memory or in a file, in the format of Python's client cache
 * (`ZEO/src/ZEO/cache.py`), so that either can take over the other's file.
 *
 * | at | bytes | |
 * |---|---|---|
 * | 0 | 4 | `ZEC3` |
 * | 4 | 8 | last tid: everything in the cache is right up to this transaction |
 * | 12 | | blocks, up to the end of the file |
 *
 * | block | |
 * |---|---|
 * | `a` | u32 total size; oid; start tid; end tid (0: current); u16 0; u32 length; data; oid; CRC-32 of oid, start tid and data; CRC-32 of end tid |
 * | `f` | u32 total size; from 9 bytes on CRC-32 of where it is and this header; nothing of use |
 * | `1` … `4` | this many bytes of nothing |
 *
 * Python writes no CRCs and reads over them; a file that was once Python's is believed without. (In others free blocks need them too: what
 * is in free space can look like a block, and a header that tells too little of it would bring old records back.) New records go where the ring stands and push out what
 * is in the way; a record that is used when it has fallen far behind moves to the front. A block's status byte is written last.
 */
import { oidFromBytes, tidFromBytes, type Oid, type Tid } from '../../ids';
import { crc32 } from '../../storage/index';

export const CACHE_MAGIC = Buffer.from('ZEC3', 'latin1');
export const CACHE_HEADER = 12;
export const BLOCK_HEADER = 35;
/** Header, closing oid, CRCs. */
export const OVERHEAD = BLOCK_HEADER + 8 + 8;
export const PYTHON_OVERHEAD = BLOCK_HEADER + 8;
export const ALLOCATED = 0x61;
export const FREE = 0x66;
export const FREE_HEADER = 9;
/** Free blocks that are smaller than this have another header. */
const LONG_FREE = 5;
const free = Buffer.alloc(13);
export const MAX_BLOCK = 0x7fff_ffff;
/** A block that holds a record. */
export interface Block {
  readonly oid: Oid;
  readonly start: Tid;
  end: Tid | undefined;
  readonly offset: number;
  readonly size: number;
  readonly hasChecksums: boolean;
}

/** The data in a block as it was read; `undefined` when it is not what was written. */
export function dataOf(bytes: Buffer, block: Block): Buffer | undefined {
  const length = bytes.readUInt32BE(31);
  const { hasChecksums } = block;
  if (bytes[0] !== ALLOCATED || bytes.length !== length + (hasChecksums ? OVERHEAD : PYTHON_OVERHEAD))
    return undefined;
  if (oidFromBytes(bytes, 5) !== block.oid || tidFromBytes(bytes, 13) !== block.start) return undefined;
  if (hasChecksums && bytes.readUInt32BE(bytes.length - 8) !== checksum(bytes, length)) return undefined;
  if (hasChecksums && bytes.readUInt32BE(bytes.length - 4) !== crc32(bytes.subarray(21, 29), 0))
    return undefined;
  return bytes.subarray(BLOCK_HEADER, BLOCK_HEADER + length);
}

/** Of oid, start tid, and data. The end tid changes in place and has its own. */
export function checksum(bytes: Buffer, length: number): number {
  return crc32(bytes.subarray(BLOCK_HEADER, BLOCK_HEADER + length), crc32(bytes.subarray(5, 21), 0));
}

/** Writes the header of a free block of `size` bytes at `offset` of the cache to `target`; four bytes and less have short ones. */
export function writeFreeHeader(target: Buffer, at: number, size: number, offset: number): void {
  if (size < LONG_FREE) {
    target[at] = 0x30 + size;
    return;
  }
  target[at] = FREE;
  target.writeUInt32BE(size, at + 1);
  if (size >= FREE_HEADER) target.writeUInt32BE(freeChecksum(size, offset), at + LONG_FREE);
}

/** Whether the header of a long free block is what was written there. */
export function isFreeHeader(bytes: Buffer, size: number, offset: number): boolean {
  return size < FREE_HEADER || bytes.readUInt32BE(LONG_FREE) === freeChecksum(size, offset);
}

function freeChecksum(size: number, offset: number): number {
  free[0] = FREE;
  free.writeUInt32BE(size, 1);
  free.writeDoubleBE(offset, 5);
  return crc32(free, 0);
}
