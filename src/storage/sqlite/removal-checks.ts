/** What packs and deletions took away, seen by a commit that has the write lock. */
import { ReadConflictError } from '../../errors';
import { formatOid, ZERO_TID, type Oid } from '../../ids';
import type { Change } from './change';
import { findReferences } from './references';
import type { WriteContext } from './write-context';

/** Throws when an object is changed that a pack is going to remove: nothing refers to it, and what it refers to may be gone. */
export function checkDoomed({ revisions }: WriteContext, changes: readonly Change[]): void {
  for (const { kind, oid, serial } of changes) {
    if (kind !== 'store' || serial === ZERO_TID || !revisions.isDoomed(oid)) continue;
    throw new ReadConflictError(
      `${formatOid(oid)} is being removed by a pack: nothing refers to it any more. Run the transaction again.`,
      { oid },
    );
  }
}

/**
 * Throws when a record to be stored refers to an object that was removed since the connection saw it.
 * @param stored objects of the same transaction
 */
export function checkReferences(
  { engine, revisions, statements }: WriteContext,
  changes: readonly Change[],
  stored: ReadonlySet<Oid>,
): void {
  for (const { kind, oid, data, references } of changes) {
    if (kind !== 'store') continue;
    const former = new Set(statements.currentReferences(oid));
    for (const target of references ?? findReferences(data!, engine.host) ?? []) {
      if (stored.has(target) || former.has(target) || revisions.exists(target)) continue;
      throw new ReadConflictError(
        `${formatOid(oid)} refers to ${formatOid(target)}, which was removed while the transaction ran. Run it again.`,
        { oid: target },
      );
    }
  }
}
