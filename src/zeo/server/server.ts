import * as fs from 'node:fs';
import * as net from 'node:net';
import * as tls from 'node:tls';
import { ClosedError, InvalidArgumentError, refuseUnknownOptions } from '../../errors';
import type { Oid } from '../../ids';
import type { Conflict, Storage } from '../../storage/index';
import { formatAddress, parseAddress, type ZeoAddress } from '../address';
import { noteListening } from '../same-thread';
import { FLAG, type Codec } from '../wire/codec';
import type { WireValue } from '../wire/values';
import { ClientConnection, type ConnectionServer } from './connection';
import { HostedStorage } from './hosted-storage';
import { SILENT, type ServerLogger } from './logger';
import { statusToWire, storageStatus, type StorageStatus } from './status';

/**
 * With more clients than these, what was committed within so many milliseconds after another commit waits for more, so that many
 * commits do not mean as many system calls for every client. Otherwise all have been told before the committer gets its answer.
 */
const CROWD = 32;
const HOLD = 3;

/** Certificates for TLS, each as PEM text or bytes. */
export interface ServerTlsOptions {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  readonly passphrase?: string;
  /** Authorities, or self-signed certificates, of the clients that are let in. Every client must show one. */
  readonly ca: string | Buffer | readonly (string | Buffer)[];
}

/** Options of {@link ZeoServer}. */
export interface ZeoServerOptions {
  /** What is served, by the names under which clients ask for it. By convention `'1'`, `'2'`, … The server does not close them. */
  readonly storages: Readonly<Record<string, Storage>>;
  readonly readOnly?: boolean;
  /** Announce msgpack (`M5`) instead of pickle (`Z5`). Clients that answer with the other one are served too. */
  readonly msgpack?: boolean;
  readonly tls?: ServerTlsOptions;
  /** Transactions whose changes are remembered for clients that come back. Default 100. */
  readonly invalidationQueueSize?: number;
  /** Seconds for which changes are looked up in the storage when the queue does not reach back. Default: never. */
  readonly invalidationAge?: number;
  /** Milliseconds that a client may hold the commit lock. Default: no limit. */
  readonly transactionTimeout?: number;
  /** Leave the merging of conflicts to the clients. Default false. */
  readonly clientConflictResolution?: boolean;
  /** Merges conflicts instead of the classes' `_p_resolveConflict`; `undefined` when it can't. */
  readonly resolveConflict?: (conflict: Conflict) => Uint8Array | undefined;
  /** Whether packing removes what the root does not lead to. Default true. */
  readonly packGc?: boolean;
  /** The longest message taken from a client, in bytes. Default 256 MiB. */
  readonly maxMessageBytes?: number;
  /** Bytes that may wait for a client that does not read before it is disconnected. Default 64 MiB. */
  readonly maxQueuedBytes?: number;
  /** Changes that one transaction may ask for; each takes some 100 bytes of memory until it is committed. Default 2,000,000. */
  readonly maxTransactionChanges?: number;
  /** Bytes of the records of one transaction; beyond a few MiB they wait in a temporary file. Default 4 GiB. */
  readonly maxTransactionBytes?: number;
  /** Clients at the same time. Default 10,000. */
  readonly maxConnections?: number;
  /** Milliseconds in which a client must have registered. Default 10,000. */
  readonly handshakeTimeout?: number;
  /** Milliseconds between two looks at what other processes committed to a shared storage. Default 100. */
  readonly pollInterval?: number;
  /** Directory of an object's blob files, in a blob directory that clients of a storage share with the server. */
  readonly sharedBlobDirectory?: (oid: Oid, storage: string) => string;
  readonly logger?: ServerLogger;
}

const KNOWN: Readonly<Record<keyof ZeoServerOptions, true>> = {
  storages: true,
  readOnly: true,
  msgpack: true,
  tls: true,
  invalidationQueueSize: true,
  invalidationAge: true,
  transactionTimeout: true,
  clientConflictResolution: true,
  resolveConflict: true,
  packGc: true,
  maxMessageBytes: true,
  maxQueuedBytes: true,
  maxTransactionChanges: true,
  maxTransactionBytes: true,
  maxConnections: true,
  handshakeTimeout: true,
  pollInterval: true,
  sharedBlobDirectory: true,
  logger: true,
};

/**
 * Serves storages to ZEO 5 and 6 clients, TypeScript and Python. It lives in the event loop of the thread that makes it.
 *
 * ```ts
 * const server = new ZeoServer({ storages: { '1': storage } });
 * await server.listen({ port: 8100, host: '127.0.0.1' });
 * ```
 */
export class ZeoServer {
  readonly #hosted = new Map<string, HostedStorage>();
  readonly #options: ZeoServerOptions;
  readonly #log: ServerLogger;
  readonly #started = new Date();
  readonly #connections = new Set<ClientConnection>();
  /** Sockets on which TLS has not been agreed on yet; nobody else knows of them. */
  readonly #handshaking = new Set<net.Socket>();
  readonly #listeners: net.Server[] = [];
  readonly #forget: (() => void)[] = [];
  readonly #shared: ConnectionServer;
  #closed = false;

  constructor(options: ZeoServerOptions) {
    refuseUnknownOptions('A ZEO server', options, Object.keys(KNOWN));
    this.#options = options;
    this.#log = options.logger ?? SILENT;
    const names = Object.keys((options.storages as object | undefined) ?? {});
    if (names.length === 0) throw new InvalidArgumentError('A ZEO server needs at least one storage.');
    for (const name of names) this.#hosted.set(name, this.#host(name, options.storages[name]!));
    this.#shared = this.#makeShared();
  }

  /** The storages served. */
  get storages(): ReadonlyMap<string, HostedStorage> {
    return this.#hosted;
  }

  /**
   * Begins to listen, on one more address if there is one already. Resolves with the address, its port filled in.
   * @param where an address, or one as text: `host:port`, a port, the path of a unix socket
   */
  async listen(where: ZeoAddress | string): Promise<ZeoAddress> {
    if (this.#closed) throw new ClosedError('This ZEO server is closed.');
    const address = typeof where === 'string' ? parseAddress(where) : where;
    if ('path' in address) await removeStaleSocket(address.path);
    const server = this.#options.tls
      ? tls.createServer({
          ...tlsOptions(this.#options.tls),
          handshakeTimeout: this.#shared.handshakeTimeout,
        })
      : net.createServer();
    server.maxConnections = this.#options.maxConnections ?? 10_000;
    server.on(this.#options.tls ? 'secureConnection' : 'connection', (socket: net.Socket) =>
      this.#accept(socket),
    );
    if (this.#options.tls) server.on('connection', (socket: net.Socket) => this.#noteHandshake(socket));
    server.on('tlsClientError', (error: Error, socket: tls.TLSSocket) => {
      // The address is gone when the certificate was refused, and the error says no more than that.
      const client = socket.remoteAddress ?? 'unknown';
      const reason = socket.authorizationError ?? error.message.trim();
      this.#log.warn({ client, reason: String(reason) }, 'TLS handshake failed');
      // One that is out of time is left open otherwise.
      socket.destroy();
    });
    server.on('drop', (data) => {
      this.#log.warn({ client: data?.remoteAddress }, 'connection refused: there are too many');
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen('path' in address ? { path: address.path } : address, () => {
        server.off('error', reject);
        resolve();
      });
    });
    server.on('error', (error) => this.#log.error({ err: error }, 'the listening socket failed'));
    this.#listeners.push(server);
    const bound = server.address();
    const actual: ZeoAddress =
      'path' in address || bound === null || typeof bound === 'string'
        ? address
        : { host: address.host, port: bound.port };
    this.#forget.push(noteListening(actual));
    this.#log.info({ address: formatAddress(actual), storages: [...this.#hosted.keys()] }, 'listening');
    return actual;
  }

  /** Counters and state, by storage. */
  status(): Map<string, StorageStatus> {
    return new Map(Array.from(this.#hosted, ([id, hosted]) => [id, this.#status(hosted)]));
  }

  /** Number of open sockets, registered or not. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Takes no more connections and ends those there are; a transaction that was not finished is aborted. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const forget of this.#forget) forget();
    const ended = this.#listeners.map(
      (server) => new Promise<void>((resolve) => server.close(() => resolve())),
    );
    for (const connection of [...this.#connections]) connection.close('The server stops.');
    for (const socket of this.#handshaking) socket.destroy();
    for (const hosted of this.#hosted.values()) hosted.stop();
    await Promise.all(ended);
    if (ended.length > 0) this.#log.info({}, 'stopped');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #host(name: string, storage: Storage): HostedStorage {
    const options = this.#options;
    return new HostedStorage(
      name,
      storage,
      {
        invalidationQueueSize: options.invalidationQueueSize ?? 100,
        invalidationAge: options.invalidationAge,
        clientConflictResolution: options.clientConflictResolution ?? false,
        resolveConflict: options.resolveConflict,
        pollInterval: options.pollInterval ?? 100,
        packGc: options.packGc ?? true,
        sharedBlobDirectory:
          options.sharedBlobDirectory && ((oid) => options.sharedBlobDirectory!(oid, name)),
      },
      this.#log,
    );
  }

  #noteHandshake(socket: net.Socket): void {
    this.#handshaking.add(socket);
    socket.once('close', () => this.#handshaking.delete(socket));
  }

  #accept(socket: net.Socket): void {
    this.#connections.add(
      new ClientConnection(this.#shared, socket, (connection) => this.#connections.delete(connection)),
    );
  }

  #status(hosted: HostedStorage): StorageStatus {
    return storageStatus(hosted, this.#started, this.#options.transactionTimeout !== undefined);
  }

  #makeShared(): ConnectionServer {
    const options = this.#options;
    let lastArgs: WireValue;
    let lastAt = -Infinity;
    let holds = false;
    const frames = new Map<string, Buffer>();
    let held: ClientConnection[] = [];
    const releaseAll = (): void => {
      const connections = held;
      held = [];
      for (const connection of connections) connection.release();
    };
    return {
      announcement: Buffer.from(options.msgpack ? 'M5' : 'Z5', 'latin1'),
      readOnly: options.readOnly ?? false,
      maxMessageBytes: options.maxMessageBytes ?? 256 << 20,
      maxQueuedBytes: options.maxQueuedBytes ?? 64 << 20,
      handshakeTimeout: options.handshakeTimeout ?? 10_000,
      transactionTimeout: options.transactionTimeout,
      transactionLimits: {
        operations: options.maxTransactionChanges ?? 2_000_000,
        bytes: options.maxTransactionBytes ?? 2 ** 32,
      },
      log: this.#log,
      storage: (id) => this.#hosted.get(id),
      status: (hosted) => statusToWire(this.#status(hosted)),
      statusReport: () => JSON.stringify(Object.fromEntries(this.status())),
      holdsBroadcast: () => holds,
      holdFor: (connection) => {
        if (held.length === 0) setTimeout(releaseAll, HOLD);
        held.push(connection);
      },
      broadcastFrame: (codec: Codec, name, args) => {
        if (args !== lastArgs) {
          frames.clear();
          lastArgs = args;
          const now = performance.now();
          holds = this.#connections.size > CROWD && now - lastAt < HOLD;
          lastAt = now;
        }
        let made = frames.get(codec.letter);
        if (!made) frames.set(codec.letter, (made = codec.encode(0, FLAG.oneWay, name, args)));
        return made;
      },
    };
  }
}

function tlsOptions(options: ServerTlsOptions): tls.TlsOptions {
  return {
    cert: options.cert,
    key: options.key,
    passphrase: options.passphrase,
    ca: options.ca as string[],
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
  };
}

/** A socket file that nobody listens on any more is left by a server that was killed. One that is in use stays: listening on it fails. */
async function removeStaleSocket(path: string): Promise<void> {
  try {
    if (fs.statSync(path).isSocket() && !(await isAnswered(path))) fs.unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
}
