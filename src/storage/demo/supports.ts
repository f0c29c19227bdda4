import { supportsManifest } from '../capabilities';
import type { StorageSupports } from '../interfaces';

/** What two layers can do together. */
export function supportsOf(base: StorageSupports, changes: StorageSupports): StorageSupports {
  const iterate = base.iterate && changes.iterate;
  const deleteObject = changes.restore && changes.deleteObject;
  return supportsManifest({
    undo: changes.undo && iterate && deleteObject,
    history: base.history,
    blobs: changes.blobs,
    blobPaths: changes.blobPaths && base.blobPaths,
    pack: changes.pack && changes.iterate && changes.restore,
    iterate,
    restore: changes.restore,
    deleteObject,
    currentRecords: base.currentRecords && changes.currentRecords,
    asyncCommit: changes.asyncCommit,
    persistent: changes.persistent,
  });
}
