/**
 * What stands in a record besides its values: references and the class, found without decoding the state.
 */
import { type Oid, oidFromBytes, oidToBytes } from '../ids';
import type { ClassMeta } from './class-meta';
import type { ScannedReference } from './interfaces';
import { quickReferences } from './quick-scan';
import { RecordReader } from './reader';
import { Scan } from './scan';
import { structureHooks } from './structure';

// The global is looked up by a getter, at 5 ns each time.
const { isBuffer } = Buffer;
const scan = new Scan();
const reader = new RecordReader(structureHooks);

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Whether a record has no reference for sure: the opcodes of references, BINPERSID and PERSID with 8 characters, are nowhere in it,
 * not even as parts of something else. To search a byte takes as long as three steps from opcode to opcode.
 */
function hasNone(record: Uint8Array): boolean {
  if (!isBuffer(record) || record[0] !== 0x80 || record[record.length - 1] !== 0x2e) return false;
  if (record.indexOf(0x51) >= 0) return false;
  let at = record.indexOf(0x50);
  while (at >= 0) {
    if (record[at + 9] === 0x0a) return false;
    at = record.indexOf(0x50, at + 1);
  }
  return true;
}

/**
 * The oids that a record refers to strongly within its own database, each occurrence, in order, without decoding the
 * state; appended to `into` when it is given. Weak references and those into other databases don't count, as for
 * ZODB's `referencesf`.
 *
 * Exact for every record. For bytes that are none it throws `PickleError`, or answers with what looks like references
 * in them: it looks no closer than that takes. Who wants to know whether a record is whole reads it.
 */
export function references(record: Uint8Array, into: Oid[] = []): Oid[] {
  if (hasNone(record)) return into;
  const before = into.length;
  if (quickReferences(record, into)) return into;
  into.length = before;
  scan.oids(asBuffer(record), into);
  return into;
}

/** Every reference of every kind, each occurrence, in order. Decodes the record. Throws `PickleError`. */
export function scanReferences(record: Uint8Array): ScannedReference[] {
  const found: ScannedReference[] = [];
  const note = (kind: ScannedReference['kind'], oid: Oid, database: string | undefined): null => {
    found.push({ kind, oid, database });
    return null;
  };
  const reader = new RecordReader({
    strongReference: (oid) => note('strong', oid, undefined),
    weakReference: (oid, database) => note('weak', oid, database),
    foreignReference: (database, oid) => note('foreign', oid, database),
    restart: () => {
      found.length = Math.min(found.length, inClass);
    },
  });
  // References may stand in both pickles; only the one at work is read again.
  let inClass = 0;
  reader.readClass(record);
  inClass = found.length;
  found.length = 0;
  reader.read(record);
  return found;
}

/** The class of a record, without decoding the state. Throws `PickleError`. */
export function readClass(record: Uint8Array): ClassMeta {
  return reader.readClass(record);
}

/** `module.name` of a record's class. Throws `PickleError`. */
export function className(record: Uint8Array): string {
  return reader.readClass(record).toString();
}

/**
 * The record with the oid of every strong reference replaced by `map(oid)`, everything else byte for byte: for import and
 * copies. An oid that the state also holds as a plain value, in the same bytes object, is replaced there too.
 */
export function rewriteReferences(record: Uint8Array, map: (oid: Oid) => Oid): Buffer {
  const copy = Buffer.from(record);
  for (const start of new Set(scan.places(copy))) oidToBytes(map(oidFromBytes(copy, start)), copy, start);
  return copy;
}
