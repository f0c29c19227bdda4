/** `Data.fs`, the database file of Python's ZODB: `docs/migrating-from-python.md`. */
export { DamagedFileError, QuotaError } from './errors';
export { FileStorage } from './file-storage';
export type { FileStorageOptions, FileWarning } from './options';
export { recoverFile, type RecoverOptions, type RecoverReport } from './recover';
