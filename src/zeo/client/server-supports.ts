import { supportsManifest, type StorageSupports } from '../../storage/index';
import { itemsOf, type WireValue } from '../wire/values';

/** The manifest of a storage behind a server, by the interfaces it announced; without an answer yet, everything. */
export function serverSupports(
  info: ReadonlyMap<WireValue, WireValue> | undefined,
  sharedBlobs: boolean,
): StorageSupports {
  const announced = new Set((itemsOf(info?.get('interfaces')) ?? []).map((pair) => itemsOf(pair)?.[1]));
  const has = (name: string): boolean => info === undefined || announced.has(name);
  const blobs = has('IBlobStorage') || sharedBlobs;
  return supportsManifest({
    undo: has('IStorageUndoable'),
    history: true,
    blobs,
    blobPaths: blobs,
    pack: true,
    iterate: has('IStorageIteration'),
    restore: has('IStorageRestoreable'),
    deleteObject: has('IExternalGC'),
    currentRecords: has('IStorageCurrentRecordIteration'),
    asyncCommit: true,
    prefetch: true,
    persistent: true,
    multiProcess: true,
  });
}

/** The methods that a client storage with this manifest must not have. */
export function absentMethods(supports: StorageSupports): string[] {
  const { undo, iterate, restore, deleteObject, currentRecords, blobs } = supports;
  return [
    ...(undo ? [] : ['undo', 'undoLog']),
    ...(iterate ? [] : ['iterate']),
    ...(restore ? [] : ['restore']),
    ...(restore && blobs ? [] : ['restoreBlob']),
    ...(deleteObject ? [] : ['deleteObject']),
    ...(currentRecords ? [] : ['currentRecords']),
    ...(blobs ? [] : ['storeBlob', 'openBlob', 'blobPath', 'blobDirectory']),
  ];
}
