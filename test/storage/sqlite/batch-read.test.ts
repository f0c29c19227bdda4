/** `loadMany` gives what `load` gives, one by one. */
import Database from 'better-sqlite3';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CorruptionError } from '../../../src/errors';
import { ZERO_TID, type Oid } from '../../../src/ids';
import { SqliteStorage, TransactionMetaData } from '../../../src/storage/index';

let directory: string;
let storage: SqliteStorage;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'zodb-batch-'));
  storage = new SqliteStorage(join(directory, 'data.sqlite'));
  const txn = new TransactionMetaData({});
  storage.tpcBegin(txn);
  // Of all lengths, with bytes that are no text: zeros, and what is not UTF-8.
  for (let oid = 0; oid < 700; oid++) {
    const data = Buffer.from(Array.from({ length: 1 + ((oid * 7) % 300) }, (_, at) => (at * oid) & 0xff));
    storage.store(oid as Oid, ZERO_TID, data, txn, []);
  }
  storage.tpcVote(txn);
  storage.tpcFinish(txn);
});
afterEach(() => {
  storage.close();
  rmSync(directory, { recursive: true });
});

test('in any order, with repetitions and with what does not exist', () => {
  const instance = storage.newInstance();
  instance.poll();
  const oids = Array.from({ length: 1_500 }, (_, at) => ((at * 37) % 1_000) as Oid);
  const records = instance.loadMany(oids);
  expect(records).toHaveLength(oids.length);
  records.forEach((record, at) => {
    const oid = oids[at]!;
    if (oid >= 700) expect(record).toBeUndefined();
    else {
      const single = instance.load(oid);
      expect([Buffer.from(record!.data).equals(single.data), record!.serial]).toEqual([true, single.serial]);
    }
  });
  expect(instance.loadMany([])).toEqual([]);
  expect(instance.loadMany(Array.from({ length: 100 }, (_, at) => (5_000 + at) as Oid))).toEqual(
    Array.from({ length: 100 }, () => undefined),
  );
  instance.release();
});

test.each([
  [
    'flipped bits',
    "UPDATE object SET state = CAST(replace(state, substr(state, -1), x'aabb') AS BLOB) WHERE oid = 333",
  ],
  ['a text', "UPDATE object SET state = 'üöä' WHERE oid = 333"],
])('a damaged row (%s) is an error that names its object', (_title, sql) => {
  const path = storage.name;
  storage.close();
  const raw = new Database(path);
  raw.exec(sql);
  raw.close();
  storage = new SqliteStorage(path);
  const instance = storage.newInstance();
  instance.poll();
  const oids = Array.from({ length: 600 }, (_, at) => at as Oid);
  expect(() => instance.loadMany(oids)).toThrow(CorruptionError);
  expect(() => instance.loadMany(oids)).toThrow('0x14d');
  expect(instance.loadMany(oids.slice(0, 300))).toHaveLength(300);
  instance.release();
});
