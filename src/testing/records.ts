import { oidToBytes, type Oid } from '../ids';
import type { Conflict } from '../storage';

const CLASS = Buffer.from('\x80\x03czodb_testing\nThing\nq\x00.', 'latin1');
const BLOB = Buffer.from('\x80\x03cZODB.blob\nBlob\nq\x00.\x80\x03N.', 'latin1');

/** A real record, small and made by hand: its state is a tuple of strong references and a text. */
export function record(text: string, references: readonly Oid[] = []): Buffer {
  const value = Buffer.from(text, 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32LE(value.length);
  const parts: Uint8Array[] = [CLASS, Buffer.from('\x80\x03(', 'latin1')];
  for (const oid of references) parts.push(Buffer.from('C\x08', 'latin1'), oidToBytes(oid), Buffer.from('Q'));
  return Buffer.concat([...parts, Buffer.from('X'), length, value, Buffer.from('t.')]);
}

/** The record of a blob object. */
export function blobRecord(): Buffer {
  return Buffer.from(BLOB);
}

/** The text of a {@link record}. */
export function textOf(data: Uint8Array): string {
  const references = referencesOf(data).length;
  const at = CLASS.length + 3 + references * 11;
  const length = Buffer.from(data).readUInt32LE(at + 1);
  return Buffer.from(data)
    .subarray(at + 5, at + 5 + length)
    .toString('utf8');
}

/** How many references a {@link record} has, and to what. */
export function referencesOf(data: Uint8Array): Oid[] {
  const bytes = Buffer.from(data);
  const oids: Oid[] = [];
  if (!bytes.subarray(0, CLASS.length).equals(CLASS)) return oids;
  for (let at = CLASS.length + 3; bytes[at] === 0x43; at += 11) {
    oids.push(Number(bytes.readBigUInt64BE(at + 2)) as Oid);
  }
  return oids;
}

/** Merges records whose texts are `count:<number>`, as a counter does; others can't be merged. */
export function mergeCounters({ old, committed, newData }: Conflict): Uint8Array | undefined {
  const counts = [old, committed, newData].map((data) => /^count:(-?\d+)$/.exec(textOf(data))?.[1]);
  if (counts.includes(undefined)) return undefined;
  const [before, theirs, ours] = counts.map(Number) as [number, number, number];
  return record(`count:${theirs + ours - before}`, referencesOf(newData));
}
