import { ConflictError, POSKeyError, ReadConflictError } from '../errors';
import type { Oid, Tid } from '../ids';
import type { LoadedRecord, StorageHost } from './interfaces';

/** Three revisions, from which one is to be made; `old` is loaded only when it is needed. */
export interface StoreConflict {
  readonly oid: Oid;
  readonly committedSerial: Tid;
  readonly oldSerial: Tid;
  readonly committed: Uint8Array;
  readonly newData: Uint8Array;
  readonly loadOld: () => LoadedRecord;
}

/**
 * The merged record of a store that came too late, or `ConflictError`: without a host there is nobody who can merge,
 * and without the old revision there is nothing to compare with.
 */
export function mergeConflict(host: StorageHost | undefined, conflict: StoreConflict): Uint8Array {
  const merged = host && tryMerge(host, conflict);
  if (merged !== undefined) return merged;
  throw new ConflictError(undefined, {
    oid: conflict.oid,
    serials: [conflict.committedSerial, conflict.oldSerial],
  });
}

function tryMerge(host: StorageHost, conflict: StoreConflict): Uint8Array | undefined {
  const old = oldRevision(conflict);
  if (old === undefined) return undefined;
  return host.resolveConflict({
    oid: conflict.oid,
    committedSerial: conflict.committedSerial,
    oldSerial: conflict.oldSerial,
    committed: conflict.committed,
    old,
    newData: conflict.newData,
  });
}

function oldRevision(conflict: StoreConflict): Uint8Array | undefined {
  try {
    return conflict.loadOld().data;
  } catch (error) {
    if (error instanceof POSKeyError || error instanceof ReadConflictError) return undefined;
    throw error;
  }
}
