/**
 * The PostgreSQL storage against bare `pg` with the same work on the same rows, in one run on a server of its own. A bare program waits for
 * promises; ours blocks its thread, which costs a hand-over to another thread for each round trip.
 */
import { createRequire } from 'node:module';
import { ZERO_TID } from '../src/ids';
import { TransactionMetaData } from '../src/storage';
import { PostgresStorage } from '../src/storage/postgres';
import { PostgresServer } from '../test/storage/postgres/server';

interface Client {
  connect(): Promise<void>;
  query(query: unknown): Promise<{ rows: unknown[] }>;
  end(): Promise<void>;
}
const { Client: PgClient } = createRequire(__filename)('pg') as { Client: new (config: object) => Client };

const OBJECTS = 20_000;
const LOADS = 3_000;
const COMMITS = 500;
const RECORD = Buffer.alloc(200, 'record ');

async function main(): Promise<void> {
  if (!PostgresServer.isHere) return;
  const server = new PostgresServer(true);
  const storage = new PostgresStorage(server.url);
  const bare = new PgClient({ connectionString: server.url });
  await bare.connect();
  try {
    await compare(storage, bare);
  } finally {
    storage.close();
    await bare.end();
    server.remove();
  }
}

async function compare(storage: PostgresStorage, bare: Client): Promise<void> {
  await bare.query(
    'CREATE TABLE bare (oid bigint, tid bigint, state bytea, refs bytea); CREATE UNIQUE INDEX ON bare (oid, tid DESC); CREATE INDEX ON bare (tid, oid); CREATE TABLE t (tid bigint PRIMARY KEY)',
  );
  const instance = storage.newInstance();
  const oids = Array.from({ length: OBJECTS }, () => storage.newOid());
  const random = Array.from({ length: LOADS }, () => oids[Math.floor(Math.random() * OBJECTS)]!);

  const added = time(() => {
    for (let at = 0; at < OBJECTS; at += 1_000) {
      commit(storage, (txn) => {
        for (const oid of oids.slice(at, at + 1_000)) storage.store(oid, ZERO_TID, RECORD, txn, []);
      });
    }
  });
  const bareAdded = await timeAsync(async () => {
    for (let at = 0; at < OBJECTS; at += 1_000) {
      const some = oids.slice(at, at + 1_000);
      const values = some.map((_, i) => `($${2 * i + 1}, 1, $${2 * i + 2}, '')`).join();
      await bare.query('BEGIN');
      await bare.query({
        text: `INSERT INTO bare VALUES ${values}`,
        values: some.flatMap((oid) => [oid, RECORD]),
      });
      await bare.query('COMMIT');
    }
  });
  row(`${OBJECTS} new objects, 1,000 a commit`, added / OBJECTS, bareAdded / OBJECTS);

  instance.poll();
  const loaded = time(() => {
    for (const oid of random) instance.load(oid);
  });
  const load = 'SELECT tid, state FROM bare WHERE oid = $1 AND tid < $2 ORDER BY tid DESC LIMIT 1';
  const bareLoaded = await timeAsync(async () => {
    for (const oid of random) await bare.query({ name: 'load', text: load, values: [oid, 99] });
  });
  row('load of one', loaded / LOADS, bareLoaded / LOADS);

  const many = time(() => {
    for (let at = 0; at < OBJECTS; at += 500) instance.loadMany(oids.slice(at, at + 500));
  });
  row('… in batches of 500', many / OBJECTS);

  const committed = time(() => {
    for (const oid of random.slice(0, COMMITS)) {
      const { serial } = instance.load(oid);
      commit(storage, (txn) => storage.store(oid, serial, RECORD, txn, []));
      instance.poll();
    }
  });
  const bareCommitted = await timeAsync(async () => {
    for (const [i, oid] of random.slice(0, COMMITS).entries()) {
      await bare.query({ name: 'load', text: load, values: [oid, 99] });
      await bare.query('BEGIN');
      await bare.query({ name: 't', text: 'INSERT INTO t VALUES ($1)', values: [i + 2] });
      await bare.query({
        name: 'r',
        text: "INSERT INTO bare VALUES ($1, $2, $3, '')",
        values: [oid, i + 2, RECORD],
      });
      await bare.query('COMMIT');
    }
  });
  row('load and commit of one', committed / COMMITS, bareCommitted / COMMITS);

  const polled = time(() => {
    for (let i = 0; i < LOADS; i++) instance.poll();
  });
  const asked = await timeAsync(async () => {
    for (let i = 0; i < LOADS; i++)
      await bare.query({ name: 'm', text: 'SELECT max(tid) FROM t', values: [] });
  });
  row('begin of a transaction', polled / LOADS, asked / LOADS);

  const megabytes = 50;
  const blob = storage.newOid();
  const stored = time(() => {
    commit(storage, (txn) =>
      storage.storeBlob(blob, ZERO_TID, RECORD, Buffer.alloc(megabytes << 20, 1), txn),
    );
  });
  row('blob, a MiB in', stored / megabytes);
  const { serial } = storage.load(blob);
  row('blob, a MiB out', time(() => storage.openBlob(blob, serial).close()) / megabytes);
}

function commit(storage: PostgresStorage, work: (txn: TransactionMetaData) => void): void {
  const txn = new TransactionMetaData();
  storage.tpcBegin(txn);
  work(txn);
  storage.tpcVote(txn);
  storage.tpcFinish(txn);
}

/** Microseconds. */
function time(work: () => void): number {
  const start = performance.now();
  work();
  return (performance.now() - start) * 1_000;
}

async function timeAsync(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) * 1_000;
}

function row(name: string, ours: number, bare?: number): void {
  const compared =
    bare === undefined ? '' : `  bare ${bare.toFixed(1).padStart(8)} µs  ${(ours / bare).toFixed(2)} times`;
  console.log(`${name.padEnd(38)} ${ours.toFixed(1).padStart(8)} µs${compared}`);
}

void main();
