/** ZEO servers in a thread of their own, started and stopped by calls that block. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { nextPort } from './ports';
import { PATIENCE } from './until';

/** What kind of storage is served, and how. */
export interface ServedStorage {
  readonly kind: 'memory' | 'file' | 'sqlite';
  /** For file and sqlite; default a new one. */
  readonly path?: string;
  /** Default: one that nobody uses. */
  readonly port?: number;
  readonly clientConflictResolution?: boolean;
  readonly options?: Readonly<Record<string, unknown>>;
  /** Options of the storage. */
  readonly storageOptions?: Readonly<Record<string, unknown>>;
}

/** A server that runs. */
export interface RunningServer {
  readonly port: number;
  readonly path: string;
}

let bundle: string | undefined;

/** Path of the bundled sources. */
export function bundlePath(): string {
  bundle ??= execFileSync(process.execPath, [join(__dirname, '../live/zeo-bundle.cjs')], {
    encoding: 'utf8',
  });
  return bundle;
}

const driver = `
const { workerData } = require('node:worker_threads');
const zodb = require(workerData.bundle);
const { port, signal } = workerData;
const flag = new Int32Array(signal);
const running = new Map();
function open({ kind, path, storageOptions }) {
  if (kind === 'file') return new zodb.FileStorage(path, storageOptions);
  if (kind === 'sqlite') return new zodb.SqliteStorage(path, storageOptions);
  return new zodb.MemoryStorage();
}
async function listen(server, [port, ...others]) {
  try {
    await server.listen({ host: '127.0.0.1', port });
    return port;
  } catch (error) {
    if (others.length === 0 || error.code !== 'EADDRINUSE') throw error;
    return listen(server, others);
  }
}
async function act({ op, served, port: number }) {
  if (op === 'start') {
    const storage = open(served);
    const server = new zodb.ZeoServer({
      storages: { 1: storage },
      resolveConflict: zodb.mergeCounters,
      clientConflictResolution: served.clientConflictResolution,
      pollInterval: 5,
      ...served.options,
    });
    const port = await listen(server, served.ports);
    running.set(port, { server, storage });
    return port;
  }
  const entry = running.get(number);
  if (op === 'status') return { ...[...entry.server.status().values()][0], sockets: entry.server.connectionCount };
  running.delete(number);
  await entry.server.close();
  entry.storage.close();
  return number;
}
port.on('message', (message) => {
  act(message).then(
    (value) => port.postMessage({ value }),
    (error) => port.postMessage({ error: error.stack }),
  ).then(() => {
    Atomics.add(flag, 0, 1);
    Atomics.notify(flag, 0);
  });
});
`;

/** A thread with servers in it. */
export class ServerThread {
  readonly directory = mkdtempSync(join(tmpdir(), 'zodb-zeo-test-'));
  readonly #worker: Worker;
  readonly #channel = new MessageChannel();
  readonly #signal = new Int32Array(new SharedArrayBuffer(4));
  #made = 0;

  constructor() {
    this.#worker = new Worker(driver, {
      eval: true,
      workerData: { bundle: bundlePath(), port: this.#channel.port2, signal: this.#signal.buffer },
      transferList: [this.#channel.port2],
    });
    this.#worker.unref();
    this.#channel.port1.unref();
  }

  start(served: ServedStorage): RunningServer {
    const path =
      served.path ?? join(this.directory, `${++this.#made}.${served.kind === 'file' ? 'fs' : 'sqlite'}`);
    const ports = served.port === undefined ? Array.from({ length: 20 }, nextPort) : [served.port];
    const port = this.#ask({ op: 'start', served: { ...served, path, ports } }) as number;
    return { port, path };
  }

  stop(server: RunningServer): void {
    this.#ask({ op: 'stop', port: server.port });
  }

  /** Counters of its storage, and the number of its sockets. */
  status(server: RunningServer): Record<string, number> {
    return this.#ask({ op: 'status', port: server.port }) as Record<string, number>;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
    rmSync(this.directory, { recursive: true, force: true });
  }

  #ask(message: object): unknown {
    const before = Atomics.load(this.#signal, 0);
    this.#channel.port1.postMessage(message);
    if (Atomics.wait(this.#signal, 0, before, PATIENCE) === 'timed-out')
      throw new Error('the server thread does not answer');
    const { value, error } = receiveMessageOnPort(this.#channel.port1)!.message as {
      value: unknown;
      error?: string;
    };
    if (error !== undefined) throw new Error(error);
    return value;
  }
}
