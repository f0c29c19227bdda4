import { ClientStorage } from '../../src/zeo';
import { storageConformance } from '../../src/testing';
import type { Storage } from '../../src/storage';
import { ServerThread, type RunningServer, type ServedStorage } from './server-thread';
import { PATIENCE } from './until';

const thread = new ServerThread();
afterAll(() => thread.close());

const served: [string, ServedStorage][] = [
  ['memory', { kind: 'memory' }],
  ['File', { kind: 'file' }],
  // What it adds is in the other rooms' tests; here it takes its time only in long runs.
  ...(process.env.ZODB_SOAK ? ([['SQLite', { kind: 'sqlite' }]] as [string, ServedStorage][]) : []),
];

for (const [name, storage] of served) {
  const servers = new Map<Storage, RunningServer>();
  const connect = (server: RunningServer, options = {}): Storage => {
    const client = new ClientStorage(`127.0.0.1:${server.port}`, {
      waitTimeout: PATIENCE,
      serverSync: true,
      ...options,
    });
    servers.set(client, server);
    return client;
  };
  storageConformance({
    name: `a ZEO client of a server with ${name} storage`,
    open: () => connect(thread.start(storage)),
    reopen(client) {
      client.close();
      return connect(servers.get(client)!);
    },
    openReadOnly: (client) => connect(servers.get(client)!, { readOnly: true }),
    openAgain: (client) => connect(servers.get(client)!),
    clean() {
      for (const server of new Set(servers.values())) thread.stop(server);
      servers.clear();
    },
  });
}
