/** A database over the network: Python's ZEO protocol, both sides. Importing it makes `zeo:` URIs work. */
import './client/scheme';
export { formatAddress, parseAddress, type ZeoAddress } from './address';
export {
  ClientCacheError,
  ClientDisconnected,
  CommitOutcomeUnknownError,
  ServerException,
  ZeoProtocolError,
} from './errors';
export { ZeoServer, type ServerTlsOptions, type ZeoServerOptions } from './server/server';
export { prometheusText, type StorageStatus } from './server/status';
export { serveStatusPage, type StatusPage } from './server/status-page';
export type { ServerLogger } from './server/logger';
export { ClientStorage } from './client/client-storage';
export type { ClientStorageOptions, ClientTlsOptions, ZeoServerAddress } from './client/options';
export type { CacheStatistics } from './client/record-cache';
