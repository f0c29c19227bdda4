import { randomUUID } from 'node:crypto';
import {
  ClosedError,
  InvalidArgumentError,
  POSKeyError,
  ReadOnlyError,
  StorageError,
  StorageTransactionError,
} from '../../errors';
import { MAX_TID, oidFromBytes, oidToBytes, ROOT_OID, ZERO_TID, type Oid, type Tid } from '../../ids';
import {
  checkRecord,
  CommitLock,
  MvccAdapter,
  type BlobReader,
  type BlobSource,
  type BoundedRecord,
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
import { formatAddress } from '../address';
import { listensInThisThread } from '../same-thread';
import { itemsOf, numberOf, tuple, type WireValue } from '../wire/values';
import { openCacheFile, openMemoryCache, type CacheFile } from './cache-file';
import type { Call } from './call';
import { ClientBlobs } from './client-blobs';
import { ClientTransaction, type TransactionContext } from './client-transaction';
import type { ServerConnection } from './connection';
import { Connector } from './connector';
import { askToPack, packResult } from './pack-call';
import { ServerLink } from './link';
import * as logs from './logs';
import {
  checkOptions,
  pemTexts,
  resolveAddresses,
  type ClientStorageOptions,
  type ZeoServerAddress,
} from './options';
import type { CacheStatistics, RecordCache } from './record-cache';
import { NOW, readInvalidation, revisionArguments, ServerView } from './server-view';
import { serverSupports } from './server-supports';

type Info = ReadonlyMap<WireValue, WireValue>;

const CACHE_SIZE = 20 << 20;
/** Milliseconds for which a pack waits before it lets others run. */
const PACK_SLICE = 5;
/** Milliseconds for which the server may take to give up a pack. */
const STOP_PATIENCE = 10_000;

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
  readonly #cache: RecordCache;
  readonly #view: ServerView;
  readonly #connector: Connector;
  readonly #link: ServerLink;
  readonly #blobs: ClientBlobs;
  readonly #adapter: MvccAdapter;
  readonly #lock: CommitLock;
  readonly #context: TransactionContext;
  readonly #clientId = randomUUID();
  #packing = false;
  #infoIsOld = false;
  #info = new Map<WireValue, WireValue>();
  #committing: TransactionMetaData | undefined;
  #txn: ClientTransaction | undefined;
  #nextTransaction = 1;
  #oids: Oid[] = [];
  #closed = false;

  constructor(where: ZeoServerAddress | readonly ZeoServerAddress[], options: ClientStorageOptions = {}) {
    checkOptions(options);
    const addresses = resolveAddresses(where);
    for (const address of addresses) {
      if (!listensInThisThread(address)) continue;
      throw new InvalidArgumentError(
        `The ZEO server at ${formatAddress(address)} runs in this thread. It could never answer a client that waits in the ` +
          'same thread; use its storage directly, or give the server a thread or process of its own.',
      );
    }
    this.#options = options;
    const place = addresses.map((address) => formatAddress(address)).join(',');
    const storage = options.storage ?? '1';
    this.name = options.name ?? `zeo:${place}/${storage}`;
    this.sortKey = `zeo:${place}/${storage}`;
    const size = options.cacheSize ?? CACHE_SIZE;
    this.#cacheFile = options.cachePath === undefined ? undefined : openCacheFile(options.cachePath, size);
    this.#cache = this.#cacheFile?.cache ?? openMemoryCache(size);
    this.#adapter = new MvccAdapter(this);
    this.#lock = new CommitLock(this.name);
    this.#view = new ServerView(this.#cache, this.#adapter);
    this.#connector = new Connector(
      {
        addresses,
        storage,
        readOnly: options.readOnly ?? false,
        readOnlyFallback: options.readOnlyFallback ?? false,
        tls: options.tls && {
          ca: pemTexts(options.tls.ca),
          cert: options.tls.cert?.toString(),
          key: options.tls.key?.toString(),
          passphrase: options.tls.passphrase,
          serverName: options.tls.serverName,
          checkServerName: options.tls.checkServerName ?? true,
        },
        label: options.clientLabel,
        maxMessageBytes: options.maxMessageBytes ?? 1 << 30,
        connectTimeout: options.connectTimeout ?? 10_000,
        retryDelay: options.retryDelay ?? 1000,
      },
      {
        lastTid: () => this.#view.lastTid,
        caughtUp: (tid, oids) => this.#view.caughtUp(tid, oids),
        lostTrack: (tid) => this.#view.lostTrack(tid),
        info: (info) => this.#mergeInfo(info),
        ready: () => this.#link.wake(),
        disconnected: () => this.#blobs.dropDownloads(),
        message: (name, args) => this.#message(name, args),
      },
    );
    this.#link = new ServerLink(this.#connector, this.name, options.waitTimeout ?? 30_000);
    this.#blobs = new ClientBlobs(this.#link, {
      directory: options.blobDir,
      shared: options.sharedBlobDir ?? false,
      limit: options.blobCacheSize,
    });
    this.#context = {
      host: undefined,
      connection: () => this.#connector.current,
      load: (connection, oid, before) => this.#view.load(connection, oid, before),
    };
    this.readOnly = options.readOnly ?? false;
    try {
      if (options.wait ?? true) this.#link.require();
    } catch (error) {
      this.close();
      throw error;
    }
    this.supports = serverSupports(
      this.#connector.current ? this.#info : undefined,
      options.sharedBlobDir ?? false,
    );
    this.#hideUnsupported();
  }

  registerDB(host: StorageHost): void {
    this.#view.host = host;
    (this.#context as { host: StorageHost | undefined }).host = host;
  }

  newInstance(options?: InstanceOptions): StorageInstance {
    this.#checkOpen();
    return this.#adapter.newInstance(options);
  }

  /** Whether there is a connection now. */
  get isConnected(): boolean {
    this.#connector.pump();
    return this.#connector.current !== undefined;
  }

  /** Whether the server found lets us only read, while we would write. */
  get isReadOnlyFallback(): boolean {
    return this.#connector.isReadOnly && !this.readOnly;
  }

  /** What the cache did since it was opened. */
  get cacheStatistics(): CacheStatistics {
    return this.#cache.statistics;
  }

  lastTransaction(): Tid {
    this.#checkOpen();
    this.sync();
    return this.#view.lastTid;
  }

  /** With the option `serverSync`, waits until everything committed before is known here. Every `poll` does it too. */
  sync(): void {
    this.#checkOpen();
    if (this.#options.serverSync)
      this.#link.read((connection) => connection.call('ping', tuple(), () => undefined));
    else this.#connector.pump();
  }

  /** As {@link sync} with `serverSync`, without blocking. */
  async syncAsync(): Promise<void> {
    await this.#link.readAsync((connection) => connection.call('ping', tuple(), () => undefined));
  }

  /** Asks the server: what is here may be older, and a pack may have removed it. */
  load(oid: Oid): LoadedRecord {
    this.#checkOpen();
    const record = this.#link.read((connection) => this.#view.load(connection, oid, NOW));
    if (record === undefined) throw new POSKeyError(oid);
    return record;
  }

  /** Which of these do not exist now, in one round trip. */
  missingNow(oids: readonly Oid[]): readonly Oid[] {
    this.#checkOpen();
    const connection = this.#link.require();
    const calls = oids.map((oid) => connection.call('getTid', tuple(oidToBytes(oid)), () => true));
    return oids.filter((_, index) => !this.#isThere(calls[index]!));
  }

  #isThere(call: Call<boolean>): boolean {
    try {
      return this.#link.wait(call);
    } catch (error) {
      if (error instanceof POSKeyError) return false;
      throw error;
    }
  }

  loadBefore(oid: Oid, tid: Tid): BoundedRecord | undefined {
    this.#checkOpen();
    this.#connector.pump();
    const cached = this.#cache.load(oid, tid);
    if (cached) return { data: cached.data, serial: cached.start, end: cached.end };
    return this.#link.read((connection) => this.#view.load(connection, oid, tid));
  }

  loadSerial(oid: Oid, tid: Tid): LoadedRecord {
    this.#checkOpen();
    const cached = this.#cache.loadSerial(oid, tid);
    if (cached) return { data: cached.data, serial: cached.start };
    const data = this.#link.read((connection) =>
      connection.call('loadSerial', revisionArguments(oid, tid), (reply) => Buffer.from(reply as Uint8Array)),
    );
    return { data, serial: tid };
  }

  /** Loads several in one round trip; `undefined` for those that do not exist. */
  loadManyBefore(oids: readonly Oid[], tid: Tid): (BoundedRecord | undefined)[] {
    this.prefetchBefore(oids, tid);
    return oids.map((oid) => {
      try {
        return this.loadBefore(oid, tid);
      } catch (error) {
        if (error instanceof POSKeyError) return undefined;
        throw error;
      }
    });
  }

  /** Asks for records that are not in the cache, and does not wait for them. */
  prefetchBefore(oids: readonly Oid[], tid: Tid): void {
    this.#checkOpen();
    const connection = this.#connector.current;
    if (!connection) return;
    for (const oid of oids) if (!this.#cache.has(oid, tid)) this.#view.load(connection, oid, tid);
    connection.flush();
  }

  /** As {@link prefetchBefore}, and resolves when the records are here. */
  async prefetchAsync(oids: readonly Oid[], tid: Tid = NOW): Promise<void> {
    await this.#link.requireAsync();
    const wanted = oids.filter((oid) => !this.#cache.has(oid, tid));
    await Promise.all(wanted.map((oid) => this.#fetchAsync(oid, tid)));
  }

  async #fetchAsync(oid: Oid, tid: Tid): Promise<void> {
    try {
      await this.#link.readAsync((connection) => this.#view.load(connection, oid, tid));
    } catch (error) {
      if (!(error instanceof POSKeyError)) throw error;
    }
  }

  objectCount(): number {
    return this.#number('length');
  }

  size(): number {
    return this.#number('size');
  }

  /** Counters and state of the server. */
  serverStatus(): Record<string, unknown> {
    const reply = this.#link.call('server_status', tuple(), (value) => value);
    if (!(reply instanceof Map)) return {};
    return Object.fromEntries([...reply].map(([key, value]) => [String(key), numberOf(value) ?? value]));
  }

  newOid(): Oid {
    this.#checkWritable();
    if (this.#oids.length === 0) {
      this.#oids = this.#link.call('new_oids', tuple(), (reply) =>
        (itemsOf(reply) ?? []).map((oid) => oidFromBytes(oid as Uint8Array)).reverse(),
      );
    }
    return this.#oids.pop()!;
  }

  tpcBegin(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): void {
    this.#checkWritable();
    this.#lock.acquire(txn);
    this.#begin(txn, () => this.#link.require(), tid, status);
  }

  async tpcBeginAsync(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): Promise<void> {
    this.#checkWritable();
    await this.#lock.acquireAsync(txn);
    try {
      await this.#link.requireAsync();
    } catch (error) {
      this.#lock.release(txn);
      throw error;
    }
    this.#begin(txn, () => this.#link.require(), tid, status);
  }

  store(oid: Oid, serial: Tid, data: Uint8Array, txn: TransactionMetaData): void {
    const transaction = this.#changing(txn);
    checkRecord(oid, data);
    transaction.store(oid, serial, data);
  }

  storeBlob(oid: Oid, serial: Tid, data: Uint8Array, source: BlobSource, txn: TransactionMetaData): void {
    const transaction = this.#changing(txn);
    checkRecord(oid, data);
    this.#blobs.store(transaction, oid, serial, data, source);
  }

  restore(oid: Oid, data: Uint8Array | null, txn: TransactionMetaData, dataTid?: Tid): void {
    const transaction = this.#changing(txn);
    if (data !== null) checkRecord(oid, data);
    transaction.restore(oid, data, dataTid);
  }

  restoreBlob(oid: Oid, data: Uint8Array, source: BlobSource, txn: TransactionMetaData): void {
    const transaction = this.#changing(txn);
    checkRecord(oid, data);
    transaction.restore(oid, data, undefined);
    this.#blobs.upload(transaction, oid, ZERO_TID, data, source);
  }

  deleteObject(oid: Oid, serial: Tid, txn: TransactionMetaData): void {
    this.#changing(txn).deleteObject(oid, serial);
  }

  checkCurrentSerial(oid: Oid, serial: Tid, txn: TransactionMetaData): void {
    this.#changing(txn).checkCurrent(oid, serial);
  }

  undo(tid: Tid, txn: TransactionMetaData): readonly Oid[] {
    const transaction = this.#changing(txn);
    transaction.undo(tid);
    if (!this.supports.iterate) return [];
    const oids: Oid[] = [];
    for (const undone of this.iterate(tid, tid)) for (const { oid } of undone.records()) oids.push(oid);
    return oids;
  }

  tpcVote(txn: TransactionMetaData): readonly Oid[] {
    const transaction = this.#changing(txn);
    try {
      return this.#link.run(transaction.vote());
    } catch (error) {
      throw this.#voteFailed(error);
    }
  }

  async tpcVoteAsync(txn: TransactionMetaData): Promise<readonly Oid[]> {
    const transaction = this.#changing(txn);
    try {
      return await this.#link.runAsync(transaction.vote());
    } catch (error) {
      throw this.#voteFailed(error);
    }
  }

  tpcFinish(txn: TransactionMetaData, callback?: (tid: Tid) => void): Tid {
    const transaction = this.#voted(txn);
    try {
      return this.#link.run(transaction.finish((tid) => this.#committed(transaction, tid, callback)));
    } finally {
      this.#end(txn);
    }
  }

  async tpcFinishAsync(txn: TransactionMetaData, callback?: (tid: Tid) => void): Promise<Tid> {
    const transaction = this.#voted(txn);
    try {
      return await this.#link.runAsync(
        transaction.finish((tid) => this.#committed(transaction, tid, callback)),
      );
    } finally {
      this.#end(txn);
    }
  }

  tpcAbort(txn: TransactionMetaData): void {
    if (this.#committing !== txn) return this.#lock.release(txn);
    this.#txn?.abort();
    this.#end(txn);
  }

  history(oid: Oid, size = 1): HistoryEntry[] {
    this.#checkOpen();
    return logs.history(this.#link, oid, size);
  }

  undoLog(first = 0, last = -20, filter?: (entry: TransactionInfo) => boolean): TransactionInfo[] {
    this.#checkOpen();
    return logs.undoLog(this.#link, first, last, filter);
  }

  iterate(start: Tid = ZERO_TID, stop: Tid = MAX_TID): IterableIterator<TransactionRecord> {
    this.#checkOpen();
    return logs.iterate(this.#link, start, stop);
  }

  currentRecords(from: Oid = ROOT_OID): IterableIterator<CurrentRecord> {
    this.#checkOpen();
    const tid = this.lastTransaction();
    const loadBefore = (oid: Oid): BoundedRecord | undefined => this.loadBefore(oid, (tid + 1n) as Tid);
    return logs.currentRecords(this.#link, from, { tid, loadBefore });
  }

  /** Packs at the server; others go on meanwhile. Python's servers take only a time, and tell nothing. */
  *pack(options: PackOptions = {}): Steps<PackReport> {
    this.#checkWritable();
    if (this.#packing) throw new StorageError('A pack of this storage is under way.', { code: 'PACKING' });
    this.#packing = true;
    const connection = this.#link.require();
    const call = askToPack(connection, options, this.#view.lastTid);
    connection.flush();
    try {
      for (;;) {
        yield { phase: 'pack at the server', done: 0, total: undefined };
        if (this.#connector.waitUntil(() => call.done, performance.now() + PACK_SLICE)) break;
      }
      return packResult(call);
    } finally {
      if (!call.done) this.#stopPack(connection, call);
      // What was removed there must not be found here.
      this.#cache.clear();
      this.#blobs.dropOld();
      this.#infoIsOld = true;
      this.#packing = false;
    }
  }

  #stopPack(connection: ServerConnection, call: Call<PackReport>): void {
    if (connection.epoch === undefined || connection.closed) return;
    connection.oneWay('zodb_stop_pack', tuple());
    this.#connector.waitUntil(() => call.done, performance.now() + STOP_PATIENCE);
  }

  openBlob(oid: Oid, serial: Tid): BlobReader {
    this.#checkOpen();
    return this.#blobs.open(oid, serial);
  }

  blobPath(oid: Oid, serial: Tid): string {
    this.#checkOpen();
    return this.#blobs.path(oid, serial);
  }

  blobDirectory(): string {
    this.#checkOpen();
    return this.#blobs.directory();
  }

  close(): void {
    if (this.#closed) return;
    this.#adapter.close();
    this.#closed = true;
    this.#txn?.abort();
    this.#connector.close();
    this.#link.close();
    this.#lock.close(this.#closedError());
    this.#blobs.close();
    if (this.#cacheFile) this.#cacheFile.close();
    else this.#cache.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #begin(
    txn: TransactionMetaData,
    connect: () => ReturnType<ServerLink['require']>,
    tid: Tid | undefined,
    status: TransactionStatus = ' ',
  ): void {
    try {
      const connection = connect();
      if (this.isReadOnlyFallback) throw new ReadOnlyError('Only a read-only ZEO server could be reached.');
      const count = this.#nextTransaction++;
      const id = connection.epoch === undefined ? count : `${this.#clientId}-${count}`;
      this.#txn = new ClientTransaction(id, txn, connection, this.#context, tid, status);
      this.#committing = txn;
    } catch (error) {
      this.#lock.release(txn);
      throw error;
    }
  }

  #changing(txn: TransactionMetaData): ClientTransaction {
    this.#checkOpen();
    this.#lock.require(txn);
    return this.#txn!;
  }

  #voted(txn: TransactionMetaData): ClientTransaction {
    const transaction = this.#changing(txn);
    if (!transaction.voted) throw new StorageTransactionError('tpcFinish came before tpcVote.');
    return transaction;
  }

  #voteFailed(error: unknown): unknown {
    // What made the conflict is on its way, but need not have arrived: the next load asks the server.
    const oid = (error as { oid?: Oid }).oid;
    if (oid !== undefined) this.#cache.invalidate(oid, undefined);
    return error;
  }

  /** The server has committed; runs in the order of the wire. */
  #committed(transaction: ClientTransaction, tid: Tid, callback: ((tid: Tid) => void) | undefined): void {
    callback?.(tid);
    const oids = new Set([...transaction.stored.keys(), ...transaction.changedElsewhere]);
    for (const oid of oids) this.#cache.invalidate(oid, tid);
    for (const [oid, { data }] of transaction.stored) {
      if (!transaction.changedElsewhere.has(oid)) this.#cache.store(oid, tid, undefined, data);
    }
    this.#blobs.committed(transaction, tid);
    this.#adapter.committed(tid, [...oids], transaction.meta);
    this.#view.committed(tid);
  }

  #end(txn: TransactionMetaData): void {
    this.#blobs.forget(this.#txn);
    this.#txn = undefined;
    this.#committing = undefined;
    this.#lock.release(txn);
  }

  #message(name: string, args: WireValue): void {
    if (name === 'invalidateTransaction') {
      const { tid, oids } = readInvalidation(args);
      this.#view.invalidated(tid, oids);
      this.#infoIsOld = true;
    } else if (name === 'info') {
      const [info] = itemsOf(args) ?? [];
      if (info instanceof Map) this.#mergeInfo(info as Map<WireValue, WireValue>);
    } else if (name.startsWith('receiveBlob')) this.#blobs.receive(name, args);
  }

  #mergeInfo(info: Info): void {
    for (const [key, value] of info) this.#info.set(key, value);
  }

  #number(name: string): number {
    this.#checkOpen();
    this.#connector.pump();
    if (this.#infoIsOld && this.#connector.current) {
      this.#infoIsOld = false;
      this.#link.read((connection) =>
        connection.call('get_info', tuple(), (info) => this.#mergeInfo(info as Info)),
      );
    }
    return numberOf(this.#info.get(name)) ?? 0;
  }

  /** Capabilities that the server lacks are not there, as the contract wants it. */
  #hideUnsupported(): void {
    const { undo, iterate, restore, deleteObject, currentRecords, blobs } = this.supports;
    const hidden = [
      ...(undo ? [] : ['undo', 'undoLog']),
      ...(iterate ? [] : ['iterate']),
      ...(restore ? [] : ['restore', 'restoreBlob']),
      ...(restore && !blobs ? ['restoreBlob'] : []),
      ...(deleteObject ? [] : ['deleteObject']),
      ...(currentRecords ? [] : ['currentRecords']),
      ...(blobs ? [] : ['storeBlob', 'openBlob', 'blobPath', 'blobDirectory']),
    ];
    for (const name of hidden) Object.defineProperty(this, name, { value: undefined });
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
