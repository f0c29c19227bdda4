/** Connections that end, stand still, or lead to a server that takes no writes. */
import { ROOT_OID, ZERO_TID, type Oid } from '../../../src/ids';
import { openStorage, TransactionMetaData, type Storage } from '../../../src/storage';
import { record, textOf } from '../../../src/testing';
import { Harness } from '../../../src/testing/harness';
import { PostgresServer } from './server';

if (!PostgresServer.isHere) test('PostgreSQL is not here', () => expect(PostgresServer.isHere).toBe(false));
else {
  const server = new PostgresServer();
  const open: { close(): void }[] = [];
  afterEach(() => {
    for (const one of open.splice(0)) one.close();
  });
  afterAll(() => server.remove());

  const opened = (url: string, options = {}): Storage => {
    const storage = openStorage(url, options);
    open.push(storage);
    return storage;
  };
  const schemaOf = (url: string): string => /schema=(\w+)/.exec(url)![1]!;

  /** The server's processes that serve storages. */
  function backends(): number[] {
    const found = server.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'zodb'");
    return found.split('\n').filter(Boolean).map(Number);
  }

  it('a read whose connection ends while the server works on it is asked again', async () => {
    const url = server.newUrl();
    const storage = opened(url);
    const { oid } = new Harness(storage).create('there');
    const schema = schemaOf(url);
    for (let round = 0; round < 5; round++) {
      // It waits for the table's lock when its connection is ended, beside this thread, which waits for it.
      const ending = server.sqlBeside(`
        BEGIN; LOCK TABLE ${schema}.revision; SELECT 'locked';
        DO $$ BEGIN
          WHILE NOT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND relation = '${schema}.revision'::regclass) LOOP
            PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
          END LOOP;
          PERFORM pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted AND relation = '${schema}.revision'::regclass;
        END $$; COMMIT;`);
      await ending.said('locked');
      expect(textOf(storage.load(oid).data)).toBe('there');
      await ending.ended;
    }
  });

  it('a connection that stands still is given up: reads go on over another', () => {
    const url = server.newUrl();
    const storage = opened(url, { callTimeout: 3_000 });
    const { oid } = new Harness(storage).create('there');
    const stopped = backends();
    expect(stopped.length).toBeGreaterThan(0);
    for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    try {
      expect(textOf(storage.load(oid).data)).toBe('there');
      expect(storage.lastTransaction()).toBeGreaterThan(ZERO_TID);
    } finally {
      for (const pid of stopped) process.kill(pid, 'SIGCONT');
    }
  });

  it('an asynchronous call is not waited for longer than a synchronous one', async () => {
    const url = server.newUrl();
    const storage = opened(url, { callTimeout: 1_000, lockTimeout: 500 });
    const h = new Harness(storage);
    h.root([]);
    const tid = storage.lastTransaction();
    const stopped = backends();
    for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    const txn = new TransactionMetaData();
    try {
      await storage.tpcBeginAsync!(txn);
      storage.store(ROOT_OID, tid, record('late'), txn);
      await expect(storage.tpcVoteAsync!(txn)).rejects.toMatchObject({
        code: 'CONNECTION_LOST',
        retryable: true,
      });
      storage.tpcAbort(txn);
    } finally {
      for (const pid of stopped) process.kill(pid, 'SIGCONT');
    }
    expect(storage.load(ROOT_OID).serial).toBe(tid);
  });

  it('who waits for the lock of commits is not taken for lost', () => {
    const url = server.newUrl();
    const [one, other] = [opened(url), opened(url, { callTimeout: 500, lockTimeout: 1_000 })];
    const txn = new TransactionMetaData();
    one.tpcBegin(txn);
    one.store(1 as Oid, ZERO_TID, record('held'), txn);
    one.tpcVote(txn);
    expect(() => new Harness(other).commit([{ oid: 2 as Oid, text: 'waits' }])).toThrow(
      expect.objectContaining({ code: 'LOCK_TIMEOUT' }),
    );
    one.tpcAbort(txn);
  });

  it('listeners hear of commits again after the server was started anew', async () => {
    const url = server.newUrl();
    const [watched, writer] = [new Harness(opened(url)), opened(url)];
    const { oid } = watched.create('before');
    server.stop();
    // The storage sees its connections end, and finds no server.
    await new Promise((resolve) => setTimeout(resolve, 200));
    server.start();
    const tid = new Harness(writer).change(oid, 'after');
    while (watched.invalidated.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(watched.invalidated).toEqual([[tid, [oid]]]);
  });

  it('a user who may only read opens it read-only, and is told so where more is asked', () => {
    const url = server.newUrl();
    const { oid } = new Harness(opened(url)).create('there');
    server.sql(
      `CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA ${schemaOf(url)} TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA ${schemaOf(url)} TO reader`,
    );
    const theirs = url.replace('user=zodb', 'user=reader');
    const storage = opened(theirs, { readOnly: true });
    const instance = storage.newInstance();
    instance.poll();
    expect(textOf(instance.load(oid).data)).toBe('there');
    expect([storage.objectCount(), storage.size() > 0, storage.undoLog!().length]).toEqual([1, true, 1]);
    expect([...storage.currentRecords!()].length + [...storage.iterate!()].length).toBe(2);
    const careless = new Harness(opened(theirs));
    expect(() => careless.commit([{ oid, text: 'refused' }])).toThrow(
      expect.objectContaining({ code: 'NOT_ALLOWED' }),
    );
    expect(() => careless.storage.newOid()).toThrow(expect.objectContaining({ code: 'NOT_ALLOWED' }));
  });

  it('a standby server is read from; writing is refused', () => {
    const url = server.newUrl();
    const { oid } = new Harness(opened(url)).create('there');
    const standby = server.standby();
    try {
      const there = url.replace(encodeURIComponent(server.directory), encodeURIComponent(standby.directory));
      const storage = opened(there, { readOnly: true });
      const instance = storage.newInstance();
      instance.poll();
      expect(textOf(instance.load(oid).data)).toBe('there');
      const writable = new Harness(opened(there));
      expect(() => writable.commit([{ oid, text: 'refused' }])).toThrow(
        expect.objectContaining({ code: 'READ_ONLY' }),
      );
      for (const one of open.splice(0)) one.close();
    } finally {
      standby.remove();
    }
  });
}
