import { ClientStorage, type ClientStorageOptions } from '../../../src/zeo';
import { ServerThread, type RunningServer, type ServedStorage } from '../server-thread';
import { PATIENCE } from '../until';

export interface ServersAndClients {
  readonly thread: ServerThread;
  start(served?: Partial<ServedStorage>): RunningServer;
  /** Ends the server that was started last. */
  stopLast(): void;
  connect(port: number, options?: ClientStorageOptions): ClientStorage;
  /** Has it closed after the test, before the clients. */
  keep<T extends { close(): void }>(what: T): T;
}

/** Servers in a thread of their own and clients in this one, for the tests of a file: each test's end with it. */
export function serversAndClients(kind: ServedStorage['kind']): ServersAndClients {
  const thread = new ServerThread();
  const open: { close(): void }[] = [];
  const running: RunningServer[] = [];
  afterEach(() => {
    for (const each of open.splice(0)) each.close();
    for (const server of running.splice(0)) thread.stop(server);
  });
  afterAll(() => thread.close());
  return {
    thread,
    start(served = {}) {
      const server = thread.start({ kind, ...served });
      running.push(server);
      return server;
    },
    stopLast() {
      thread.stop(running.pop()!);
    },
    connect(port, options = {}) {
      const client = new ClientStorage(`127.0.0.1:${port}`, {
        retryDelay: 20,
        waitTimeout: PATIENCE,
        ...options,
      });
      open.push(client);
      return client;
    },
    keep(what) {
      open.unshift(what);
      return what;
    },
  };
}
