/** While no server can be reached: what is in the cache can be read, everything else says so, and says so soon. */
import { ClientDisconnected, ClientStorage, type ClientStorageOptions } from '../../../src/zeo';
import { DB } from '../../../src/database';
import { ZERO_TID, type Oid, type Tid } from '../../../src/ids';
import { TransactionMetaData } from '../../../src/storage';
import { record, textOf } from '../../../src/testing';
import { ServerThread, type RunningServer } from '../server-thread';

const WAIT = 600;
const thread = new ServerThread();
let server: RunningServer | undefined;
const open: { close(): void }[] = [];

afterEach(() => {
  for (const each of open.splice(0)) each.close();
  stop();
});
afterAll(() => thread.close());

function start(port?: number): RunningServer {
  const path = server?.path;
  return (server = thread.start({ kind: 'sqlite', port, path }));
}

function stop(): void {
  if (server) thread.stop(server);
}

function connect(options: ClientStorageOptions = {}): ClientStorage {
  const client = new ClientStorage(`127.0.0.1:${server!.port}`, {
    waitTimeout: WAIT,
    retryDelay: 20,
    ...options,
  });
  open.push(client);
  return client;
}

function commit(client: ClientStorage, oids: readonly Oid[]): Tid {
  const txn = new TransactionMetaData();
  client.tpcBegin(txn);
  for (const oid of oids) client.store(oid, ZERO_TID, record('kept'), txn);
  client.tpcVote(txn);
  return client.tpcFinish(txn);
}

function timed(work: () => unknown): { milliseconds: number; error: unknown } {
  const begin = performance.now();
  let error: unknown;
  try {
    work();
  } catch (caught) {
    error = caught;
  }
  return { milliseconds: performance.now() - begin, error };
}

describe('without a server', () => {
  it('what is in the cache is read at once, and what is not is an error after the time to wait, then soon', () => {
    start();
    const client = connect();
    const [here, elsewhere] = [client.newOid(), client.newOid()];
    const before = (commit(client, [here]) + 1n) as Tid;
    stop();
    server = undefined;
    const cached = timed(() => expect(textOf(client.loadBefore(here, before)!.data)).toBe('kept'));
    expect(cached.error).toBeUndefined();
    expect(cached.milliseconds).toBeLessThan(WAIT / 2);
    const first = timed(() => client.loadBefore(elsewhere, before));
    expect(first.error).toBeInstanceOf(ClientDisconnected);
    expect(first.error).toMatchObject({ retryable: true });
    expect(first.milliseconds).toBeGreaterThan(WAIT - 10);
    const second = timed(() => client.loadBefore(elsewhere, before));
    expect(second.error).toBeInstanceOf(ClientDisconnected);
    expect(second.milliseconds).toBeLessThan(WAIT / 2);
    expect(textOf(client.loadBefore(here, before)!.data)).toBe('kept');
  });

  it('a database reads what it has, and a transaction that writes waits once for all its attempts', () => {
    start();
    const db = new DB(connect(), { root: { list: () => [1, 2, 3] } });
    open.unshift(db);
    stop();
    server = undefined;
    const reading = timed(() => expect(db.transaction(({ list }) => [...list])).toEqual([1, 2, 3]));
    expect(reading.error).toBeUndefined();
    expect(reading.milliseconds).toBeLessThan(WAIT / 2);
    let attempts = 0;
    const write = (): void => {
      db.transaction(({ list }) => {
        attempts++;
        list.push(4);
      });
    };
    const first = timed(write);
    expect(first.error).toBeInstanceOf(ClientDisconnected);
    expect(attempts).toBe(3);
    expect(first.milliseconds).toBeGreaterThan(WAIT - 10);
    // Twice a moment, and what lies between attempts.
    expect(first.milliseconds).toBeLessThan(WAIT + 600);
    expect(timed(write).milliseconds).toBeLessThan(WAIT + 300);
    expect(db.transaction(({ list }) => [...list])).toEqual([1, 2, 3]);
  });

  it('those who wait without blocking are told together', async () => {
    start();
    const client = connect();
    stop();
    server = undefined;
    const begin = performance.now();
    const early = client.syncAsync().catch((error: unknown) => error);
    // Until the loss is known, a call goes out and fails.
    if (!((await early) instanceof ClientDisconnected)) throw new Error('it did not fail');
    const first = client.syncAsync().catch((error: unknown) => error);
    await new Promise((resolve) => setTimeout(resolve, WAIT / 2));
    const later = client.syncAsync().catch((error: unknown) => error);
    expect(await first).toBeInstanceOf(ClientDisconnected);
    expect(await later).toBeInstanceOf(ClientDisconnected);
    expect(performance.now() - begin).toBeLessThan(2 * WAIT + 300);
  });

  it('a program that never leaves its call finds the server again when it is back', () => {
    start();
    const port = server!.port;
    const client = connect();
    const oid = client.newOid();
    commit(client, [oid]);
    stop();
    const { error } = timed(() => client.load(oid));
    expect(error).toBeInstanceOf(ClientDisconnected);
    start(port);
    const signal = new Int32Array(new SharedArrayBuffer(4));
    let found: string | undefined;
    for (let attempt = 0; found === undefined && attempt < 40; attempt++) {
      const tried = timed(() => (found = textOf(client.load(oid).data)));
      if (tried.error) {
        expect(tried.error).toBeInstanceOf(ClientDisconnected);
        Atomics.wait(signal, 0, 0, 20);
      }
    }
    expect(found).toBe('kept');
    // And the next time it waits again as long as it should.
    stop();
    server = undefined;
    expect(timed(() => client.load(oid)).milliseconds).toBeGreaterThan(WAIT - 10);
  });
});
