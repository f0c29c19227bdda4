import { formatOid, parseOid, ROOT_OID, type Oid } from '../../ids';
import { className, references } from '../../record/index';
import { requireCapability, type Storage } from '../../storage/index';
import { databaseUrl, EXIT, withStorage, type Context } from '../context';
import { printRows } from '../output';

/** `zodb refs [OID]`: what refers to an object; without one, references to objects that do not exist (exit code 3). */
export async function refs(context: Context, args: readonly string[]): Promise<void> {
  const [oid, database] = oidFirst(args);
  await withStorage(databaseUrl(database, context.env), 'read', (storage) => {
    const rows = oid === undefined ? dangling(storage) : referrers(storage, oid);
    printRows(context, rows, oid === undefined ? ['oid', 'class', 'missing'] : ['oid', 'class']);
    if (oid === undefined && rows.length > 0) context.exitCode = EXIT.problems;
  });
}

/** `zodb why OID`: the shortest path from the root that keeps an object. */
export async function why(context: Context, oid: string, given: string | undefined): Promise<void> {
  await withStorage(databaseUrl(given, context.env), 'read', (storage) => {
    const path = pathTo(storage, parseOid(oid));
    if (path === undefined) {
      if (context.json) context.out('null\n');
      else
        context.out(
          `Nothing leads from the root to ${formatOid(parseOid(oid))}; the next pack removes it.\n`,
        );
      context.exitCode = EXIT.problems;
      return;
    }
    const rows = path.map((each) => ({ oid: formatOid(each), class: classOf(storage.load(each).data) }));
    printRows(context, rows, ['oid', 'class']);
  });
}

interface Row extends Record<string, string> {
  oid: string;
  class: string;
}

function referrers(storage: Storage, target: Oid): Row[] {
  requireCapability(storage, 'currentRecords');
  const rows: Row[] = [];
  for (const { oid, data } of storage.currentRecords()) {
    if (references(data).includes(target)) rows.push({ oid: formatOid(oid), class: classOf(data) });
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
        rows.push({ oid: formatOid(oid), class: classOf(data), missing: formatOid(target) });
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
      for (const reference of references(storage.load(oid).data)) {
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

function classOf(data: Uint8Array): string {
  try {
    return className(data);
  } catch {
    return '(no record)';
  }
}

/** An oid and a database, where both may be missing: an oid looks like one. */
function oidFirst([first, second]: readonly string[]): [Oid | undefined, string | undefined] {
  if (first === undefined) return [undefined, undefined];
  return /^(0x[0-9a-f]+|\d+)$/i.test(first) ? [parseOid(first), second] : [undefined, first];
}
