/** Records as Python's ZODB writes them, put together by hand: nothing here rests on the code under test. */
import { oidFromBytes, oidToBytes, type Oid } from '../../../src/ids';
import type { StorageHost } from '../../../src/storage';

const CLASS = Buffer.from('cpersistent.mapping\nPersistentMapping\n', 'latin1');
const PROTO = Buffer.from([0x80, 0x03]);

function unicode(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  const head = Buffer.alloc(5);
  head[0] = 0x58;
  head.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

function reference(oid: Oid): Buffer {
  return Buffer.concat([Buffer.from([0x43, 8]), oidToBytes(oid), CLASS, Buffer.from([0x86, 0x51])]);
}

/** A PersistentMapping with a text under `'text'` and references under `'0'`, `'1'`, … */
export function mappingRecord(text: string, references: readonly Oid[] = []): Buffer {
  const items = [unicode('text'), unicode(text), Buffer.from('s')];
  for (const [place, oid] of references.entries())
    items.push(unicode(String(place)), reference(oid), Buffer.from('s'));
  return Buffer.concat([
    PROTO,
    CLASS,
    Buffer.from('.'),
    PROTO,
    Buffer.from('}'),
    unicode('data'),
    Buffer.from('}'),
    ...items,
    Buffer.from('s.'),
  ]);
}

/** A blob's record. */
export const blobRecord = Buffer.concat([
  PROTO,
  Buffer.from('cZODB.blob\nBlob\n.', 'latin1'),
  PROTO,
  Buffer.from('N.', 'latin1'),
]);

/** The references of {@link mappingRecord}, found by hand. */
export function referencesOf(record: Uint8Array): Oid[] {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.length);
  const tail = Buffer.concat([CLASS, Buffer.from([0x86, 0x51])]);
  const oids: Oid[] = [];
  for (let at = bytes.indexOf(tail); at >= 0; at = bytes.indexOf(tail, at + 1))
    oids.push(oidFromBytes(bytes, at - 8));
  return oids;
}

/** What a DB does for its storage, without a DB. */
export const plainHost: StorageHost = {
  invalidate: () => undefined,
  invalidateAll: () => undefined,
  resolveConflict: () => undefined,
  references: referencesOf,
};
