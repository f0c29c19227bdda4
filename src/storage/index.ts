export type * from './interfaces';
export { requireCapability, supportsManifest, type Capabilities } from './capabilities';
export { runSteps, runStepsAsync, type Progress, type RunOptions, type Steps } from './steps';
export { TransactionMetaData, type TransactionMetaDataInit } from './transaction-meta';
export { CommitLock } from './commit-lock';
export { mergeConflict, type StoreConflict } from './merge-conflict';
export {
  DamagedFileError,
  FileStorage,
  QuotaError,
  recoverFile,
  type RecoverOptions,
  type RecoverReport,
  type FileStorageOptions,
  type FileWarning,
} from './file';
export { newWorkingFile, sweepWorkingFiles } from './blob-working-files';
export { MemoryStorage, type MemoryStorageOptions } from './memory';
export { MvccAdapter, type PlainStorage } from './mvcc-adapter';
export { checkRecord } from './record-check';
export { selectUndoable } from './undo-log';
export { undoneData, type UndoneObject } from './undo-rule';
export { SqliteStorage, type BlobMode, type HistoryMode, type SqliteStorageOptions } from './sqlite';
export {
  openStorage,
  isStorageScheme,
  isMadeWhenMissing,
  registerStorageScheme,
  type StorageOpener,
  type StorageOptions,
  type StorageUri,
} from './open-storage';
export { copyTransactions, type CopyReport, type CopyTarget } from './copy';
export { DemoStorage, type DemoStorageOptions } from './demo';
export {
  EncryptedStorage,
  loadZstd,
  TransformStorage,
  ZlibStorage,
  ZstdStorage,
  type BlobTransform,
  type EncryptedStorageOptions,
  type RecordTransform,
  type ZlibStorageOptions,
  type ZstdCodec,
} from './wrap';
export { crc32 } from './sqlite/crc32';
export {
  backupStorage,
  restoreBackup,
  verifyBackup,
  type BackupOptions,
  type BackupOutcome,
  type RestoreOptions,
  type RestoreOutcome,
  type VerifyOptions,
  type VerifyReport,
} from './backup';
