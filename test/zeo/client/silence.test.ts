/** A server that accepts and does not answer: nobody waits for ever. */
import { createServer, type Socket } from 'node:net';
import { ClientDisconnected, ClientStorage, CommitOutcomeUnknownError } from '../../../src/zeo';
import { oidFromBytes, ROOT_OID, ZERO_TID } from '../../../src/ids';
import { TransactionMetaData } from '../../../src/storage';
import { record, textOf } from '../../../src/testing';
import { startRelay, type Relay } from '../raw-peer';
import { ServerThread, type RunningServer } from '../server-thread';

const OID = oidFromBytes(Buffer.from('0000000000000001', 'hex'));
const SILENT: unknown = expect.objectContaining({ code: 'ZEO_CALL_TIMEOUT', retryable: true });

const thread = new ServerThread();
let server: RunningServer;
let relay: Relay;
let client: ClientStorage;
/** Swallows what comes from the server from here on. */
let silent: (from: (fromClient: boolean, message: Buffer) => boolean) => void;

beforeEach(async () => {
  server = thread.start({ kind: 'memory' });
  relay = await startRelay(server.port);
  silent = (from) => {
    let isSilent = false;
    relay.onMessage = (fromClient, message) => {
      isSilent ||= from(fromClient, message);
      return isSilent && !fromClient ? 'swallow' : 'pass';
    };
  };
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
});

afterAll(() => thread.close());

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

test('a read fails in time, can be retried, and the connection is made anew', async () => {
  silent((fromClient) => fromClient);
  const start = performance.now();
  const error: unknown = await client.syncAsync().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ClientDisconnected);
  expect(error).toEqual(SILENT);
  expect((error as Error).message).toContain('silent for 300 ms');
  expect(performance.now() - start).toBeGreaterThan(295);
  expect(performance.now() - start).toBeLessThan(5_000);
  relay.onMessage = () => 'pass';
  await client.syncAsync();
});

test('a caller who blocks gets the same', () => {
  // The relay is in this thread, which is blocked: nobody answers.
  expect(() => client.load(ROOT_OID)).toThrow(SILENT as Error);
});

test('a vote that is not answered committed nothing', async () => {
  silent((fromClient, message) => fromClient && message.includes('vote'));
  await expect(commit('lost')).rejects.toEqual(SILENT);
  const direct = new ClientStorage(`127.0.0.1:${server.port}`);
  relay.cut();
  expect(() => direct.load(OID)).toThrow(expect.objectContaining({ code: 'POS_KEY' }) as Error);
  direct.close();
});

test('a commit that is not answered, and no server to ask: its outcome is unknown', async () => {
  silent((fromClient, message) => fromClient && message.includes('tpc_finish'));
  await expect(commit('perhaps')).rejects.toThrow(CommitOutcomeUnknownError);
  const direct = new ClientStorage(`127.0.0.1:${server.port}`);
  expect(textOf(direct.load(OID).data)).toBe('perhaps');
  direct.close();
});

test('a commit that is not answered is found out when a server answers', async () => {
  let finishing = false;
  relay.onMessage = (fromClient, message) => {
    if (fromClient) finishing ||= message.includes('tpc_finish');
    else if (finishing) {
      finishing = false;
      return 'swallow';
    }
    return 'pass';
  };
  await commit('found');
  const direct = new ClientStorage(`127.0.0.1:${server.port}`);
  expect(textOf(direct.load(OID).data)).toBe('found');
  direct.close();
});

test('an attempt to connect to one that accepts and says nothing is given up for the next address', async () => {
  const sockets: Socket[] = [];
  const deaf = createServer((socket) => void sockets.push(socket));
  await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
  const { port } = deaf.address() as { port: number };
  const other = new ClientStorage([`127.0.0.1:${port}`, `127.0.0.1:${server.port}`], {
    wait: false,
    connectTimeout: 200,
  });
  await other.syncAsync();
  expect(sockets).toHaveLength(1);
  other.close();
  for (const socket of sockets) socket.destroy();
  deaf.close();
});
