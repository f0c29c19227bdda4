import { ROOT_OID, ZERO_TID, type Oid, type Tid } from '../../ids';
import { keepSpecimen } from '../../specimens';

/** So many stores are written together. */
const MANY = 16;

/** One call of a transaction, buffered until its vote. */
export interface Change {
  readonly kind: 'store' | 'restore' | 'delete' | 'check';
  readonly oid: Oid;
  readonly serial: Tid;
  readonly data: Uint8Array | null;
  readonly references: readonly Oid[] | undefined;
  readonly content: number | undefined;
}

keepSpecimen<Change>({
  kind: 'store',
  oid: ROOT_OID,
  serial: ZERO_TID,
  data: null,
  references: undefined,
  content: undefined,
});

/**
 * Whether the stores among these are worth to be written together: many, nothing else is written, no object twice or with a
 * blob, and all oids are below 2^53.
 */
export function areManyStores(changes: readonly Change[]): boolean {
  if (changes.length < MANY) return false;
  let ascending = true;
  let last = -1;
  for (let i = 0; i < changes.length; i++) {
    const { kind, oid, content } = changes[i]!;
    if (kind === 'check') continue;
    if (kind !== 'store' || content !== undefined || oid < 0) return false;
    if (oid <= last) ascending = false;
    last = oid;
  }
  return ascending || areDistinct(changes);
}

/** Whether no object is stored twice. */
function areDistinct(changes: readonly Change[]): boolean {
  const oids = new Set<Oid>();
  for (const { kind, oid } of changes) {
    if (kind === 'check') continue;
    if (oids.has(oid)) return false;
    oids.add(oid);
  }
  return true;
}
