/** Servers and connections that fail: what the storage says, and what is true. */
import { ROOT_OID, tidFromTime, ZERO_TID, type Oid, type Tid } from '../../../src/ids';
import { openStorage, runSteps, TransactionMetaData, type Storage } from '../../../src/storage';
import { record, textOf } from '../../../src/testing';
import { Harness } from '../../../src/testing/harness';
import { Cut, Relay } from './relay';
import { PostgresServer } from './server';

if (!PostgresServer.isHere) test('PostgreSQL is not here', () => expect(PostgresServer.isHere).toBe(false));
else {
  const server = new PostgresServer();
  const relay = new Relay(server.directory);
  const open: Storage[] = [];
  afterEach(() => {
    relay.cut = Cut.none;
    for (const storage of open.splice(0)) storage.close();
  });
  afterAll(async () => {
    await relay.close();
    server.remove();
  });

  const opened = (url: string, options = {}): Storage => {
    const storage = openStorage(url, options);
    open.push(storage);
    return storage;
  };
  const relayed = (url: string): string =>
    url.replace(encodeURIComponent(server.directory), encodeURIComponent(relay.directory));

  function voted(storage: Storage, oid: Oid, text: string, serial: Tid = ZERO_TID): TransactionMetaData {
    const txn = new TransactionMetaData();
    storage.tpcBegin(txn);
    storage.store(oid, serial, record(text), txn);
    storage.tpcVote(txn);
    return txn;
  }

  /** Resolves when a connection waits for the commit lock. */
  async function waiting(): Promise<void> {
    while (server.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") === '0') {
      await new Promise(setImmediate);
    }
  }

  /** Ends the connections of a schema's storages, as a server does that is restarted. */
  function endConnections(): void {
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'zodb'");
  }

  it('a connection that is lost between vote and finish: nothing is stored, and that is said', () => {
    const storage = opened(server.newUrl());
    const txn = voted(storage, ROOT_OID, 'lost');
    endConnections();
    expect(() => storage.tpcFinish(txn)).toThrow(
      expect.objectContaining({ code: 'CONNECTION_LOST', retryable: true }),
    );
    storage.tpcAbort(txn);
    expect(() => storage.load(ROOT_OID)).toThrow(expect.objectContaining({ code: 'POS_KEY' }));
    storage.tpcFinish(voted(storage, ROOT_OID, 'again'));
    expect(textOf(storage.load(ROOT_OID).data)).toBe('again');
  });

  it('a commit whose answer is lost is found to be stored', () => {
    const url = server.newUrl();
    const storage = opened(relayed(url));
    const txn = voted(storage, ROOT_OID, 'stored');
    relay.cut = Cut.after;
    const tid = storage.tpcFinish(txn);
    relay.cut = Cut.none;
    expect(opened(url).load(ROOT_OID).serial).toBe(tid);
    expect(storage.lastTransaction()).toBe(tid);
  });

  it('a commit that does not reach the server is found to be lost', () => {
    const url = server.newUrl();
    const storage = opened(relayed(url));
    const txn = voted(storage, ROOT_OID, 'lost');
    relay.cut = Cut.before;
    expect(() => storage.tpcFinish(txn)).toThrow(expect.objectContaining({ code: 'CONNECTION_LOST' }));
    relay.cut = Cut.none;
    storage.tpcAbort(txn);
    expect(opened(url).lastTransaction()).toBe(ZERO_TID);
  });

  it('a lost commit is not taken for that of another program, which has the same tid', async () => {
    const url = server.newUrl();
    const [storage, other] = [opened(relayed(url)), opened(url)];
    const [mine, theirs] = [new TransactionMetaData(), new TransactionMetaData()];
    const tid = tidFromTime(Date.now());
    storage.tpcBegin(mine, tid);
    storage.store(ROOT_OID, ZERO_TID, record('lost'), mine);
    storage.tpcVote(mine);
    relay.cut = Cut.held;
    const finish = storage.tpcFinishAsync!(mine);
    const lost = expect(finish).rejects.toMatchObject({ code: 'CONNECTION_LOST', retryable: true });
    await other.tpcBeginAsync!(theirs, tid);
    other.store(1 as Oid, ZERO_TID, record('theirs'), theirs);
    const vote = other.tpcVoteAsync!(theirs);
    await waiting();
    relay.end();
    await vote;
    expect(other.tpcFinish(theirs)).toBe(tid);
    await lost;
    storage.tpcAbort(mine);
    expect(() => storage.load(ROOT_OID)).toThrow(expect.objectContaining({ code: 'POS_KEY' }));
  });

  it('a commit whose answer is lost is found to be stored, though it was packed since', async () => {
    const url = server.newUrl();
    const [storage, other] = [opened(relayed(url)), new Harness(opened(url))];
    const txn = voted(storage, ROOT_OID, 'stored');
    relay.cut = Cut.heldAfter;
    const finish = storage.tpcFinishAsync!(txn);
    while (other.storage.lastTransaction() === ZERO_TID) await new Promise(setImmediate);
    other.change(ROOT_OID, 'changed');
    expect(runSteps(other.storage.pack!()).revisions).toBe(1);
    relay.end();
    expect(await finish).toBeGreaterThan(ZERO_TID);
  });

  it('a transaction that has not voted, or in vain, is not finished', () => {
    const url = server.newUrl();
    const storage = opened(url);
    const refused = expect.objectContaining({ code: 'STORAGE_TRANSACTION' });
    const tid = storage.tpcFinish(voted(storage, ROOT_OID, 'one'));
    const txn = new TransactionMetaData();
    storage.tpcBegin(txn);
    storage.store(ROOT_OID, ZERO_TID, record('two'), txn);
    expect(() => storage.tpcFinish(txn)).toThrow(refused);
    expect(() => storage.tpcVote(txn)).toThrow(expect.objectContaining({ code: 'CONFLICT' }));
    expect(() => storage.tpcFinish(txn)).toThrow(refused);
    storage.tpcAbort(txn);
    expect(storage.load(ROOT_OID).serial).toBe(tid);
  });

  it('a server that is killed and started again has what was committed, and its storages go on', () => {
    const storage = opened(server.newUrl());
    const instance = storage.newInstance();
    const tid = storage.tpcFinish(voted(storage, ROOT_OID, 'one'));
    const txn = voted(storage, ROOT_OID, 'two', tid);
    server.stop('immediate');
    const unknown = expect.objectContaining({ code: 'COMMIT_UNKNOWN', retryable: false });
    expect(() => storage.tpcFinish(txn)).toThrow(unknown);
    storage.tpcAbort(txn);
    expect(() => storage.load(ROOT_OID)).toThrow(
      expect.objectContaining({ code: 'CANT_CONNECT', retryable: true }),
    );
    server.start();
    instance.poll();
    expect(instance.load(ROOT_OID)).toMatchObject({ serial: tid });
    storage.tpcFinish(voted(storage, ROOT_OID, 'three', tid));
    expect(textOf(storage.load(ROOT_OID).data)).toBe('three');
  });

  it.each([
    ['before it has begun at the server', false],
    ['in the middle', true],
  ])('a transaction whose vote is aborted %s leaves nothing', async (_, isBegun) => {
    const url = server.newUrl();
    const storage = opened(url);
    // Without it, the vote begins by reserving oids.
    if (isBegun) storage.newOid();
    const txn = new TransactionMetaData();
    await storage.tpcBeginAsync!(txn);
    storage.store(1 as Oid, ZERO_TID, record('aborted'), txn);
    const vote = storage.tpcVoteAsync!(txn);
    storage.tpcAbort(txn);
    // Its next statement comes too late, and must not be one of the next transaction.
    const next = voted(storage, 2 as Oid, 'next');
    await expect(vote).rejects.toMatchObject({ code: isBegun ? 'CONNECTION_LOST' : 'STORAGE_TRANSACTION' });
    storage.tpcFinish(next);
    const found = [...opened(url).currentRecords!()].map(({ oid, data }) => [oid, textOf(data)]);
    expect(found).toEqual([[2, 'next']]);
  });

  it('another program that does not end its commit is waited for so long, and no longer', () => {
    const url = server.newUrl();
    const one = opened(url);
    const other = opened(url, { lockTimeout: 50 });
    const first = voted(one, 1 as Oid, 'first');
    const second = new TransactionMetaData();
    other.tpcBegin(second);
    other.store(2 as Oid, ZERO_TID, record('second'), second);
    expect(() => other.tpcVote(second)).toThrow(
      expect.objectContaining({ code: 'LOCK_TIMEOUT', retryable: true }),
    );
    other.tpcAbort(second);
    one.tpcFinish(first);
    new Harness(other).commit([{ oid: 2 as Oid, text: 'second' }]);
  });

  it('what was referred to and is removed before the commit refuses it', () => {
    const url = server.newUrl();
    const [one, other] = [new Harness(opened(url)), opened(url)];
    const { oid, tid } = one.create('to be removed');
    const instance = other.newInstance();
    instance.poll();
    const txn = new TransactionMetaData();
    instance.tpcBegin(txn);
    instance.store(ROOT_OID, ZERO_TID, record('root', [oid]), txn, [oid]);
    expect(instance.missing([oid])).toEqual([]);
    one.transact((deleting) => one.storage.deleteObject!(oid, tid, deleting));
    expect(() => instance.tpcVote(txn)).toThrow(
      expect.objectContaining({ code: 'READ_CONFLICT', retryable: true }),
    );
    instance.tpcAbort(txn);
  });

  it('a server that can not be reached is named, without the password', () => {
    const call = (): unknown => openStorage('postgres://ann:secret@127.0.0.1:9/bank');
    expect(call).toThrow(expect.objectContaining({ code: 'CANT_CONNECT' }));
    expect(call).toThrow(/^postgres:\/\/127\.0\.0\.1:9\/bank#zodb can't be reached/);
    expect(call).not.toThrow(/secret/);
  });

  it('a URL that can not be read is shown without its password', () => {
    for (const url of ['postgres://ann:sec%ret@host/bank', 'posgres://ann:sec/ret@host/bank?schema=x']) {
      const call = (): unknown => openStorage(url);
      expect(call).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
      expect(call).toThrow(/:\/\/ann:…@host\/bank/);
      expect(call).not.toThrow(/sec|ret/);
    }
  });

  it('tables of a newer release, and a database that is not there, are refused by name', () => {
    const url = server.newUrl();
    expect(() => openStorage(url, { create: false })).toThrow(expect.objectContaining({ code: 'NO_FILE' }));
    expect(() => openStorage(url, { readOnly: true })).toThrow(expect.objectContaining({ code: 'NO_FILE' }));
    opened(url).close();
    const schema = /schema=(\w+)/.exec(url)![1]!;
    server.sql(`UPDATE ${schema}.meta SET value = 2 WHERE name = 'version'`);
    expect(() => openStorage(url)).toThrow(expect.objectContaining({ code: 'NEWER_SCHEMA' }));
  });

  it('names of schemas are names, whatever is in them', () => {
    const name = `we'ird"sch\\ema; --`;
    const h = new Harness(opened(server.url, { schema: name }));
    const { oid } = h.create('there');
    expect(h.text(oid)).toBe('there');
    expect(server.sql('SELECT nspname FROM pg_namespace').split('\n')).toContain(name);
    for (const schema of ['', 'x'.repeat(64), 'a\0b', 7]) {
      expect(() => openStorage(server.url, { schema })).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      );
    }
    for (const options of [{ lockTimeout: 0 }, { callTimeout: 1.5 }, { readOnly: 'yes' }, { shcema: 'x' }]) {
      expect(() => openStorage(server.url, options)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      );
    }
    expect(() => openStorage(`${server.url}&shcema=x`)).toThrow('no option "shcema"');
    expect(() => openStorage('postgres:not a url')).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });
}
