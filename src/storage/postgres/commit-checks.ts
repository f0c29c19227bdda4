/** What a commit must find true when it has the lock. */
import { POSKeyError, ReadConflictError } from '../../errors';
import type { Oid, Tid } from '../../ids';
import type { Rows } from './rows';
import type { Schema } from './schema';

/** The newest revision of an object. */
export interface Newest {
  readonly tid: Tid;
  readonly isDeleted: boolean;
  /** A pack is removing it. */
  readonly isDoomed: boolean;
}

/** Asks for the newest revisions of the objects of an array ($1). */
export function newestQuery({ revision, doomed }: Schema): string {
  return `SELECT wanted.oid, r.tid, r.state IS NULL, EXISTS (SELECT 1 FROM ${doomed} AS d WHERE d.oid = wanted.oid) FROM unnest($1::bigint[]) AS wanted (oid)
    CROSS JOIN LATERAL (SELECT tid, state FROM ${revision} WHERE oid = wanted.oid ORDER BY tid DESC LIMIT 1) AS r`;
}

/** The answer to {@link newestQuery}. */
export function readNewest(rows: Rows): Map<Oid, Newest> {
  const found = new Map<Oid, Newest>();
  while (rows.next()) {
    const oid = rows.oid();
    found.set(oid, { tid: rows.tid(), isDeleted: rows.text() === 't', isDoomed: rows.text() === 't' });
  }
  return found;
}

/** What was read and is to be current must be. `ReadConflictError`. */
export function checkRead(newest: ReadonlyMap<Oid, Newest>, read: ReadonlyMap<Oid, Tid>): void {
  for (const [oid, serial] of read) {
    const current = newest.get(oid);
    if (current === undefined || current.isDeleted) throw new POSKeyError(oid);
    if (current.tid !== serial)
      throw new ReadConflictError(undefined, { oid, serials: [current.tid, serial] });
  }
}

/** What is referred to must be there, and stay; so must what is changed. `ReadConflictError`. */
export function checkExistence(
  newest: ReadonlyMap<Oid, Newest>,
  referred: ReadonlySet<Oid>,
  changed: ReadonlyMap<Oid, unknown>,
): void {
  for (const oid of referred) {
    const current = newest.get(oid);
    if (changed.has(oid) || (current !== undefined && !current.isDeleted && !current.isDoomed)) continue;
    throw new ReadConflictError('An object that this transaction refers to was removed meanwhile.', { oid });
  }
  for (const oid of changed.keys()) {
    if (newest.get(oid)?.isDoomed !== true) continue;
    throw new ReadConflictError('An object that this transaction changes is being removed by a pack.', {
      oid,
    });
  }
}
