import { ClosedError, ReadOnlyError, StorageError } from '../../errors';
import { MAX_TID, ROOT_OID, ZERO_TID, type Oid, type Tid } from '../../ids';
import {
  checkRecord,
  MvccAdapter,
  type BlobReader,
  type BlobSource,
  type BoundedRecord,
  type CommitResult,
  type CurrentRecord,
  type HistoryEntry,
  type InstanceOptions,
  type LoadedRecord,
  type PackOptions,
  type PackReport,
  type Steps,
  type Storage,
  type StorageHost,
  type StorageInstance,
  type StorageSupports,
  type TransactionInfo,
  type TransactionMetaData,
  type TransactionRecord,
  type TransactionStatus,
} from '../../storage/index';
import { formatAddress, type ZeoAddress } from '../address';
import { refuseSameThread } from '../same-thread';
import { tuple, type WireValue } from '../wire/values';
import { openCacheFile, openMemoryCache, type CacheFile } from './cache-file';
import { ClientBlobs } from './client-blobs';
import { ClientCommits } from './client-commits';
import type { ClientParts } from './client-parts';
import { Connector, type ConnectorHost } from './connector';
import { ServerLink } from './link';
import * as logs from './logs';
import { checkOptions, resolveAddresses, type ClientStorageOptions, type ZeoServerAddress } from './options';
import { connectorOptions } from './connector-options';
import { packAtServer } from './pack-call';
import type { CacheStatistics } from './record-cache';
import { RecordLoader } from './record-loader';
import { ServerInfo, serverStatus } from './server-info';
import { absentMethods, serverSupports } from './server-supports';
import { NOW, readInvalidation, ServerView } from './server-view';

const CACHE_SIZE = 20 << 20;

/**
 * A storage on a ZEO server, TypeScript's or Python's. Calls block until the server has answered, while a thread of their
 * own does the input and output; the commit calls have forms that don't. Records are cached, in memory or in a file.
 *
 * A lost connection is looked for again by itself. Reads wait for it; a commit on it fails with `ClientDisconnected` (nothing was
 * committed, run it again) or {@link CommitOutcomeUnknownError}.
 *
 * Connecting to a server in the same thread is refused: both would wait for the other for ever.
 */
export class ClientStorage implements Storage {
  readonly name: string;
  readonly sortKey: string;
  readonly readOnly: boolean;
  readonly supports: StorageSupports;
  readonly #options: ClientStorageOptions;
  readonly #cacheFile: CacheFile | undefined;
  readonly #parts: ClientParts;
  readonly #loader: RecordLoader;
  readonly #commits: ClientCommits;
  readonly #info = new ServerInfo();
  #packing = false;
  #closed = false;

  constructor(where: ZeoServerAddress | readonly ZeoServerAddress[], options: ClientStorageOptions = {}) {
    checkOptions(options);
    const addresses = resolveAddresses(where);
    for (const address of addresses) refuseSameThread(address);
    this.#options = options;
    this.readOnly = options.readOnly ?? false;
    this.sortKey = `zeo:${addresses.map((address) => formatAddress(address)).join(',')}/${options.storage ?? '1'}`;
    this.name = options.name ?? this.sortKey;
    const size = options.cacheSize ?? CACHE_SIZE;
    this.#cacheFile = options.cachePath === undefined ? undefined : openCacheFile(options.cachePath, size);
    this.#parts = this.#makeParts(addresses, size);
    this.#loader = new RecordLoader(this.#parts);
    this.#commits = new ClientCommits(this.#parts);
    try {
      if (options.wait ?? true) this.#parts.link.require();
    } catch (error) {
      this.close();
      throw error;
    }
    const info = this.#parts.connector.current ? this.#info.values : undefined;
    this.supports = serverSupports(info, options.sharedBlobDir ?? false);
    // Capabilities that the server lacks are not there, as the contract wants it.
    for (const name of absentMethods(this.supports)) Object.defineProperty(this, name, { value: undefined });
  }

  #makeParts(addresses: readonly ZeoAddress[], size: number): ClientParts {
    const options = this.#options;
    const { name } = this;
    const cache = this.#cacheFile?.cache ?? openMemoryCache(size);
    const adapter = new MvccAdapter(this);
    const view = new ServerView(cache, adapter);
    const host: ConnectorHost = {
      lastTid: () => view.lastTid,
      caughtUp: (tid, oids) => view.caughtUp(tid, oids),
      lostTrack: (tid) => view.lostTrack(tid),
      info: (info) => this.#info.merge(info),
      ready: () => link.wake(),
      refused: () => link.giveUp(),
      message: (message, args) => this.#message(message, args),
      fileFailed: (failure) => blobs.failed(failure),
    };
    const connector = new Connector(connectorOptions(addresses, options), host);
    const { waitTimeout = 30_000, callTimeout = 300_000 } = options;
    const link = new ServerLink(connector, name, waitTimeout, callTimeout);
    const blobs = new ClientBlobs(link, {
      directory: options.blobDir,
      shared: options.sharedBlobDir ?? false,
      limit: options.blobCacheSize,
    });
    return { name, cache, adapter, view, connector, link, blobs };
  }

  registerDB(host: StorageHost): void {
    this.#parts.view.host = host;
    this.#commits.host = host;
  }

  newInstance(options?: InstanceOptions): StorageInstance {
    this.#checkOpen();
    return this.#parts.adapter.newInstance(options);
  }

  /** Whether there is a connection now. */
  get isConnected(): boolean {
    this.#parts.connector.pump();
    return this.#parts.connector.current !== undefined;
  }

  /** Whether the server found lets us only read, while we would write. */
  get isReadOnlyFallback(): boolean {
    return this.#parts.connector.isReadOnly && !this.readOnly;
  }

  /** What the cache did since it was opened. */
  get cacheStatistics(): CacheStatistics {
    return this.#parts.cache.statistics;
  }

  lastTransaction(): Tid {
    this.sync();
    return this.#parts.view.lastTid;
  }

  /** With the option `serverSync`, waits until everything committed before is known here. Every `poll` does it too. */
  sync(): void {
    this.#checkOpen();
    const { connector, link } = this.#parts;
    if (this.#options.serverSync)
      link.read((connection) => connection.call('ping', tuple(), () => undefined));
    else connector.pump();
  }

  /** As {@link sync} with `serverSync`, without blocking. */
  async syncAsync(): Promise<void> {
    this.#checkOpen();
    await this.#parts.link.readAsync((connection) => connection.call('ping', tuple(), () => undefined));
  }

  /** Asks the server, not the cache. */
  load(oid: Oid): LoadedRecord {
    this.#checkOpen();
    return this.#loader.load(oid);
  }

  loadBefore(oid: Oid, tid: Tid): BoundedRecord | undefined {
    this.#checkOpen();
    return this.#loader.loadBefore(oid, tid);
  }

  loadSerial(oid: Oid, tid: Tid): LoadedRecord {
    this.#checkOpen();
    return this.#loader.loadSerial(oid, tid);
  }

  /** Loads several in one round trip; `undefined` for those that do not exist. */
  loadManyBefore(oids: readonly Oid[], tid: Tid): (BoundedRecord | undefined)[] {
    this.#checkOpen();
    return this.#loader.loadManyBefore(oids, tid);
  }

  /** Asks for records that are not in the cache, and does not wait for them. */
  prefetchBefore(oids: readonly Oid[], tid: Tid): void {
    this.#checkOpen();
    this.#loader.prefetchBefore(oids, tid);
  }

  /** As {@link prefetchBefore}, and resolves when the records are here. */
  prefetchAsync(oids: readonly Oid[], tid: Tid = NOW): Promise<void> {
    this.#checkOpen();
    return this.#loader.prefetchAsync(oids, tid);
  }

  /** Which of these do not exist now, in one round trip. */
  missingNow(oids: readonly Oid[]): readonly Oid[] {
    this.#checkOpen();
    return this.#loader.missingNow(oids);
  }

  objectCount(): number {
    return this.#number('length');
  }

  size(): number {
    return this.#number('size');
  }

  /** Counters and state of the server. */
  serverStatus(): Record<string, unknown> {
    this.#checkOpen();
    return serverStatus(this.#parts.link);
  }

  newOid(): Oid {
    this.#checkWritable();
    return this.#commits.newOid();
  }

  tpcBegin(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): void {
    this.#checkWritable();
    this.#commits.begin(txn, tid, status);
  }

  tpcBeginAsync(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): Promise<void> {
    this.#checkWritable();
    return this.#commits.beginAsync(txn, tid, status);
  }

  store(oid: Oid, serial: Tid, data: Uint8Array, txn: TransactionMetaData): void {
    const transaction = this.#committing.require(txn);
    checkRecord(oid, data);
    transaction.store(oid, serial, data);
  }

  storeBlob(oid: Oid, serial: Tid, data: Uint8Array, source: BlobSource, txn: TransactionMetaData): void {
    const transaction = this.#committing.require(txn);
    checkRecord(oid, data);
    this.#parts.blobs.store(transaction, oid, serial, data, source);
  }

  restore(oid: Oid, data: Uint8Array | null, txn: TransactionMetaData, dataTid?: Tid): void {
    const transaction = this.#committing.require(txn);
    if (data !== null) checkRecord(oid, data);
    transaction.restore(oid, data, dataTid);
  }

  restoreBlob(oid: Oid, data: Uint8Array, source: BlobSource, txn: TransactionMetaData): void {
    this.restore(oid, data, txn);
    this.#parts.blobs.upload(this.#commits.require(txn), oid, ZERO_TID, data, source);
  }

  deleteObject(oid: Oid, serial: Tid, txn: TransactionMetaData): void {
    this.#committing.require(txn).deleteObject(oid, serial);
  }

  checkCurrentSerial(oid: Oid, serial: Tid, txn: TransactionMetaData): void {
    this.#committing.require(txn).checkCurrent(oid, serial);
  }

  undo(tid: Tid, txn: TransactionMetaData): readonly Oid[] {
    this.#committing.require(txn).undo(tid);
    return this.supports.iterate ? logs.changedBy(this.#parts.link, tid) : [];
  }

  tpcVote(txn: TransactionMetaData): readonly Oid[] {
    return this.#committing.vote(txn);
  }

  tpcVoteAsync(txn: TransactionMetaData): Promise<readonly Oid[]> {
    return this.#committing.voteAsync(txn);
  }

  tpcFinish(txn: TransactionMetaData, callback?: (tid: Tid) => void): Tid {
    return this.#committing.finish(txn, callback);
  }

  tpcFinishAsync(txn: TransactionMetaData, callback?: (tid: Tid) => void): Promise<Tid> {
    return this.#committing.finishAsync(txn, callback);
  }

  /** Votes and finishes in one round trip; in two with Python's servers, and those of this package that can't. */
  tpcCommit(txn: TransactionMetaData): CommitResult {
    return this.#committing.commit(txn);
  }

  tpcCommitAsync(txn: TransactionMetaData): Promise<CommitResult> {
    return this.#committing.commitAsync(txn);
  }

  tpcAbort(txn: TransactionMetaData): void {
    this.#commits.abort(txn);
  }

  history(oid: Oid, size = 1): HistoryEntry[] {
    this.#checkOpen();
    return logs.history(this.#parts.link, oid, size);
  }

  undoLog(first = 0, last = -20, filter?: (entry: TransactionInfo) => boolean): TransactionInfo[] {
    this.#checkOpen();
    return logs.undoLog(this.#parts.link, first, last, filter);
  }

  iterate(start: Tid = ZERO_TID, stop: Tid = MAX_TID): IterableIterator<TransactionRecord> {
    this.#checkOpen();
    return logs.iterate(this.#parts.link, start, stop);
  }

  currentRecords(from: Oid = ROOT_OID): IterableIterator<CurrentRecord> {
    const tid = this.lastTransaction();
    const loadBefore = (oid: Oid): BoundedRecord | undefined => this.loadBefore(oid, (tid + 1n) as Tid);
    return logs.currentRecords(this.#parts.link, from, { tid, loadBefore });
  }

  /** Packs at the server; others go on meanwhile. Python's servers take only a time, and tell nothing. */
  *pack(options: PackOptions = {}): Steps<PackReport> {
    this.#checkWritable();
    if (this.#packing) throw new StorageError('A pack of this storage is under way.', { code: 'PACKING' });
    this.#packing = true;
    try {
      return yield* packAtServer(this.#parts, options);
    } finally {
      this.#info.outdate();
      this.#packing = false;
    }
  }

  openBlob(oid: Oid, serial: Tid): BlobReader {
    this.#checkOpen();
    return this.#parts.blobs.open(oid, serial);
  }

  blobPath(oid: Oid, serial: Tid): string {
    this.#checkOpen();
    return this.#parts.blobs.path(oid, serial);
  }

  blobDirectory(): string {
    this.#checkOpen();
    return this.#parts.blobs.directory();
  }

  close(): void {
    if (this.#closed) return;
    const { adapter, blobs, cache, connector, link } = this.#parts;
    adapter.close();
    this.#closed = true;
    this.#commits.close(this.#closedError());
    connector.close();
    link.close();
    blobs.close();
    if (this.#cacheFile) this.#cacheFile.close();
    else cache.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #message(name: string, args: WireValue): void {
    if (name === 'invalidateTransaction') {
      const { tid, oids } = readInvalidation(args);
      this.#parts.view.invalidated(tid, oids);
      this.#info.outdate();
    } else if (name === 'info') this.#info.receive(args);
    else if (name.startsWith('receiveBlob')) this.#parts.blobs.receive(name, args);
  }

  #number(name: string): number {
    this.#checkOpen();
    this.#parts.connector.pump();
    return this.#info.number(name, this.#parts.link);
  }

  get #committing(): ClientCommits {
    this.#checkOpen();
    return this.#commits;
  }

  #checkWritable(): void {
    this.#checkOpen();
    if (this.readOnly) throw new ReadOnlyError('This ZEO client was opened read-only.');
  }

  #checkOpen(): void {
    if (this.#closed) throw this.#closedError();
  }

  #closedError(): ClosedError {
    return new ClosedError(`The ZEO client ${this.name} is closed.`);
  }
}
