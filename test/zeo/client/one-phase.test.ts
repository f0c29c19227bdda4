/** Commits in one round trip: what is sent, how it fails, and what is true when the connection is lost meanwhile. */
import { DB } from '../../../src/database';
import {
  ConflictError,
  POSKeyError,
  ReadConflictError,
  ReadOnlyError,
  StorageTransactionError,
} from '../../../src/errors';
import {
  oidFromBytes,
  oidToBytes,
  ROOT_OID,
  tidToBytes,
  ZERO_TID,
  type Oid,
  type Tid,
} from '../../../src/ids';
import { TransactionMetaData, type CommitResult } from '../../../src/storage';
import { mergeCounters } from '../../../src/testing/records';
import { blobRecord, record, textOf } from '../../../src/testing';
import { TransactionManager } from '../../../src/transaction';
import { thrownBy } from '../../transaction/recorder';
import {
  ClientDisconnected,
  ClientStorage,
  CommitOutcomeUnknownError,
  type ClientStorageOptions,
} from '../../../src/zeo';
import { itemsOf, type WireValue } from '../../../src/zeo/wire/values';
import { RawPeer, startRelay, type Relay } from '../raw-peer';
import { ServerThread, type RunningServer, type ServedStorage } from '../server-thread';
import { PATIENCE, until } from '../until';

const OID = oidFromBytes(Buffer.from('0000000000000001', 'hex'));
const OTHER = oidFromBytes(Buffer.from('0000000000000002', 'hex'));
const thread = new ServerThread();
const open: { close(): void }[] = [];
const running = new Set<RunningServer>();

afterEach(() => {
  for (const each of open.splice(0)) each.close();
  for (const server of running) thread.stop(server);
  running.clear();
});
afterAll(() => thread.close());

function start(served: Partial<ServedStorage> = {}): RunningServer {
  const server = thread.start({ kind: 'memory', ...served });
  running.add(server);
  return server;
}

function connect(port: number, options: ClientStorageOptions = {}): ClientStorage {
  const client = new ClientStorage(`127.0.0.1:${port}`, {
    retryDelay: 20,
    waitTimeout: PATIENCE,
    ...options,
  });
  open.push(client);
  return client;
}

type Work = (txn: TransactionMetaData) => void;

/** Commits in one phase; whatever is thrown aborts. */
function commit(client: ClientStorage, work: Work): CommitResult {
  const txn = new TransactionMetaData();
  client.tpcBegin(txn);
  try {
    work(txn);
    return client.tpcCommit(txn);
  } catch (error) {
    client.tpcAbort(txn);
    throw error;
  }
}

/** Commits in one phase while the event loop, and a relay in it, goes on. */
async function commitAsync(client: ClientStorage, work: Work): Promise<CommitResult> {
  const txn = new TransactionMetaData();
  await client.tpcBeginAsync(txn);
  try {
    work(txn);
    return await client.tpcCommitAsync(txn);
  } catch (error) {
    client.tpcAbort(txn);
    throw error;
  }
}

function put(client: ClientStorage, oid: Oid, serial: Tid, text: string): Work {
  return (txn) => client.store(oid, serial, record(text), txn);
}

function bothWays(client: ClientStorage, work: Work): [unknown, unknown] {
  const twoPhases = thrownBy(() => {
    const txn = new TransactionMetaData();
    client.tpcBegin(txn);
    try {
      work(txn);
      client.tpcVote(txn);
    } finally {
      client.tpcAbort(txn);
    }
  });
  return [thrownBy(() => commit(client, work)), twoPhases];
}

const TWO = ['vote', 'tpc_finish'];

describe('what a commit sends', () => {
  it.each([
    ['to a server of this package is one call', 'nothing', ['zodb_commit']],
    ['to one that can not, be it an older one of this package, is two calls', 'zodb_commit', TWO],
    ["to one like Python's is two calls", 'zodb_js', TWO],
  ])('%s', async (_, hidden, expected) => {
    const server = start();
    const relay = await startRelay(server.port);
    open.push(relay);
    const calls: string[] = [];
    relay.onMessage = (fromClient, message) => {
      if (fromClient) calls.push(...['zodb_commit', ...TWO].filter((name) => message.includes(name)));
      const at = fromClient ? -1 : message.indexOf(hidden);
      if (at >= 0) message.write('x', at);
      return 'pass';
    };
    const client = connect(relay.port, { wait: false });
    const { tid } = await commitAsync(client, put(client, OID, ZERO_TID, 'one'));
    expect(calls).toEqual(expected);
    expect(connect(server.port).load(OID).serial).toBe(tid);
  });
});

describe('a transaction of databases', () => {
  const calls: string[] = [];

  /** A client that notes how it is told to commit. */
  class Noting extends ClientStorage {
    override tpcCommit(txn: TransactionMetaData): CommitResult {
      calls.push('tpcCommit');
      return super.tpcCommit(txn);
    }
    override tpcCommitAsync(txn: TransactionMetaData): Promise<CommitResult> {
      calls.push('tpcCommitAsync');
      return super.tpcCommitAsync(txn);
    }
    override tpcVote(txn: TransactionMetaData): readonly Oid[] {
      calls.push('tpcVote');
      return super.tpcVote(txn);
    }
  }

  function database(port: number): DB {
    const db = new DB(new Noting(`127.0.0.1:${port}`));
    open.unshift(db);
    return db;
  }

  it('commits in one phase when it changed one, and in two when another data manager takes part', async () => {
    const server = start();
    const [db, other] = [database(server.port), database(start().port)];
    db.transaction((root) => (root.count = 0));
    other.transaction((root) => (root.count = 0));
    calls.length = 0;
    db.transaction((root) => (root.count = 1));
    await db.transaction(async (root) => {
      await null;
      root.count = 2;
    });
    expect(calls.splice(0)).toEqual(['tpcCommit', 'tpcCommitAsync']);
    const manager = new TransactionManager();
    const connections = [db, other].map((each) => each.open({ transactionManager: manager }));
    for (const connection of connections) connection.root.count = 3;
    manager.commit();
    for (const connection of connections) connection.close();
    expect(calls).toEqual(['tpcVote', 'tpcVote']);
    expect(db.transaction((root) => root.count)).toBe(3);
  });

  it('are run again after a conflict, and taken back by an undo', () => {
    const server = start({ kind: 'file' });
    const db = database(server.port);
    const other = connect(server.port);
    db.transaction((root) => (root.count = 1));
    let attempts = 0;
    db.transaction((root) => {
      const before = root.count as number;
      if (attempts++ === 0) {
        const { data, serial } = other.load(ROOT_OID);
        commit(other, (txn) => other.store(ROOT_OID, serial, data, txn));
      }
      root.count = before + 1;
    });
    expect(attempts).toBe(2);
    expect(db.transaction((root) => root.count)).toBe(2);
    calls.length = 0;
    db.transaction(() => db.undo(db.undoLog()[0]!.id));
    expect(calls).toEqual(['tpcCommit']);
    expect(db.transaction((root) => root.count)).toBe(1);
  });
});

describe('a commit in one phase that is refused', () => {
  it('fails as a vote does, and leaves nothing behind', () => {
    const server = start({ kind: 'file' });
    const client = connect(server.port);
    const witness = connect(server.port);
    const first = commit(client, put(client, OID, ZERO_TID, 'one')).tid;
    const second = commit(client, put(client, OID, first, 'two')).tid;
    const cases: [Work, new (...args: never[]) => Error][] = [
      [put(client, OID, first, 'three'), ConflictError],
      [(txn) => client.checkCurrentSerial(OID, first, txn), ReadConflictError],
      [(txn) => client.deleteObject(OTHER, first, txn), POSKeyError],
    ];
    for (const [work, kind] of cases) {
      const [one, two] = bothWays(client, work) as [Error, Error];
      expect(one).toBeInstanceOf(kind);
      expect(one.constructor).toBe(two.constructor);
      expect(one.message).toBe(two.message);
      expect({ ...one }).toEqual({ ...two });
    }
    // Nobody holds the lock.
    const third = commit(witness, put(witness, OID, second, 'theirs')).tid;
    expect(textOf(client.load(OID).data)).toBe('theirs');
    expect(client.load(OID).serial).toBe(third);
    expect(thread.status(server)).toMatchObject({ active_txns: 0, lock_time: null });
  });

  it('for want of room, and then fits, is stored the second time only', () => {
    const server = start({ kind: 'file', storageOptions: { quota: 2_000 } });
    const client = connect(server.port);
    const first = commit(client, put(client, OID, ZERO_TID, 'one')).tid;
    const [one, two] = bothWays(client, put(client, OID, first, 'long'.repeat(1_000))) as [Error, Error];
    expect(one.message).toContain('would grow beyond its quota of 2000 bytes');
    expect(one.message).toBe(two.message);
    expect({ ...one }).toEqual({ ...two });
    expect(client.load(OID).serial).toBe(first);
    const { tid } = commit(client, put(client, OID, first, 'two'));
    expect(textOf(connect(server.port).load(OID).data)).toBe('two');
    expect(connect(server.port).lastTransaction()).toBe(tid);
    expect(thread.status(server)).toMatchObject({ active_txns: 0, lock_time: null });
  });

  it('because the server takes no changes, is refused as in two phases', () => {
    const writable = start({ kind: 'file' });
    const writer = connect(writable.port);
    const stored = commit(writer, put(writer, OID, ZERO_TID, 'one')).tid;
    writer.close();
    thread.stop(writable);
    running.delete(writable);
    for (const readOnly of [{ options: { readOnly: true } }, { storageOptions: { readOnly: true } }]) {
      const server = start({ kind: 'file', path: writable.path, ...readOnly });
      const client = connect(server.port, { readOnlyFallback: true });
      const [one, two] = bothWays(client, put(client, OID, stored, 'two')) as [Error, Error];
      expect(one).toBeInstanceOf(ReadOnlyError);
      expect({ ...one, message: one.message }).toEqual({ ...two, message: two.message });
      expect(client.load(OID).serial).toBe(stored);
      client.close();
      thread.stop(server);
      running.delete(server);
    }
  });

  it('by a transaction of the past, tells so, and the client goes on', () => {
    const server = start();
    const client = connect(server.port);
    const txn = new TransactionMetaData();
    expect(() => client.tpcCommit(txn)).toThrow(StorageTransactionError);
    client.tpcBegin(txn);
    client.tpcAbort(txn);
    expect(() => client.tpcCommit(txn)).toThrow(StorageTransactionError);
    expect(commit(client, put(client, OID, ZERO_TID, 'one')).resolved).toEqual([]);
  });
});

describe('conflicts in a commit in one phase', () => {
  it('are merged by the server; the client does not keep what it gave', () => {
    const server = start({ kind: 'file' });
    const [client, other] = [connect(server.port), connect(server.port)];
    const first = commit(client, put(client, OID, ZERO_TID, 'count:1')).tid;
    commit(other, put(other, OID, first, 'count:11'));
    const { tid, resolved } = commit(client, put(client, OID, first, 'count:2'));
    expect(resolved).toEqual([OID]);
    expect(textOf(client.loadBefore(OID, (tid + 1n) as Tid)!.data)).toBe('count:12');
  });

  it('are merged by the client where the server leaves it to it', () => {
    const server = start({ kind: 'file', clientConflictResolution: true });
    const [client, other] = [connect(server.port), connect(server.port)];
    client.registerDB({
      invalidate: () => undefined,
      invalidateAll: () => undefined,
      references: () => [],
      resolveConflict: mergeCounters,
    });
    const first = commit(client, put(client, OID, ZERO_TID, 'count:1')).tid;
    const second = commit(other, put(other, OID, first, 'count:11')).tid;
    const { tid, resolved } = commit(client, put(client, OID, first, 'count:2'));
    expect(resolved).toEqual([OID]);
    expect(textOf(other.load(OID).data)).toBe('count:12');
    expect(() => commit(client, put(client, OID, second, 'no count'))).toThrow(ConflictError);
    commit(other, put(other, OID, tid, 'count:20'));
    expect(textOf(client.load(OID).data)).toBe('count:20');
  });
});

describe('the turn to commit', () => {
  it('is waited for, and given up by who goes away', async () => {
    const server = start();
    const [holder, leaver, waiter] = await Promise.all(
      [1, 2, 3].map(() => new RawPeer(server.port).register()),
    );
    open.push(...[holder!, leaver!, waiter!].map((peer) => ({ close: () => peer.destroy() })));
    const data = record('x');
    const begin = (peer: RawPeer, name: string, oid: Oid): void => {
      peer.oneWay('tpc_begin', name, Buffer.alloc(0), Buffer.alloc(0), new Map(), null, ' ');
      peer.oneWay('storea', oidToBytes(oid), tidToBytes(ZERO_TID), data, name);
    };
    begin(holder!, 'h', 1 as Oid);
    begin(leaver!, 'l', 2 as Oid);
    begin(waiter!, 'w', 3 as Oid);
    await holder!.call('vote', 'h');
    const left = leaver!.call('zodb_commit', 'l');
    left.catch(() => undefined);
    await leaver!.call('ping');
    const waited = waiter!.call('zodb_commit', 'w');
    const again = (await waiter!.call('zodb_commit', 'w')) as { args: WireValue };
    expect(itemsOf(again.args)![0]).toContain('StorageTransactionError');
    expect(thread.status(server)).toMatchObject({ waiting: 2 });
    leaver!.destroy();
    await until(() => thread.status(server).waiting === 1);
    const tid = (await holder!.call('tpc_finish', 'h')).args as Uint8Array;
    const [ours] = itemsOf((await waited).args) as [Uint8Array];
    expect(Buffer.compare(ours, tid)).toBe(1);
    // What was committed before came before the answer, and before what was committed later.
    const names = waiter!.messages.map(({ name, args }) => (name === '.reply' ? args : name));
    expect(names.indexOf('invalidateTransaction')).toBeGreaterThan(-1);
    expect(names.indexOf('invalidateTransaction')).toBeLessThan(names.indexOf('info'));
    expect(thread.status(server)).toMatchObject({ commits: 2, waiting: 0, active_txns: 0 });
  });
});

describe('a connection cut in a commit in one phase', () => {
  async function cutting(
    kind: ServedStorage['kind'] = 'memory',
    options: ClientStorageOptions = {},
  ): Promise<{
    server: RunningServer;
    relay: Relay;
    client: ClientStorage;
    direct: ClientStorage;
  }> {
    const server = start({ kind });
    const direct = connect(server.port);
    const relay = await startRelay(server.port);
    open.push(relay);
    const client = connect(relay.port, { wait: false, ...options });
    await until(() => client.isConnected);
    return { server, relay, client, direct };
  }

  /** Does something at the first message for which `place` holds. */
  function once(
    relay: Relay,
    verdict: 'drop' | 'last',
    place: (fromClient: boolean, message: Buffer) => boolean,
    act: () => void = () => undefined,
  ): void {
    let done = false;
    relay.onMessage = (fromClient, message) => {
      if (done || !place(fromClient, message)) return 'pass';
      done = true;
      act();
      return verdict;
    };
  }

  const asks = (fromClient: boolean, message: Buffer): boolean =>
    fromClient && message.includes('zodb_commit');

  function reply(): (fromClient: boolean, message: Buffer) => boolean {
    let committing = false;
    return (fromClient, message) => {
      if (asks(fromClient, message)) committing = true;
      return committing && !fromClient;
    };
  }

  it('before the server has it: nothing is committed, it is said, and a retry applies once', async () => {
    const { relay, client, direct } = await cutting();
    const first = (await commitAsync(client, put(client, OID, ZERO_TID, 'one'))).tid;
    once(relay, 'drop', asks);
    const failed = commitAsync(client, put(client, OID, first, 'two'));
    await expect(failed).rejects.toThrow(ClientDisconnected);
    await expect(failed).rejects.toMatchObject({ retryable: true });
    expect(textOf(direct.load(OID).data)).toBe('one');
    await commitAsync(client, put(client, OID, first, 'two'));
    expect(direct.history(OID, 10).length).toBe(2);
  });

  it('before its reply: the server is asked, and the tid is returned', async () => {
    const { relay, client, direct } = await cutting();
    const first = (await commitAsync(client, put(client, OID, ZERO_TID, 'one'))).tid;
    once(relay, 'drop', reply());
    const { tid, resolved } = await commitAsync(client, put(client, OID, first, 'two'));
    expect(direct.load(OID).serial).toBe(tid);
    // It might have been merged: what we gave is not kept.
    expect(resolved).toEqual([OID]);
    expect(client.lastTransaction()).toBe(tid);
  });

  it('before its reply, when the server merged: the merged object is what is seen', async () => {
    const { relay, client, direct } = await cutting();
    const first = (await commitAsync(client, put(client, OID, ZERO_TID, 'count:1'))).tid;
    commit(direct, put(direct, OID, first, 'count:11'));
    once(relay, 'drop', reply());
    const { tid, resolved } = await commitAsync(client, put(client, OID, first, 'count:2'));
    expect(resolved).toEqual([OID]);
    await client.prefetchAsync([OID], (tid + 1n) as Tid);
    expect(textOf(client.loadBefore(OID, (tid + 1n) as Tid)!.data)).toBe('count:12');
  });

  it('before its reply, and no server to ask: the client says "unknown", and a retry applies once', async () => {
    const { relay, client, direct } = await cutting('memory', { waitTimeout: 500 });
    const first = (await commitAsync(client, put(client, OID, ZERO_TID, 'one'))).tid;
    once(relay, 'drop', reply(), () => (relay.refuse = true));
    const failed = commitAsync(client, put(client, OID, first, 'two'));
    await expect(failed).rejects.toThrow(CommitOutcomeUnknownError);
    await expect(failed).rejects.toMatchObject({ retryable: false });
    relay.refuse = false;
    expect(textOf(direct.load(OID).data)).toBe('two');
    await until(() => client.isConnected);
    await expect(commitAsync(client, put(client, OID, first, 'two'))).rejects.toMatchObject({
      code: 'CONFLICT',
    });
  });

  describe('by a server that is started again', () => {
    async function restarted(
      work: (first: Tid, direct: ClientStorage) => string,
      place: 'ask' | 'reply',
    ): Promise<{ outcome: Promise<CommitResult>; now: () => string }> {
      const { server, relay, client, direct } = await cutting('file');
      const first = (await commitAsync(client, put(client, OID, ZERO_TID, 'count:1'))).tid;
      const text = work(first, direct);
      once(relay, 'drop', place === 'ask' ? asks : reply(), () => {
        thread.stop(server);
        running.delete(server);
        running.add(thread.start({ kind: 'file', path: server.path, port: server.port }));
      });
      return {
        outcome: commitAsync(client, put(client, OID, first, text)),
        now: () => textOf(direct.load(OID).data),
      };
    }

    it('and had not got it: certainly nothing was committed', async () => {
      const { outcome, now } = await restarted(() => 'count:2', 'ask');
      await expect(outcome).rejects.toThrow(ClientDisconnected);
      expect(now()).toBe('count:1');
    });

    it('and had committed what others could have written, too: the client does not guess', async () => {
      const { outcome, now } = await restarted(() => 'count:2', 'reply');
      await expect(outcome).rejects.toThrow(CommitOutcomeUnknownError);
      expect(now()).toBe('count:2');
    });

    it('and had merged it: the client does not take the merged object for one of somebody else', async () => {
      const { outcome, now } = await restarted((first, direct) => {
        commit(direct, put(direct, OID, first, 'count:11'));
        return 'count:2';
      }, 'reply');
      await expect(outcome).rejects.toThrow(CommitOutcomeUnknownError);
      expect(now()).toBe('count:12');
    });

    it('and had refused it for what others wrote: certainly nothing was committed', async () => {
      const { outcome, now } = await restarted((first, direct) => {
        commit(direct, put(direct, OID, first, 'count:11'));
        return 'no count';
      }, 'reply');
      await expect(outcome).rejects.toThrow(ClientDisconnected);
      expect(now()).toBe('count:11');
    });
  });

  it('is not made good by what the server reads later from the connection that was lost', async () => {
    const server = start();
    const lost = await new RawPeer(server.port).register();
    const next = await new RawPeer(server.port).register();
    open.push({ close: () => lost.destroy() }, { close: () => next.destroy() });
    lost.oneWay('tpc_begin', 'name', Buffer.alloc(0), Buffer.alloc(0), new Map(), null, ' ');
    lost.oneWay('storea', oidToBytes(OID), tidToBytes(ZERO_TID), record('x'), 'name');
    await lost.call('ping');
    expect((await next.call('zodb_outcome', 'name')).args).toBeNull();
    const refused = await lost.call('zodb_commit', 'name');
    expect(itemsOf(refused.args)![0]).toContain('StorageTransactionError');
    const client = connect(server.port);
    expect(() => client.load(OID)).toThrow(POSKeyError);
    // The name is spent, the connection and the lock are not.
    commit(client, put(client, OID, ZERO_TID, 'y'));
    expect(thread.status(server)).toMatchObject({ commits: 1, active_txns: 0 });
  });
});

it('a blob goes up in a commit in one phase', () => {
  const server = start({ kind: 'file' });
  const [client, other] = [connect(server.port), connect(server.port)];
  const content = Buffer.alloc(200_000, 'b');
  const { tid } = commit(client, (txn) => {
    client.storeBlob(OID, ZERO_TID, blobRecord(), content, txn);
  });
  const reader = other.openBlob(OID, tid);
  const read = Buffer.alloc(content.length);
  reader.read(read, 0, read.length, 0);
  reader.close();
  expect(read.equals(content)).toBe(true);
});
