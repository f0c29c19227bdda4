/** Many objects, and large ones: what must not grow with the database, nor take all memory at once. */
import { oidFromBigInt, ROOT_OID, ZERO_TID, type Oid } from '../../../src/ids';
import { openStorage, runSteps, TransactionMetaData, type Storage } from '../../../src/storage';
import { textOf } from '../../../src/testing';
import { Harness } from '../../../src/testing/harness';
import { PostgresServer } from './server';

const soak = Number(process.env.ZODB_SOAK ?? 0);
const MANY = 10_000 + Math.round(soak * 100_000);

if (!PostgresServer.isHere) test('PostgreSQL is not here', () => expect(PostgresServer.isHere).toBe(false));
else {
  const server = new PostgresServer();
  const open: Storage[] = [];
  afterEach(() => {
    for (const storage of open.splice(0)) storage.close();
  });
  afterAll(() => server.remove());

  const opened = (url: string): Storage => {
    const storage = openStorage(url);
    open.push(storage);
    return storage;
  };

  it('walks and packs follow indexes page by page, though the server has never counted its rows', () => {
    const url = server.newUrl();
    const h = new Harness(opened(url));
    const oids = Array.from({ length: MANY }, () => h.storage.newOid());
    h.commit(oids.map((oid) => ({ oid, text: 'x'.repeat(100) })));
    h.root(oids.slice(0, MANY / 2));
    h.storage.close();
    const read = (): number =>
      Number(
        server.sql(
          'SELECT (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes) + (SELECT sum(seq_tup_read) FROM pg_stat_user_tables)',
        ),
      );
    /** How many rows of indexes and tables a connection read. */
    const rowsRead = (work: (storage: Storage) => void): number => {
      const before = read();
      const storage = opened(url);
      work(storage);
      storage.close();
      // What a connection counted is there when it has ended.
      while (server.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'zodb'") !== '0');
      return read() - before;
    };
    expect(
      rowsRead((storage) => void expect([...storage.currentRecords!()].length).toBe(MANY + 1)),
    ).toBeLessThan(4 * MANY);
    expect(rowsRead((storage) => void expect(runSteps(storage.pack!()).objects).toBe(MANY / 2))).toBeLessThan(
      20 * MANY,
    );
  });

  it('large records come a few at a time, and all of them', () => {
    const url = server.newUrl();
    const storage = opened(url);
    const sizes = [6 << 20, 100, 2 << 20, 2 << 20, 100, 5 << 20, 1];
    const txn = new TransactionMetaData();
    storage.tpcBegin(txn);
    for (const [i, size] of sizes.entries())
      storage.store(i as Oid, ZERO_TID, Buffer.alloc(size, i + 1), txn);
    storage.tpcVote(txn);
    storage.tpcFinish(txn);
    const current = [...storage.currentRecords!()];
    expect(current.map(({ oid, data }) => [oid, data.length, data[0]])).toEqual(
      sizes.map((size, i) => [i, size, i + 1]),
    );
    const [transaction] = storage.iterate!();
    expect(Array.from(transaction!.records(), ({ data }) => data!.length)).toEqual(sizes);
  });

  it('oids of any size are walked in their order', () => {
    const storage = opened(server.newUrl());
    const oids = [
      ROOT_OID,
      5 as Oid,
      ...[2n ** 60n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n].map(oidFromBigInt),
    ];
    new Harness(storage).commit(oids.toReversed().map((oid) => ({ oid, text: 'there' })));
    const walk = (from?: Oid): Oid[] => Array.from(storage.currentRecords!(from), ({ oid }) => oid);
    expect(walk()).toEqual(oids);
    for (let i = 0; i < oids.length; i++) expect(walk(oids[i])).toEqual(oids.slice(i));
    expect(textOf(storage.load(oids.at(-1)!).data)).toBe('there');
  });

  it('an oid is not given out twice where numbers end', () => {
    const storage = opened(server.newUrl());
    new Harness(storage).commit([{ oid: (Number.MAX_SAFE_INTEGER - 300) as Oid, text: 'from afar' }]);
    const given: Oid[] = [];
    const ask = (): void => {
      for (let i = 0; i < 1_000; i++) given.push(storage.newOid());
    };
    expect(ask).toThrow(expect.objectContaining({ code: 'NO_OIDS' }));
    expect(new Set(given).size).toBe(given.length);
  });
}
