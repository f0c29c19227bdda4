import type { Oid, Tid } from '../../ids';
import type { Stored } from './write-transaction';

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

/**
 * The stores, when they are worth to be written together: many, nothing else is written, no object twice or with a blob, and
 * all oids are below 2^53.
 */
export function manyStores(changes: readonly Change[]): Stored[] | undefined {
  if (changes.length < MANY) return undefined;
  const stores: Stored[] = [];
  const oids = new Set<Oid>();
  for (const { kind, oid, serial, data, references, content } of changes) {
    if (kind === 'check') continue;
    if (kind !== 'store' || content !== undefined || oid < 0) return undefined;
    oids.add(oid);
    stores.push({ oid, serial, data: data!, references });
  }
  return oids.size === stores.length ? stores : undefined;
}
