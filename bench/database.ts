/**
 * Transactions and connections, on SQLite: µs an operation, and the ratio to the same rows written or read by bare
 * better-sqlite3 in the same run.
 */
import Database from 'better-sqlite3';
import Table from 'cli-table3';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConflictError, DB, oidOf, persistent, TransactionManager } from 'zodb';
import { IOBTree } from 'zodb/btrees';

@persistent('bench.database.Account')
class Account {
  balance = 0;
  owner = '';
  street = 'Main Street 1';
  city = 'Springfield';
  since = 2001;
  note = null;
}

const directory = mkdtempSync(join(tmpdir(), 'zodb-bench-'));
const table = new Table({
  head: ['work', 'µs', 'bare µs', 'ratio'],
  colAligns: ['left', 'right', 'right', 'right'],
});

/** Median of five rounds of `count` calls, in µs a call. */
function time(count: number, work: (index: number) => void): number {
  for (let index = 0; index < Math.min(count, 50); index++) work(index);
  const rounds = Array.from({ length: 5 }, () => {
    const start = process.hrtime.bigint();
    for (let index = 0; index < count; index++) work(index);
    return Number(process.hrtime.bigint() - start) / 1000 / count;
  });
  return rounds.sort((a, b) => a - b)[2]!;
}

function row(work: string, ours: number, bare?: number): void {
  table.push([work, ours.toFixed(2), bare?.toFixed(2) ?? '', bare ? (ours / bare).toFixed(2) : '']);
}

const raw = new Database(join(directory, 'bare.sqlite'));
raw.pragma('journal_mode = WAL');
raw.pragma('synchronous = FULL');
raw.exec('CREATE TABLE object (oid INTEGER PRIMARY KEY, state BLOB)');
const put = raw.prepare('INSERT OR REPLACE INTO object VALUES (?, ?)');
const get = raw.prepare('SELECT state FROM object WHERE oid = ?');
const state = Buffer.alloc(150, 1);
raw.transaction(() => {
  for (let oid = 0; oid < 20_000; oid++) put.run(oid, state);
})();
const writeRows = (count: number, index: number) =>
  raw.transaction(() => {
    for (let at = 0; at < count; at++) put.run((index * count + at) % 20_000, state);
  })();

const db = new DB(join(directory, 'data.sqlite'), {
  root: {
    accounts: () => new IOBTree<Account>(),
    orders: () => new IOBTree<{ price: number; lines: number[] }>(),
  },
  cacheSize: 50_000,
});
db.transaction((root) => {
  for (let id = 0; id < 20_000; id++)
    root.accounts.set(id, Object.assign(new Account(), { owner: `owner ${id}` }));
});

row(
  'empty transaction',
  time(5_000, () => db.transaction(() => undefined)),
);
{
  const manager = new TransactionManager();
  row(
    'a connection from the pool and back',
    time(5_000, () => db.open({ transactionManager: manager }).close()),
  );
}
row(
  'read-only transaction of 10 objects, loaded',
  time(2_000, () =>
    db.transaction((root) => {
      for (let id = 0; id < 10; id++) root.accounts.get(id)!.balance;
    }),
  ),
);
const change = (count: number, index: number): void =>
  db.transaction((root) => {
    for (let at = 0; at < count; at++) root.accounts.get((index * count + at) % 20_000)!.balance += 1;
  });
for (const count of [1, 10, 1000]) {
  const calls = count === 1000 ? 20 : 300;
  row(
    `commit of ${count} changed`,
    time(calls, (index) => {
      change(count, index);
    }),
    time(calls, (index) => writeRows(count, index)),
  );
}
row(
  '… of 1, once V8 has compiled it',
  time(2_000, (index) => {
    change(1, index);
  }),
  time(2_000, (index) => writeRows(1, index)),
);
{
  const transactionManager = new TransactionManager();
  const conn = db.open({ transactionManager });
  const { orders } = conn.root;
  let id = 0;
  const add = (): void =>
    void orders.set((id = (Math.imul(id, 1_103_515_245) + 12_345) & 0x7fff_ffff), { price: id, lines: [id] });
  for (let batch = 0; batch < 20; batch++) {
    for (let count = 0; count < 2_500; count++) add();
    transactionManager.commit();
  }
  row(
    'commit of 1 plain value added to 50,000',
    time(300, () => {
      add();
      transactionManager.commit();
    }),
  );
  conn.close();
}
{
  const managers = [new TransactionManager(), new TransactionManager()];
  const [one, two] = managers.map((transactionManager) => db.open({ transactionManager }));
  row(
    'conflict and retry',
    time(100, () => {
      one!.root.accounts.get(1)!.balance += 1;
      two!.root.accounts.get(1)!.balance += 1;
      managers[0]!.commit();
      try {
        managers[1]!.commit();
        throw new Error('There should have been a conflict.');
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
        managers[1]!.abort();
        two!.root.accounts.get(1)!.balance += 1;
        managers[1]!.commit();
        managers[0]!.begin();
      }
    }),
  );
  one!.close();
  two!.close();
}
{
  const manager = new TransactionManager();
  const first = db.open({ transactionManager: manager });
  const oids = [...first.root.accounts.values()].slice(0, 1000).map((account) => oidOf(account)!);
  first.close();
  /** The fastest of many rounds, each with an empty cache, which is emptied outside of the measured time. */
  const cold = (work: (connection: typeof first) => void): number => {
    let fastest = Infinity;
    for (let round = 0; round < 150; round++) {
      db.resetCaches();
      const conn = db.open({ transactionManager: manager });
      const start = process.hrtime.bigint();
      work(conn);
      fastest = Math.min(fastest, Number(process.hrtime.bigint() - start) / 1000);
      conn.close();
    }
    return fastest;
  };
  const bare = cold(() => {
    for (let oid = 0; oid < 1000; oid++) get.get(oid);
  });
  const one = cold((conn) => {
    for (const oid of oids) conn.get(oid);
  });
  const together = cold((conn) => {
    conn.prefetch(oids);
    for (const oid of oids) conn.get(oid);
  });
  row('load 1,000 objects one by one', one, bare);
  row('load 1,000 objects, prefetched', together, bare);
  row('… how many times as fast', one / together);
  const instance = db.storage.newInstance();
  instance.poll();
  const records = cold(() => {
    for (const oid of oids) instance.load(oid);
  });
  const batch = cold(() => {
    instance.loadMany(oids);
  });
  row('read 1,000 records one by one', records, bare);
  row('read 1,000 records in one call', batch, bare);
  row('… how many times as fast', records / batch);
  instance.release();
}

async function concurrent(): Promise<void> {
  const start = performance.now();
  const rounds = 5;
  for (let round = 0; round < rounds; round++) {
    await Promise.all(
      Array.from({ length: 100 }, (_, task) =>
        db.transaction(async (root) => {
          await Promise.resolve();
          root.accounts.get(task)!.balance += 1;
        }),
      ),
    );
  }
  row('100 concurrent async tasks, a task', ((performance.now() - start) * 1000) / rounds / 100);
}

void concurrent().then(() => {
  console.log(table.toString());
  db.close();
  raw.close();
  rmSync(directory, { recursive: true });
});
