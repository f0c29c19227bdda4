import { randomUUID } from 'node:crypto';
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvalidArgumentError, POSKeyError } from '../errors';
import { ZERO_TID, type Oid } from '../ids';
import { oidOf } from '../persistence/index';
import { className, references, rewriteReferences } from '../record/index';
import type { ConnectionJar } from './connection-jar';
import { ExportSource, ExportWriter, IncompleteExportError, readExport, type ExportedObject } from './zexp';

const BLOB_CLASS = 'ZODB.blob.Blob';
const CHUNK = 64 * 1024;

/** How much was exported. */
export interface ExportReport {
  readonly objects: number;
  readonly blobs: number;
}

/** Writes an object and all that it leads to, breadth first, as this connection's snapshot has it. */
export function exportFile(jar: ConnectionJar, object: object | Oid, path: string): ExportReport {
  const first = typeof object === 'number' ? (object as Oid) : oidOf(object);
  if (first === undefined)
    throw new InvalidArgumentError('Only saved objects can be exported: commit first.');
  const writer = new ExportWriter(path);
  const seen = new Set([first]);
  let objects = 0;
  let blobs = 0;
  try {
    // The set grows while it is walked: breadth first.
    for (const oid of seen) {
      const record = loadOrSkip(jar, oid, first);
      if (!record) continue;
      writer.object(oid, record.data);
      objects++;
      if (className(record.data) === BLOB_CLASS && exportBlob(jar, oid, record.serial, writer)) blobs++;
      for (const target of references(record.data)) seen.add(target);
    }
    writer.end();
  } catch (error) {
    writer.giveUp();
    throw error;
  }
  return { objects, blobs };
}

/** A reference that leads nowhere is left out, as Python does; the object asked for must exist. */
function loadOrSkip(jar: ConnectionJar, oid: Oid, first: Oid) {
  try {
    return jar.load(oid);
  } catch (error) {
    if (oid !== first && error instanceof POSKeyError) return undefined;
    throw error;
  }
}

function exportBlob(
  jar: ConnectionJar,
  oid: Oid,
  serial: Parameters<ConnectionJar['storage']['loadSerial']>[1],
  writer: ExportWriter,
): boolean {
  if (!jar.storage.openBlob) return false;
  const blob = jar.storage.openBlob(oid, serial);
  try {
    writer.blob(blob.size);
    const chunk = Buffer.allocUnsafe(CHUNK);
    for (let position = 0; position < blob.size;) {
      const count = blob.read(chunk, 0, Math.min(CHUNK, blob.size - position), position);
      if (count === 0) throw new InvalidArgumentError(`The blob ended ${blob.size - position} bytes early.`);
      writer.write(chunk.subarray(0, count));
      position += count;
    }
  } finally {
    blob.close();
  }
  return true;
}

/** What an import brings into a connection. */
export interface ImportTarget {
  readonly jar: ConnectionJar;
  /** Joins the transaction. */
  join(): void;
  /** A file that becomes the content of the blob `oid`. */
  addBlob(oid: Oid, path: string): void;
  /** Objects that are in the transaction's overlay from here on. */
  imported(oids: readonly Oid[]): void;
}

/**
 * Brings the objects of an export file in under new oids, as part of the current transaction, and returns the first one
 * (`undefined` for a file without objects). Hang it somewhere: what nothing leads to goes with the next pack.
 */
export function importFile(
  { jar, join: joinTransaction, addBlob, imported }: ImportTarget,
  from: string | Uint8Array,
): object | undefined {
  const source = new ExportSource(from);
  try {
    const objects = checkWhole(source);
    if (objects.length === 0) return undefined;
    joinTransaction();
    const oids = new Map<Oid, Oid>(objects.map(({ oid }) => [oid, jar.newOid()]));
    const map = (oid: Oid): Oid => {
      const mapped = oids.get(oid);
      if (mapped === undefined) throw new IncompleteExportError(oid);
      return mapped;
    };
    for (const exported of readExport(source)) {
      const oid = map(exported.oid);
      const data = rewriteReferences(exported.data, map);
      jar.overlay.set(oid, {
        data,
        serial: ZERO_TID,
        references: references(data),
        className: className(data),
      });
      if (exported.blob) {
        // The transaction moves it or removes it: there is no directory that would be left.
        addBlob(oid, copyBlob(source, exported.blob, join(tmpdir(), `zodb-import-${randomUUID()}.blob`)));
      }
    }
    imported([...oids.values()]);
    return jar.cache.get(oids.get(objects[0]!.oid)!);
  } finally {
    source.close();
  }
}

/** Reads the file to its end before anything is brought in: a torn one changes nothing. */
function checkWhole(source: ExportSource): Pick<ExportedObject, 'oid'>[] {
  const objects = Array.from(readExport(source), ({ oid, data }) => ({ oid, references: references(data) }));
  const known = new Set(objects.map(({ oid }) => oid));
  for (const { references: targets } of objects) {
    for (const target of targets) if (!known.has(target)) throw new IncompleteExportError(target);
  }
  return objects;
}

function copyBlob(
  source: ExportSource,
  { position, size }: { position: number; size: number },
  path: string,
): string {
  const fd = openSync(path, 'wx', 0o600);
  try {
    for (let done = 0; done < size;) {
      const chunk = source.read(position + done, Math.min(CHUNK, size - done));
      // Unlike `writeSync` it goes on when a disk that is nearly full takes a part only.
      writeFileSync(fd, chunk);
      done += chunk.length;
    }
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
  return path;
}
