/** Finding a server: TLS, several addresses, read-only ones, and coming back after a while. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ReadOnlyError } from '../../../src/errors';
import { tidToBytes, ZERO_TID, type Oid, type Tid } from '../../../src/ids';
import { MemoryStorage, TransactionMetaData } from '../../../src/storage';
import { record, textOf } from '../../../src/testing';
import { ClientDisconnected, ClientStorage, ZeoServer } from '../../../src/zeo';
import { ServerThread, type RunningServer } from '../server-thread';
import { PATIENCE, patiently, until } from '../until';

const thread = new ServerThread();
const open: ClientStorage[] = [];
const running = new Set<RunningServer>();

afterEach(() => {
  for (const client of open.splice(0)) client.close();
  for (const server of running) thread.stop(server);
  running.clear();
});
afterAll(() => thread.close());

function start(served: Parameters<ServerThread['start']>[0]): RunningServer {
  const server = thread.start(served);
  running.add(server);
  return server;
}

function stop(server: RunningServer): void {
  running.delete(server);
  thread.stop(server);
}

function connect(...[where, options]: ConstructorParameters<typeof ClientStorage>): ClientStorage {
  const client = new ClientStorage(where, { retryDelay: 20, waitTimeout: PATIENCE, ...options });
  open.push(client);
  return client;
}

function commit(client: ClientStorage, oid: Oid, serial: Tid, text: string): Tid {
  const txn = new TransactionMetaData();
  client.tpcBegin(txn);
  try {
    client.store(oid, serial, record(text), txn);
    client.tpcVote(txn);
  } catch (error) {
    client.tpcAbort(txn);
    throw error;
  }
  return client.tpcFinish(txn);
}

const at = (server: RunningServer): string => `127.0.0.1:${server.port}`;

describe('TLS', () => {
  const pem = (name: string): string => readFileSync(join(__dirname, '../tls', name), 'utf8');
  const tls = { cert: pem('server.pem'), key: pem('server.key'), ca: pem('client.pem') };
  const mine = { ca: pem('server.pem'), cert: pem('client.pem'), key: pem('client.key') };

  it('lets in a client with a known certificate', () => {
    const client = connect(at(start({ kind: 'memory', options: { tls } })), { tls: mine });
    const oid = client.newOid();
    commit(client, oid, ZERO_TID, 'secret');
    expect(textOf(client.load(oid).data)).toBe('secret');
  });

  it.each([
    ['no certificate', { ca: mine.ca }],
    ['the certificate of a stranger', { ca: mine.ca, cert: pem('stranger.pem'), key: pem('stranger.key') }],
    ['no trust in the server', { ...mine, ca: pem('stranger.pem') }],
    ['another name for the server in mind', { ...mine, serverName: 'db.example.com' }],
  ])('refuses a client with %s', (_, options) => {
    const server = start({ kind: 'memory', options: { tls } });
    expect(() => connect(at(server), { tls: options, waitTimeout: 300 })).toThrow(ClientDisconnected);
  });

  it('does not talk to a client without it', () => {
    const server = start({ kind: 'memory', options: { tls } });
    expect(() => connect(at(server), { waitTimeout: 300 })).toThrow(ClientDisconnected);
  });
});

describe('several addresses', () => {
  it('the first that answers is used, and another one when it is gone', () => {
    const path = join(thread.directory, 'shared.sqlite');
    const [first, second] = [start({ kind: 'sqlite', path }), start({ kind: 'sqlite', path })];
    const client = connect(`127.0.0.1:1,${at(first)},${at(second)}`);
    const oid = client.newOid();
    const tid = commit(client, oid, ZERO_TID, 'one');
    stop(first);
    // What has been lost is known when the news has arrived; a commit before that fails, and can be run again.
    patiently(() => commit(client, oid, tid, 'two'));
    expect(textOf(client.load(oid).data)).toBe('two');
  });

  it('a read-only server serves until there is one that takes writes', async () => {
    const path = join(thread.directory, 'fallback.sqlite');
    const writable = start({ kind: 'sqlite', path });
    const oid = connect(at(writable)).newOid();
    commit(open[0]!, oid, ZERO_TID, 'there');
    open.pop()!.close();
    stop(writable);
    const reader = start({ kind: 'sqlite', path, options: { readOnly: true } });
    const client = connect([at(reader), at(writable)], { readOnlyFallback: true });
    expect(textOf(client.load(oid).data)).toBe('there');
    expect(client.isReadOnlyFallback).toBe(true);
    expect(() => client.tpcBegin(new TransactionMetaData())).toThrow(ReadOnlyError);
    start({ kind: 'sqlite', path, port: writable.port });
    await until(() => !client.isReadOnlyFallback);
    commit(client, oid, client.load(oid).serial, 'written');
    expect(textOf(client.load(oid).data)).toBe('written');
  });

  it('a storage that the only server does not have is an error at once, not after the time to wait', () => {
    const server = start({ kind: 'memory' });
    const before = performance.now();
    const waitTimeout = 1_000_000;
    expect(() => connect(at(server), { storage: 'nope', waitTimeout })).toThrow(
      /^The ZEO server refuses .*unknown storage: nope/,
    );
    expect(performance.now() - before).toBeLessThan(waitTimeout / 2);
  });

  it('without fall-back a read-only server is refused', () => {
    const server = start({ kind: 'memory', options: { readOnly: true } });
    expect(() => connect(at(server))).toThrow(/read-only/);
    expect(connect(at(server), { readOnly: true }).readOnly).toBe(true);
  });
});

describe('coming back', () => {
  it.each([
    ['the server knows what changed', 100],
    ['the server does not know any more what changed', 1],
  ])('%s: nothing stale is read, in memory or from the cache file', (_, invalidationQueueSize) => {
    const path = join(thread.directory, `back-${invalidationQueueSize}.sqlite`);
    const options = { invalidationQueueSize };
    const server = start({ kind: 'sqlite', path, options });
    const cachePath = join(thread.directory, `back-${invalidationQueueSize}.zec`);
    const away = connect(at(server), { cachePath });
    const [changed, same] = [away.newOid(), away.newOid()];
    const first = commit(away, changed, ZERO_TID, 'one');
    commit(away, same, ZERO_TID, 'same');
    const view = away.newInstance();
    view.poll();
    expect(textOf(view.load(changed).data)).toBe('one');
    // Both the server and the other client go on without us.
    stop(server);
    const again = start({ kind: 'sqlite', path, port: server.port, options });
    const other = connect(at(again));
    let serial = first;
    for (const text of ['two', 'three', 'four']) serial = commit(other, changed, serial, text);
    const polled = ((): readonly Oid[] | 'all' => {
      away.load(changed);
      return view.poll();
    })();
    expect(polled === 'all' || polled.includes(changed)).toBe(true);
    expect(textOf(view.load(changed).data)).toBe('four');
    expect(textOf(view.load(same).data)).toBe('same');
    away.close();
    open.splice(open.indexOf(away), 1);
    commit(other, changed, serial, 'five');
    const back = connect(at(again), { cachePath });
    const fresh = back.newInstance();
    fresh.poll();
    expect(textOf(fresh.load(changed).data)).toBe('five');
    expect(textOf(fresh.load(same).data)).toBe('same');
  });

  it("a cache file whose last tid was damaged to the server's own is not believed", () => {
    const server = start({ kind: 'memory' });
    const cachePath = join(thread.directory, 'damaged.zec');
    const first = connect(at(server), { cachePath });
    const oid = first.newOid();
    const serial = commit(first, oid, ZERO_TID, 'one');
    open.pop()!.close();
    const other = connect(at(server));
    const last = commit(other, oid, serial, 'two');
    const bytes = readFileSync(cachePath);
    tidToBytes(last, bytes, 4);
    writeFileSync(cachePath, bytes);
    const back = connect(at(server), { cachePath });
    expect(textOf(back.loadBefore(oid, (last + 1n) as Tid)!.data)).toBe('two');
    expect(back.cacheStatistics.hits).toBe(0);
  });

  it('a server that is behind the client is refused', () => {
    const server = start({ kind: 'memory' });
    const client = patiently(() => connect(at(server), { waitTimeout: 400 }));
    const oid = client.newOid();
    commit(client, oid, ZERO_TID, 'one');
    stop(server);
    start({ kind: 'memory', port: server.port });
    // Until it has found out why.
    const isTooEarly = (error: unknown): boolean =>
      error instanceof ClientDisconnected && !error.message.includes('behind this client');
    expect(() => patiently(() => client.load(oid), isTooEarly)).toThrow(/behind this client/);
  });
});

describe('with wait: false', () => {
  it('a client is made at once, and works when there is a server', async () => {
    const server = start({ kind: 'memory' });
    stop(server);
    const waits = jest.spyOn(Atomics, 'wait');
    const client = connect(at(server), { wait: false });
    expect(waits).not.toHaveBeenCalled();
    waits.mockRestore();
    expect(client.isConnected).toBe(false);
    start({ kind: 'memory', port: server.port });
    await client.syncAsync();
    expect(client.isConnected).toBe(true);
    const oid = client.newOid();
    commit(client, oid, ZERO_TID, 'late');
    expect(textOf(client.load(oid).data)).toBe('late');
  });
});

describe('a server in the same thread', () => {
  it.each([
    ['by an address of this machine', { host: '127.0.0.1', port: 0 }],
    ['by the path of a socket', { path: join(thread.directory, 'same.sock') }],
  ])('is refused, %s', async (_, where) => {
    const server = new ZeoServer({ storages: { '1': new MemoryStorage() } });
    const address = await server.listen(where);
    expect(() => new ClientStorage(address)).toThrow(/runs in this thread/);
    if ('port' in address) {
      expect(() => new ClientStorage(`localhost:${address.port}`)).toThrow(/runs in this thread/);
      expect(() => new ClientStorage(['127.0.0.1:1', address])).toThrow(/runs in this thread/);
    }
    await server.close();
  });
});

describe('a thousand records', () => {
  it('are prefetched in one round trip, and then need none', () => {
    const server = start({ kind: 'memory' });
    const writer = connect(at(server));
    const oids = Array.from({ length: 1000 }, () => writer.newOid());
    const txn = new TransactionMetaData();
    writer.tpcBegin(txn);
    for (const oid of oids) writer.store(oid, ZERO_TID, record('x'), txn);
    writer.tpcVote(txn);
    const before = (writer.tpcFinish(txn) + 1n) as Tid;
    const client = connect(at(server));
    const loads = thread.status(server).loads!;
    expect(client.loadManyBefore(oids, before).every((found) => found && textOf(found.data) === 'x')).toBe(
      true,
    );
    expect(thread.status(server).loads! - loads).toBe(1000);
    for (const oid of oids) client.loadBefore(oid, before);
    expect(thread.status(server).loads! - loads).toBe(1000);
    expect(client.cacheStatistics).toMatchObject({ records: 1000, evicted: 0 });
  });
});
