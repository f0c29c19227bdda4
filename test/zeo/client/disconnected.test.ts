/** While no server can be reached: what is in the cache can be read, everything else says so, and says so soon. */
import { ClientDisconnected, ClientStorage, type ClientStorageOptions } from '../../../src/zeo';
import { DB } from '../../../src/database';
import { ZERO_TID, type Oid, type Tid } from '../../../src/ids';
import { TransactionMetaData } from '../../../src/storage';
import { record, textOf } from '../../../src/testing';
import { ServerThread, type RunningServer } from '../server-thread';
import { passTime, patiently, stopTime, until } from '../until';

const WAIT = 600;
/** For what is waited when others have waited in vain. */
const MOMENT = 100;
const thread = new ServerThread();
let server: RunningServer | undefined;
const open: { close(): void }[] = [];

afterEach(() => {
  jest.useRealTimers();
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
  // There is a server: what it takes to connect is not what is asked about.
  const client = patiently(
    () => new ClientStorage(`127.0.0.1:${server!.port}`, { waitTimeout: WAIT, retryDelay: 20, ...options }),
  );
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

interface Blocked {
  readonly error: unknown;
  /** How long it took. */
  readonly milliseconds: number;
  /** How long it was ready to wait, each time that it began to: however long the machine stood still meanwhile. */
  readonly patience: readonly number[];
}

/** Does work that may block. */
function blocked(work: () => unknown): Blocked {
  const waits = jest.spyOn(Atomics, 'wait');
  const begin = performance.now();
  let error: unknown;
  try {
    work();
  } catch (caught) {
    error = caught;
  }
  const milliseconds = performance.now() - begin;
  const { calls, results } = waits.mock;
  const given = calls.map(([, , , timeout]) => timeout!);
  // When something arrives it waits on, for what is left.
  const begins = (index: number): boolean =>
    index === 0 || results[index - 1]!.value === 'timed-out' || given[index]! > given[index - 1]!;
  const patience = given.filter((_, index) => begins(index));
  waits.mockRestore();
  return { error, milliseconds, patience };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, number) => all + number, 0);

describe('without a server', () => {
  it('what is in the cache is read at once, and what is not is an error after the time to wait, then soon', async () => {
    start();
    const client = connect();
    const [here, elsewhere] = [client.newOid(), client.newOid()];
    const before = (commit(client, [here]) + 1n) as Tid;
    stop();
    server = undefined;
    await until(() => !client.isConnected);
    const cached = blocked(() => expect(textOf(client.loadBefore(here, before)!.data)).toBe('kept'));
    expect(cached).toMatchObject({ error: undefined, patience: [] });
    const first = blocked(() => client.loadBefore(elsewhere, before));
    expect(first.error).toBeInstanceOf(ClientDisconnected);
    expect(first.error).toMatchObject({ retryable: true });
    expect(first.milliseconds).toBeGreaterThan(WAIT - 10);
    const second = blocked(() => client.loadBefore(elsewhere, before));
    expect(second.error).toBeInstanceOf(ClientDisconnected);
    expect(sum(second.patience)).toBeLessThanOrEqual(MOMENT);
    expect(textOf(client.loadBefore(here, before)!.data)).toBe('kept');
  });

  it('a database reads what it has, and a transaction that writes waits once for all its attempts', async () => {
    start();
    const client = connect();
    const db = new DB(client, { root: { list: () => [1, 2, 3] } });
    open.unshift(db);
    stop();
    server = undefined;
    await until(() => !client.isConnected);
    const reading = blocked(() => expect(db.transaction(({ list }) => [...list])).toEqual([1, 2, 3]));
    expect(reading).toMatchObject({ error: undefined, patience: [] });
    let attempts = 0;
    const write = (): void => {
      db.transaction(({ list }) => {
        attempts++;
        list.push(4);
      });
    };
    const first = blocked(write);
    expect(first.error).toBeInstanceOf(ClientDisconnected);
    expect(attempts).toBe(3);
    expect(first.milliseconds).toBeGreaterThan(WAIT - 10);
    // Beside moments, and what lies between attempts.
    const long = (patience: readonly number[]): number => patience.filter((each) => each > MOMENT).length;
    expect(long(first.patience)).toBe(1);
    expect(sum(first.patience)).toBeLessThan(WAIT + 600);
    const second = blocked(write);
    expect(long(second.patience)).toBe(0);
    expect(sum(second.patience)).toBeLessThan(WAIT + 300);
    expect(db.transaction(({ list }) => [...list])).toEqual([1, 2, 3]);
  });

  it('those who wait without blocking are told together', async () => {
    start();
    const client = connect();
    stop();
    server = undefined;
    await until(() => !client.isConnected);
    stopTime();
    const told: string[] = [];
    const wait = (name: string): void => {
      client
        .syncAsync()
        .catch((error: unknown) => told.push(`${name}: ${(error as Error).constructor.name}`));
    };
    wait('first');
    await passTime(WAIT / 2);
    wait('later');
    await passTime(WAIT / 2 - 1);
    expect(told).toEqual([]);
    await passTime(1);
    expect(told).toEqual(['first: ClientDisconnected', 'later: ClientDisconnected']);
  });

  it('a program that never leaves its call finds the server again when it is back', () => {
    start();
    const port = server!.port;
    const client = connect();
    const oid = client.newOid();
    commit(client, [oid]);
    stop();
    const { error } = blocked(() => client.load(oid));
    expect(error).toBeInstanceOf(ClientDisconnected);
    start(port);
    const found = patiently(() => textOf(client.load(oid).data));
    expect(found).toBe('kept');
    // And the next time it waits again as long as it should.
    stop();
    server = undefined;
    expect(blocked(() => client.load(oid)).milliseconds).toBeGreaterThan(WAIT - 10);
  });
});
