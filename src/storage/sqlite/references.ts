/**
 * The `refs` column: what a record refers to strongly, so that packing decodes no records.
 *
 * | value | meaning |
 * |---|---|
 * | NULL | not known: the record could not be read when it was stored |
 * | no bytes | it refers to nothing |
 * | list of oids, then 4 bytes | CRC-32 of the list, begun from a number made of oid and seq |
 */
import { references as recordReferences } from '../../record';
import type { Oid } from '../../ids';
import type { StorageHost } from '../interfaces';
import { crc32 } from './crc32';
import { packOids, unpackOids } from './oid-list';
import { damaged, placeSeed } from './record-format';

/** The column of a record without references. */
export const NO_REFERENCES = Buffer.alloc(0);
const STOP = 0x2e;

/** The column for these references; `undefined` is "not known". */
export function packReferences(oid: Oid, seq: number, oids: readonly Oid[] | undefined): Buffer | null {
  if (oids === undefined) return null;
  if (oids.length === 0) return NO_REFERENCES;
  const list = packOids(oids);
  const packed = Buffer.allocUnsafe(list.length + 4);
  packed.set(list);
  packed.writeUInt32BE(crc32(list, placeSeed(oid, seq)), list.length);
  return packed;
}

/** The references in the column; `undefined` where they are not known. `CorruptionError` when it is damaged. */
export function unpackReferences(oid: Oid, seq: number, packed: Buffer | null): Oid[] | undefined {
  if (packed === null) return undefined;
  if (packed.length === 0) return [];
  if (packed.length < 5) throw damaged(oid);
  const list = packed.subarray(0, packed.length - 4);
  if (crc32(list, placeSeed(oid, seq)) !== packed.readUInt32BE(list.length)) throw damaged(oid);
  return unpackOids(list);
}

/** The references of a record, or `undefined` when neither the host nor the scanner can read it. */
export function findReferences(data: Uint8Array, host: StorageHost | undefined): readonly Oid[] | undefined {
  try {
    if (host) return host.references(data);
    // Every pickle ends with STOP; what a wrapper compressed or encrypted seldom does.
    return data.at(-1) === STOP ? recordReferences(data) : undefined;
  } catch {
    return undefined;
  }
}
