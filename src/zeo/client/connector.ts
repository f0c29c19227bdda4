import { SyncBridge } from '../../bridge/index';
import { ReadOnlyError, StorageError } from '../../errors';
import { formatTid, oidFromBytes, tidFromBytes, tidToBytes, ZERO_TID, type Oid, type Tid } from '../../ids';
import { formatAddress, type ZeoAddress } from '../address';
import { ClientDisconnected, ZeoProtocolError } from '../errors';
import { itemsOf, tuple, type WireValue } from '../wire/values';
import { ServerConnection, type ServerMessages } from './connection';
import { RECORD, type FileFailure, type SocketOrder, type SocketTls } from './socket-orders';
import { socketWorker } from './socket-worker';

/** What the connector needs to know. */
export interface ConnectorOptions {
  readonly addresses: readonly ZeoAddress[];
  readonly storage: string;
  readonly readOnly: boolean;
  readonly readOnlyFallback: boolean;
  readonly tls: SocketTls | undefined;
  readonly label: string | undefined;
  readonly maxMessageBytes: number;
  /** Milliseconds for one attempt to connect. */
  readonly connectTimeout: number;
  /** Milliseconds between rounds of attempts; up to twice as much, by chance. */
  readonly retryDelay: number;
}

/** Who uses the connection: it keeps the cache, and knows up to which transaction that is right. */
export interface ConnectorHost {
  /** The last transaction known here; `ZERO_TID` when nothing is. */
  lastTid(): Tid;
  /** Everything that changed after {@link lastTid}, up to `tid`. */
  caughtUp(tid: Tid, oids: readonly Oid[]): void;
  /** It is not known what changed up to `tid`: all that was kept is worth nothing. */
  lostTrack(tid: Tid): void;
  /** What the server tells about its storage. */
  info(info: ReadonlyMap<WireValue, WireValue>): void;
  ready(connection: ServerConnection, readOnly: boolean): void;
  /** {@link Connector.refusal} is known: waiting longer is no use. */
  refused(): void;
  message(name: string, args: WireValue): void;
  /** A file that arrives could not be written. */
  fileFailed(failure: FileFailure): void;
}

/**
 * Finds a server, registers with it, brings the cache up to date, and begins again when the connection is lost: handshake, register,
 * getInvalidations where needed, get_info, label (`ZEO/src/ZEO/asyncio/client.py`).
 */
export class Connector implements ServerMessages {
  readonly bridge: SyncBridge;
  /** The connection in use; `undefined` while there is none. */
  current: ServerConnection | undefined;
  /** Why the last attempt failed. */
  lastFailure: Error | undefined;
  /** What the only server there is said when it did not take us, and never had: a storage that it does not have, for one. */
  refusal: Error | undefined;
  #attempt: ServerConnection | undefined;
  /** What arrives before the cache is known to be right waits here. */
  #early: [name: string, args: WireValue][] = [];
  #isReadOnly = false;
  #wasServed = false;
  #nextId = 1;
  #addressIndex = 0;
  #closed = false;

  constructor(
    private readonly options: ConnectorOptions,
    private readonly host: ConnectorHost,
  ) {
    this.bridge = new SyncBridge(socketWorker, { name: 'zeo-client' });
    this.bridge.onReadable = () => this.pump();
    this.bridge.onFailure = (error) => this.#bridgeFailed(error);
    this.#connect(0);
  }

  /** Handles everything that has arrived. */
  pump(): void {
    for (let record = this.bridge.receive(); record; record = this.bridge.receive()) {
      const tag = this.bridge.tag;
      const connection = this.#find(tag >>> 2);
      if (!connection) continue;
      const kind = tag & 3;
      if (kind === RECORD.data) this.#receive(connection, record);
      else if (kind === RECORD.opened) connection.opened = true;
      else if (kind === RECORD.closed) this.#lost(connection, record.toString('utf8'));
      else if (kind === RECORD.file) this.#fileMoved(connection, record);
    }
  }

  /** Blocks this thread until `condition` holds; false when the time (of `performance.now()`) is over. */
  waitUntil(condition: () => boolean, deadline: number): boolean {
    this.current?.flush();
    for (;;) {
      this.pump();
      if (condition()) return true;
      const left = deadline - performance.now();
      if (left <= 0 || this.#closed) return false;
      this.bridge.wait(left);
    }
  }

  onMessage(connection: ServerConnection, name: string, args: WireValue): void {
    if (connection === this.current) this.host.message(name, args);
    else if (connection === this.#attempt) this.#early.push([name, args]);
  }

  /** Gives the present connection up, calls that wait fail with `error`, and looks for another one. */
  reconnect(reason: string, error?: ClientDisconnected): void {
    const connection = this.current;
    if (!connection) return;
    connection.close(error);
    this.#lost(connection, reason);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.current?.close();
    this.#attempt?.close();
    this.current = this.#attempt = undefined;
    void this.bridge.close();
  }

  #find(id: number): ServerConnection | undefined {
    if (this.current?.id === id) return this.current;
    return this.#attempt?.id === id ? this.#attempt : undefined;
  }

  #connect(delay: number): void {
    if (this.#closed) return;
    const address = this.options.addresses[this.#addressIndex % this.options.addresses.length]!;
    const connection = new ServerConnection(
      this.#nextId++,
      address,
      this.bridge,
      this,
      this.options.maxMessageBytes,
    );
    this.#attempt = connection;
    this.#early = [];
    connection.onReady = () => this.#register(connection, this.options.readOnly);
    this.bridge.post({
      op: 'connect',
      connection: connection.id,
      delay,
      timeout: this.options.connectTimeout,
      address,
      tls: this.options.tls,
    } satisfies SocketOrder);
  }

  #receive(connection: ServerConnection, bytes: Buffer): void {
    try {
      connection.receive(bytes);
    } catch (error) {
      // Whatever it was, what follows in the stream can't be understood without it: begin anew.
      const failure = error instanceof Error ? error : new Error(String(error));
      connection.close();
      this.#lost(connection, failure.message);
      this.lastFailure = failure;
    }
  }

  #fileMoved(connection: ServerConnection, record: Buffer): void {
    connection.noteProgress();
    if (record.length > 0) this.host.fileFailed(JSON.parse(record.toString('utf8')) as FileFailure);
  }

  #register(connection: ServerConnection, readOnly: boolean): void {
    const call = connection.call('register', tuple(this.options.storage, readOnly), (reply) => {
      if (!(reply instanceof Uint8Array) || reply.length !== 8)
        throw new ZeoProtocolError('register gave no tid.');
      this.#verify(connection, tidFromBytes(reply), readOnly);
    });
    connection.flush();
    call.whenDone(() => {
      if (call.error === undefined) return;
      if (
        call.error instanceof ReadOnlyError &&
        this.options.readOnlyFallback &&
        !readOnly &&
        !this.current
      ) {
        this.#register(connection, true);
      } else {
        this.#giveUp(connection, call.error);
        if (
          !this.#wasServed &&
          this.options.addresses.length === 1 &&
          !(call.error instanceof ClientDisconnected)
        ) {
          this.refusal = this.lastFailure;
          this.host.refused();
        }
      }
    });
  }

  #verify(connection: ServerConnection, serverTid: Tid, readOnly: boolean): void {
    const known = this.host.lastTid();
    if (known > serverTid) {
      throw new StorageError(
        `The ZEO server at ${formatAddress(connection.address)} is behind this client: its last transaction is ${formatTid(serverTid)}, ` +
          `ours ${formatTid(known)}. It serves another database, or an older copy of this one.`,
        { code: 'ZEO_SERVER_BEHIND' },
      );
    }
    if (known === ZERO_TID || known === serverTid) {
      if (known === ZERO_TID) this.host.caughtUp(serverTid, []);
      return this.#askInfo(connection, readOnly);
    }
    const call = connection.call('getInvalidations', tuple(tidToBytes(known)), (reply) => {
      this.#catchUp(reply, serverTid);
      this.#askInfo(connection, readOnly);
    });
    connection.flush();
    call.whenDone(() => call.error === undefined || this.#giveUp(connection, call.error));
  }

  #catchUp(reply: WireValue, serverTid: Tid): void {
    const [tid, oids] = itemsOf(reply) ?? [];
    const list = itemsOf(oids);
    if (!(tid instanceof Uint8Array) || !list) return this.host.lostTrack(serverTid);
    this.host.caughtUp(
      tidFromBytes(tid),
      list.map((oid) => oidFromBytes(oid as Uint8Array)),
    );
  }

  #askInfo(connection: ServerConnection, readOnly: boolean): void {
    const call = connection.call('get_info', tuple(), (reply) => {
      const info = (reply instanceof Map ? reply : new Map()) as ReadonlyMap<WireValue, WireValue>;
      const epoch = info.get('zodb_js');
      connection.epoch = typeof epoch === 'string' ? epoch : undefined;
      connection.commitsAtOnce = connection.epoch !== undefined && info.get('zodb_commit') === true;
      this.host.info(info);
      if (this.options.label !== undefined) connection.oneWay('set_client_label', tuple(this.options.label));
      this.#use(connection, readOnly);
    });
    connection.flush();
    call.whenDone(() => call.error === undefined || this.#giveUp(connection, call.error));
  }

  #use(connection: ServerConnection, readOnly: boolean): void {
    const before = this.current;
    this.current = connection;
    this.#attempt = undefined;
    this.#isReadOnly = readOnly;
    this.lastFailure = undefined;
    this.refusal = undefined;
    this.#wasServed = true;
    const early = this.#early;
    this.#early = [];
    before?.close();
    for (const [name, args] of early) this.host.message(name, args);
    this.host.ready(connection, readOnly);
    // A server that takes writes may come back while this one only lets us read.
    if (readOnly && !this.options.readOnly) this.#next(true);
  }

  #giveUp(connection: ServerConnection, error: unknown): void {
    this.lastFailure = error instanceof Error ? error : new Error(String(error));
    connection.close();
    if (connection === this.#attempt) this.#next();
  }

  #lost(connection: ServerConnection, reason: string): void {
    const where = formatAddress(connection.address);
    const error = new ClientDisconnected(`The connection to the ZEO server at ${where} was lost: ${reason}.`);
    if (connection === this.#attempt) {
      this.lastFailure = new ClientDisconnected(`The ZEO server at ${where} can't be reached: ${reason}.`);
      this.#attempt = undefined;
      connection.fail(error);
      this.#next();
      return;
    }
    this.current = undefined;
    this.lastFailure = error;
    connection.fail(error);
    if (!this.#attempt) this.#connect(20);
  }

  /** Tries the next address: at once, or after a while when all were tried. */
  #next(afterWhile = false): void {
    this.#addressIndex++;
    const tried = this.#addressIndex % this.options.addresses.length === 0;
    this.#connect(tried || afterWhile ? this.options.retryDelay * (1 + Math.random()) : 0);
  }

  #bridgeFailed(error: Error): void {
    this.lastFailure = error;
    const connection = this.current;
    this.current = undefined;
    connection?.fail(
      new ClientDisconnected(`The client's input and output failed: ${error.message}`, { cause: error }),
    );
  }

  /** Whether a server has accepted us and is about to be used. */
  get isGreeted(): boolean {
    return this.#attempt?.opened ?? false;
  }

  /** Whether the connection in use only lets us read. */
  get isReadOnly(): boolean {
    return this.#isReadOnly;
  }
}
