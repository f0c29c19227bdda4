import { POSKeyError } from '../../errors';
import { formatOid, parseOid, ROOT_OID, type Oid } from '../../ids';
import { className, references } from '../../record/index';
import { requireCapability, type Storage } from '../../storage/index';
import { oidFirst } from '../arguments';
import { databaseUrl, EXIT, withStorage, type Context } from '../context';
import { printRows } from '../output';
import { placeOfReference } from '../place-in-record';

/** `zodb refs [OID]`: what refers to an object; without one, references to objects that do not exist (exit code 3). */
export async function refs(context: Context, args: readonly string[]): Promise<void> {
  const [oid, database] = oidFirst(args);
  await withStorage(databaseUrl(database, context.env), 'read', (storage) => {
    const rows = oid === undefined ? dangling(storage) : referrers(storage, oid);
    if (oid !== undefined) {
      // To tell what nothing refers to from what is not there.
      if (rows.length === 0) storage.load(oid);
      printRows(context, rows, ['oid', 'class', 'by'], `Nothing refers to ${formatOid(oid)}.`);
      return;
    }
    printRows(context, rows, ['oid', 'class', 'by', 'missing'], 'All references lead to objects.');
    if (rows.length > 0) context.exitCode = EXIT.problems;
  });
}

/** `zodb why OID`: the shortest path from the root that keeps an object. */
export async function why(context: Context, oid: string, given: string | undefined): Promise<void> {
  await withStorage(databaseUrl(given, context.env), 'read', (storage) => {
    const path = pathTo(storage, parseOid(oid));
    if (path === undefined) {
      // One that does not exist is an error, not a finding.
      storage.load(parseOid(oid));
      if (context.json) context.out('null\n');
      else
        context.out(
          `Nothing leads from the root to ${formatOid(parseOid(oid))}; the next pack removes it.\n`,
        );
      context.exitCode = EXIT.problems;
      return;
    }
    const rows = path.map((each, index) => ({
      oid: formatOid(each),
      class: classAt(storage, each),
      by: index === 0 ? '' : placeOfReference(storage.load(path[index - 1]!).data, each),
    }));
    printRows(context, rows, ['oid', 'class', 'by']);
  });
}

interface Row extends Record<string, string> {
  oid: string;
  class: string;
  /** Where the reference stands in the object that has it. */
  by: string;
}

function referrers(storage: Storage, target: Oid): Row[] {
  requireCapability(storage, 'currentRecords');
  const rows: Row[] = [];
  for (const { oid, data } of storage.currentRecords()) {
    if (!references(data).includes(target)) continue;
    rows.push({ oid: formatOid(oid), class: classOf(data), by: placeOfReference(data, target) });
  }
  return rows;
}

function dangling(storage: Storage): Row[] {
  requireCapability(storage, 'currentRecords');
  const existing = new Set<Oid>();
  for (const { oid } of storage.currentRecords()) existing.add(oid);
  const rows: Row[] = [];
  for (const { oid, data } of storage.currentRecords()) {
    for (const target of new Set(references(data))) {
      if (!existing.has(target))
        rows.push({
          oid: formatOid(oid),
          class: classOf(data),
          by: placeOfReference(data, target),
          missing: formatOid(target),
        });
    }
  }
  return rows;
}

function pathTo(storage: Storage, target: Oid): Oid[] | undefined {
  const from = new Map<Oid, Oid | undefined>([[ROOT_OID, undefined]]);
  let level: Oid[] = [ROOT_OID];
  while (level.length > 0 && !from.has(target)) {
    const next: Oid[] = [];
    for (const oid of level) {
      for (const reference of referencesOf(storage, oid)) {
        if (from.has(reference)) continue;
        from.set(reference, oid);
        next.push(reference);
      }
    }
    level = next;
  }
  if (!from.has(target)) return undefined;
  const path: Oid[] = [];
  for (let oid: Oid | undefined = target; oid !== undefined; oid = from.get(oid)) path.unshift(oid);
  return path;
}

/** None of an object that does not exist: `refs` tells of those. */
function referencesOf(storage: Storage, oid: Oid): readonly Oid[] {
  try {
    return references(storage.load(oid).data);
  } catch (error) {
    if (error instanceof POSKeyError) return [];
    throw error;
  }
}

function classAt(storage: Storage, oid: Oid): string {
  try {
    return classOf(storage.load(oid).data);
  } catch (error) {
    if (error instanceof POSKeyError) return '(missing)';
    throw error;
  }
}

function classOf(data: Uint8Array): string {
  try {
    return className(data);
  } catch {
    return '(no record)';
  }
}
