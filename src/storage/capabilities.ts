import { UnsupportedError } from '../errors';
import type {
  BlobCapability,
  CurrentRecordCapability,
  DeleteCall,
  HistoryCapability,
  IterationCapability,
  MaintenanceCapability,
  PackCapability,
  RestoreCalls,
  Storage,
  StorageSupports,
  UndoCapability,
  AsyncCommitCapability,
} from './interfaces';

/** The interface behind each name of the manifest that has one. */
export interface Capabilities {
  undo: UndoCapability;
  history: HistoryCapability;
  blobs: BlobCapability;
  pack: PackCapability;
  iterate: IterationCapability;
  restore: RestoreCalls;
  deleteObject: DeleteCall;
  currentRecords: CurrentRecordCapability;
  asyncCommit: AsyncCommitCapability;
  maintenance: MaintenanceCapability;
}

const NOTHING: StorageSupports = {
  undo: false,
  history: false,
  blobs: false,
  blobPaths: false,
  pack: false,
  iterate: false,
  restore: false,
  deleteObject: false,
  currentRecords: false,
  asyncCommit: false,
  prefetch: false,
  maintenance: false,
  persistent: false,
  multiProcess: false,
};

/** A frozen manifest: what is named, and nothing else. */
export function supportsManifest(supported: Partial<StorageSupports>): StorageSupports {
  return Object.freeze({ ...NOTHING, ...supported });
}

/** Narrows `storage` to what `capability` promises, or throws `UnsupportedError`. */
export function requireCapability<Name extends keyof Capabilities>(
  storage: Storage,
  capability: Name,
): asserts storage is Storage & Capabilities[Name] {
  if (!storage.supports[capability]) {
    throw new UnsupportedError(`The storage ${storage.name} does not support "${capability}".`);
  }
}
