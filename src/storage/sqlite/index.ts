export type { BlobMode, HistoryMode, SqliteStorageOptions } from './options';
export { APPLICATION_ID, SCHEMA_VERSION } from './schema';
export { SqliteStorage } from './storage';
