/** A server that accepts and does not answer: nobody waits for ever. */
import { createServer, type Socket } from 'node:net';
import { ClientDisconnected, ClientStorage, CommitOutcomeUnknownError } from '../../../src/zeo';
import { oidFromBytes, ROOT_OID, ZERO_TID } from '../../../src/ids';
import { TransactionMetaData } from '../../../src/storage';
import { record, textOf } from '../../../src/testing';
import { startRelay, type Relay } from '../raw-peer';
import { ServerThread, type RunningServer } from '../server-thread';
import { passTime, stopTime, until } from '../until';

const OID = oidFromBytes(Buffer.from('0000000000000001', 'hex'));
const SILENT: unknown = expect.objectContaining({ code: 'ZEO_CALL_TIMEOUT', retryable: true });

const thread = new ServerThread();
let server: RunningServer;
let relay: Relay;
let client: ClientStorage;
/** How many messages of the server were swallowed. */
let swallowed = 0;

beforeEach(async () => {
  // The silence of a server is long when the test says so, not when the machine stands still.
  stopTime();
  swallowed = 0;
  server = thread.start({ kind: 'memory' });
  relay = await startRelay(server.port);
  client = new ClientStorage(`127.0.0.1:${relay.port}`, {
    wait: false,
    waitTimeout: 1000,
    retryDelay: 20,
    callTimeout: 300,
  });
  await client.syncAsync();
});

afterEach(() => {
  client.close();
  relay.close();
  thread.stop(server);
  jest.useRealTimers();
});

afterAll(() => thread.close());

/** Swallows what comes from the server from a call of the client on: for ever, or only on this connection. */
function silence(name: string, how: 'for ever' | 'on this connection'): void {
  let state: 'before' | 'silent' | 'after' = 'before';
  relay.onMessage = (fromClient, message) => {
    if (fromClient && state === 'before' && message.includes(name)) state = 'silent';
    // The first word to a new connection.
    const isFirst = !fromClient && message.equals(Buffer.from('Z5'));
    if (isFirst && state === 'silent' && how !== 'for ever') state = 'after';
    if (fromClient || state !== 'silent') return 'pass';
    swallowed++;
    return 'swallow';
  };
}

/** Resolves when the server has answered and nobody heard it. */
const unheard = (): Promise<void> => until(() => swallowed > 0, 'an answer');

async function commit(text: string): Promise<void> {
  const txn = new TransactionMetaData();
  await client.tpcBeginAsync(txn);
  try {
    client.store(OID, ZERO_TID, record(text), txn);
    await client.tpcVoteAsync(txn);
    await client.tpcFinishAsync(txn);
  } finally {
    client.tpcAbort(txn);
  }
}

/** The error of work that fails; it is handled, whenever it comes. */
function failureOf(work: Promise<unknown>): {
  readonly error: Promise<unknown>;
  readonly seen: () => unknown;
} {
  let seen: unknown;
  const error = work.then(
    () => new Error('it did not fail'),
    (reason: unknown) => (seen = reason),
  );
  return { error, seen: () => seen };
}

test('a read fails in time, can be retried, and the connection is made anew', async () => {
  silence('ping', 'on this connection');
  const { error, seen } = failureOf(client.syncAsync());
  await unheard();
  await passTime(299);
  expect(seen()).toBeUndefined();
  await passTime(1);
  expect(seen()).toBeInstanceOf(ClientDisconnected);
  expect(await error).toEqual(SILENT);
  expect((seen() as Error).message).toContain('silent for 300 ms');
  await client.syncAsync();
});

test('a caller who blocks gets the same', () => {
  jest.useRealTimers();
  // The relay is in this thread, which is blocked: nobody answers.
  expect(() => client.load(ROOT_OID)).toThrow(SILENT as Error);
});

test('a vote that is not answered committed nothing', async () => {
  silence('vote', 'for ever');
  const { error } = failureOf(commit('lost'));
  await unheard();
  await passTime(300);
  expect(await error).toEqual(SILENT);
  const direct = new ClientStorage(`127.0.0.1:${server.port}`);
  relay.cut();
  expect(() => direct.load(OID)).toThrow(expect.objectContaining({ code: 'POS_KEY' }) as Error);
  direct.close();
});

test('a commit that is not answered, and no server to ask: its outcome is unknown', async () => {
  silence('tpc_finish', 'for ever');
  const { error, seen } = failureOf(commit('perhaps'));
  await unheard();
  await passTime(300);
  // It looks for a server as long as one waits for a connection.
  await passTime(999);
  expect(seen()).toBeUndefined();
  await passTime(1);
  expect(await error).toBeInstanceOf(CommitOutcomeUnknownError);
  const direct = new ClientStorage(`127.0.0.1:${server.port}`);
  expect(textOf(direct.load(OID).data)).toBe('perhaps');
  direct.close();
});

test('a commit that is not answered is found out when a server answers', async () => {
  silence('tpc_finish', 'on this connection');
  const committed = commit('found');
  await unheard();
  await passTime(300);
  await committed;
  const direct = new ClientStorage(`127.0.0.1:${server.port}`);
  expect(textOf(direct.load(OID).data)).toBe('found');
  direct.close();
});

test('an attempt to connect to one that accepts and says nothing is given up for the next address', async () => {
  const sockets: Socket[] = [];
  const deaf = createServer((socket) => void sockets.push(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
  const { port } = deaf.address() as { port: number };
  const before = relay.accepted;
  const other = new ClientStorage([`127.0.0.1:${port}`, `127.0.0.1:${relay.port}`], {
    wait: false,
    connectTimeout: 200,
    retryDelay: 20,
  });
  await other.syncAsync();
  // Once, unless the second one was too slow, too: then they were tried in turn.
  expect(sockets.length).toBeGreaterThan(0);
  expect(sockets.length).toBe(relay.accepted - before);
  other.close();
  for (const socket of sockets) socket.destroy();
  deaf.close();
});
