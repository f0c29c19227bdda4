import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

/** What happens to the next COMMIT that comes through: the connection is cut before or after it; it is held until `end`, or its answer is. */
export const Cut = { none: 0, before: 1, after: 2, held: 3, heldAfter: 4 } as const;
export type Cut = (typeof Cut)[keyof typeof Cut];

/** Runs in a thread of its own, as the storage blocks its own while it waits. */
function relay(load: NodeJS.Require): void {
  const { workerData, parentPort } = load('node:worker_threads') as typeof import('node:worker_threads');
  const net = load('node:net') as typeof import('node:net');
  const { from, to, flags } = workerData as { from: string; to: string; flags: SharedArrayBuffer };
  const cut = new Int32Array(flags);
  const sockets = new Set<import('node:net').Socket>();
  parentPort!.on('message', () => {
    for (const socket of sockets) socket.destroy();
  });
  net
    .createServer((client) => {
      const server = net.connect(to);
      let isCut = 0;
      sockets.add(client);
      const end = (): void => {
        client.destroy();
        server.destroy();
      };
      client
        .on('error', end)
        .on('close', end)
        .on('close', () => sockets.delete(client));
      server.on('error', end).on('close', end);
      client.on('data', (bytes) => {
        const isCommit = bytes.includes('COMMIT') && cut[0] !== 0;
        if (isCommit && cut[0] === 1) return end();
        if (isCommit) isCut = cut[0]!;
        if (isCut === 3) return;
        server.write(bytes);
      });
      server.on('data', (bytes) => {
        // The answer is there: so is the commit.
        if (isCut === 2) return end();
        if (isCut === 4) return;
        client.write(bytes);
      });
    })
    .listen(from, () => {
      Atomics.store(cut, 1, 1);
      Atomics.notify(cut, 1);
      parentPort!.unref();
    });
}

/** Stands between a storage and the server, and cuts connections. */
export class Relay {
  readonly directory: string;
  readonly #flags = new SharedArrayBuffer(8);
  readonly #worker: Worker;

  constructor(serverDirectory: string) {
    this.directory = join(serverDirectory, 'relay');
    mkdirSync(this.directory);
    const socket = '.s.PGSQL.5432';
    this.#worker = new Worker(`(${relay.toString()})(require)`, {
      eval: true,
      workerData: {
        from: join(this.directory, socket),
        to: join(serverDirectory, socket),
        flags: this.#flags,
      },
    });
    Atomics.wait(new Int32Array(this.#flags), 1, 0);
  }

  set cut(value: Cut) {
    new Int32Array(this.#flags)[0] = value;
  }

  /** Cuts all connections. */
  end(): void {
    this.cut = Cut.none;
    this.#worker.postMessage('end');
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
