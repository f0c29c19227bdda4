/** The connection is cut at an exact place of a commit: what the client says, and what is true. */
import { ClientDisconnected, ClientStorage, CommitOutcomeUnknownError } from '../../../src/zeo';
import { oidFromBytes, ZERO_TID, type Oid, type Tid } from '../../../src/ids';
import { TransactionMetaData } from '../../../src/storage';
import { record, textOf } from '../../../src/testing';
import { ServerThread, type RunningServer } from '../server-thread';
import { startRelay, type Relay } from '../raw-peer';
import { PATIENCE, until } from '../until';

const OID = oidFromBytes(Buffer.from('0000000000000001', 'hex'));
const OTHER = oidFromBytes(Buffer.from('0000000000000002', 'hex'));

const thread = new ServerThread();
let server: RunningServer;
let relay: Relay;
/** Through the relay; it must not be made to wait, for the relay is in this thread. */
let client: ClientStorage;
/** Straight to the server. */
let direct: ClientStorage;

beforeEach(async () => {
  server = thread.start({ kind: 'memory' });
  relay = await startRelay(server.port);
  direct = new ClientStorage(`127.0.0.1:${server.port}`);
  client = throughRelay(PATIENCE);
});

afterEach(() => {
  client.close();
  direct.close();
  relay.close();
  thread.stop(server);
});

afterAll(() => thread.close());

function throughRelay(waitTimeout: number): ClientStorage {
  return new ClientStorage(`127.0.0.1:${relay.port}`, { wait: false, waitTimeout, retryDelay: 20 });
}

async function commit(oid: Oid, serial: Tid, text: string): Promise<Tid> {
  const txn = new TransactionMetaData({ description: text });
  await client.tpcBeginAsync(txn);
  try {
    client.store(oid, serial, record(text), txn);
    await client.tpcVoteAsync(txn);
    return await client.tpcFinishAsync(txn);
  } finally {
    client.tpcAbort(txn);
  }
}

function now(oid: Oid): string {
  return textOf(direct.load(oid).data);
}

/** Cuts once: at the first message for which `place` holds. */
function cutOnce(verdict: 'drop' | 'last', place: (fromClient: boolean, message: Buffer) => boolean): void {
  let done = false;
  relay.onMessage = (fromClient, message) => {
    if (done || !place(fromClient, message)) return 'pass';
    done = true;
    return verdict;
  };
}

const asks =
  (name: string) =>
  (fromClient: boolean, message: Buffer): boolean =>
    fromClient && message.includes(name);

/** The reply to the last `tpc_finish` that was passed on. */
function finishReply(): (fromClient: boolean, message: Buffer) => boolean {
  let finishing = false;
  return (fromClient, message) => {
    if (fromClient && message.includes('tpc_finish')) finishing = true;
    return finishing && !fromClient;
  };
}

/** Hides from the client that this is no server of Python's. */
function likePython(
  place: (fromClient: boolean, message: Buffer) => boolean,
  verdict: 'drop' | 'last',
): void {
  let done = false;
  relay.onMessage = (fromClient, message) => {
    const at = message.indexOf('zodb_js');
    if (at >= 0) message.write('xxxx_xx', at);
    if (done || !place(fromClient, message)) return 'pass';
    done = true;
    return verdict;
  };
}

describe('a connection cut in a commit', () => {
  it.each([
    ['before a store arrives', 'drop', asks('storea')],
    ['after a store arrived', 'last', asks('storea')],
    ['before the vote arrives', 'drop', asks('vote')],
    ['after the vote arrived', 'last', asks('vote')],
    ['before tpc_finish arrives', 'drop', asks('tpc_finish')],
  ] as const)('%s: nothing is committed, it is said, and a retry applies once', async (_, verdict, place) => {
    const first = await commit(OID, ZERO_TID, 'one');
    cutOnce(verdict, place);
    const failed = commit(OID, first, 'two');
    await expect(failed).rejects.toThrow(ClientDisconnected);
    await expect(failed).rejects.toMatchObject({ retryable: true });
    expect(now(OID)).toBe('one');
    await commit(OID, first, 'two');
    expect(now(OID)).toBe('two');
    expect(direct.history(OID, 10).length).toBe(2);
  });

  it('between tpc_finish and its reply: the server is asked, and the tid is returned', async () => {
    const first = await commit(OID, ZERO_TID, 'one');
    cutOnce('drop', finishReply());
    const second = await commit(OID, first, 'two');
    expect(second).toBeGreaterThan(first);
    expect(direct.load(OID).serial).toBe(second);
    expect(client.lastTransaction()).toBe(second);
    // What was committed is in the cache, as after any commit.
    expect(textOf(client.loadBefore(OID, (second + 1n) as Tid)!.data)).toBe('two');
  });

  it('between tpc_finish and its reply, and no server to ask: the client says "unknown", and a retry applies once', async () => {
    client.close();
    client = throughRelay(500);
    await until(() => client.isConnected);
    const first = await commit(OID, ZERO_TID, 'one');
    const place = finishReply();
    cutOnce('drop', (fromClient, message) => {
      const here = place(fromClient, message);
      if (here) relay.refuse = true;
      return here;
    });
    const failed = commit(OID, first, 'two');
    await expect(failed).rejects.toThrow(CommitOutcomeUnknownError);
    await expect(failed).rejects.toMatchObject({ retryable: false });
    relay.refuse = false;
    expect(now(OID)).toBe('two');
    await until(() => client.isConnected);
    await expect(commit(OID, first, 'two')).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(direct.history(OID, 10).length).toBe(2);
  });

  it("as before, with a new object and a server like Python's: the object tells that it was committed", async () => {
    likePython(() => false, 'drop');
    await commit(OTHER, ZERO_TID, 'other');
    likePython(finishReply(), 'drop');
    const tid = await commit(OID, ZERO_TID, 'one');
    expect(direct.load(OID).serial).toBe(tid);
  });

  it("as before, with a changed object and a server like Python's: the client does not guess", async () => {
    likePython(() => false, 'drop');
    const first = await commit(OID, ZERO_TID, 'one');
    likePython(finishReply(), 'drop');
    await expect(commit(OID, first, 'two')).rejects.toThrow(CommitOutcomeUnknownError);
    expect(now(OID)).toBe('two');
  });

  it("before tpc_finish arrives at a server like Python's: it is certain that nothing was committed", async () => {
    likePython(() => false, 'drop');
    const first = await commit(OID, ZERO_TID, 'one');
    likePython(asks('tpc_finish'), 'drop');
    await expect(commit(OID, first, 'two')).rejects.toThrow(ClientDisconnected);
    expect(now(OID)).toBe('one');
  });

  it('while others commit: what they wrote is learned after the cut', async () => {
    const first = await commit(OID, ZERO_TID, 'one');
    relay.refuse = true;
    relay.cut();
    const txn = new TransactionMetaData();
    direct.tpcBegin(txn);
    direct.store(OID, first, record('theirs'), txn);
    direct.tpcVote(txn);
    const theirs = direct.tpcFinish(txn);
    relay.refuse = false;
    await client.syncAsync();
    expect(client.lastTransaction()).toBe(theirs);
    await client.prefetchAsync([OID], (theirs + 1n) as Tid);
    expect(textOf(client.loadBefore(OID, (theirs + 1n) as Tid)!.data)).toBe('theirs');
  });
});
