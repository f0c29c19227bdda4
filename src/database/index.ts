/** Databases and connections. */
export { ActivityMonitor, type Activity } from './activity';
export { Blob, BlobError, BlobFile, type BlobMode } from './blob';
export type { Change, ChangesOptions } from './changes';
export {
  Connection,
  connectionOf,
  ConnectionStateError,
  type Prefetchable,
  type TransferCounts,
} from './connection';
export { connection, DB, type OpenOptions, type PackArguments } from './db';
export type { ExportReport } from './export-import';
export type { Revision } from './history';
export type { InvalidationListener } from './invalidation-listeners';
export type { DBOptions, RootFactories, RootOf } from './options';
export { PoolTimeoutError } from './pool';
export type { Root } from './root';
export type { CommitMessage, ConflictMessage, LoadMessage, PackMessage, StoreMessage } from './tracing';
export { ForeignContextError, type TransactionOptions } from './transaction-run';
export type { UndoEntry } from './undo';
export { ExportError, IncompleteExportError } from './zexp';
