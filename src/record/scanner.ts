import type { Oid } from '../ids';
import type { ClassMeta } from './class-meta';
import type { ScannedReference } from './interfaces';

/**
 * The oids that a record refers to strongly within its database (forms oid and (oid, class)), each occurrence once, in
 * order, without decoding the state. Appends to `into` when it is given.
 */
export function references(_record: Uint8Array, _into: Oid[] = []): Oid[] {
  throw new Error('not yet');
}

/** Every reference of every kind, in order. */
export function scanReferences(_record: Uint8Array): ScannedReference[] {
  throw new Error('not yet');
}

/** The class of a record, without decoding the state. */
export function readClass(_record: Uint8Array): ClassMeta {
  throw new Error('not yet');
}

/** `module.name` of a record's class. */
export function className(_record: Uint8Array): string {
  throw new Error('not yet');
}

/** The record with every strong reference's oid replaced by `map(oid)`: for import and copy. */
export function rewriteReferences(_record: Uint8Array, _map: (oid: Oid) => Oid): Buffer {
  throw new Error('not yet');
}
