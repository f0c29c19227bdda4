/**
 * The storage floor against bare better-sqlite3 doing the same work on the same rows, in one run:
 * `npx ts-node bench/storage.ts`. Figures are ratios; the absolute ones say what this machine did today.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import BetterSqlite3 from 'better-sqlite3';
import { ZERO_TID, type Oid } from '../src/ids';
import { SqliteStorage, TransactionMetaData } from '../src/storage';

const OBJECTS = 100_000;
const COMMITS = 1_000;
const RECORD = Buffer.alloc(200, 'record ');
const NO_REFERENCES: readonly Oid[] = [];
const directory = mkdtempSync(join(tmpdir(), 'zodb-bench-'));
const random = Array.from({ length: OBJECTS }, () => 1 + Math.floor(Math.random() * OBJECTS));

function time(work: () => void): number {
  const start = performance.now();
  work();
  return (performance.now() - start) * 1_000;
}

function row(name: string, ours: number, bare: number, count: number, aim: number): void {
  const ratio = ours / bare;
  console.log(
    `${name.padEnd(34)} ${(ours / count).toFixed(2).padStart(8)} µs  bare ${(bare / count).toFixed(2).padStart(8)} µs  ` +
      `${ratio.toFixed(2)} times (aim ${aim})${ratio > aim ? '  MISSED' : ''}`,
  );
}

function openBare(): { db: BetterSqlite3.Database; insert: BetterSqlite3.Statement } {
  const db = new BetterSqlite3(join(directory, 'bare.sqlite'));
  db.pragma('auto_vacuum=INCREMENTAL');
  db.pragma('journal_mode=WAL');
  db.pragma('synchronous=FULL');
  db.pragma('cache_size=-16384');
  db.exec(`
    CREATE TABLE txn (seq INTEGER PRIMARY KEY, tid INTEGER NOT NULL, packed INTEGER NOT NULL, past INTEGER NOT NULL,
      objects INTEGER NOT NULL, crc INTEGER NOT NULL, user BLOB, description BLOB, extension BLOB, changed BLOB);
    CREATE TABLE object (oid INTEGER PRIMARY KEY, seq INTEGER NOT NULL, refs BLOB, state BLOB NOT NULL);
    CREATE TABLE history (id INTEGER PRIMARY KEY, oid INTEGER NOT NULL, seq INTEGER NOT NULL, refs BLOB, state BLOB NOT NULL);
  `);
  return { db, insert: db.prepare('INSERT INTO object VALUES (?, ?, ?, ?)') };
}

const storage = new SqliteStorage(join(directory, 'ours.sqlite'));
const instance = storage.newInstance();
const { db, insert } = openBare();
const sealed = Buffer.alloc(210, 1);

const bulkOurs = time(() => {
  for (let start = 1; start <= OBJECTS; start += 1_000) {
    const txn = new TransactionMetaData();
    instance.tpcBegin(txn);
    for (let count = 0; count < 1_000; count++)
      instance.store(instance.newOid(), ZERO_TID, RECORD, txn, NO_REFERENCES);
    instance.tpcVote(txn);
    instance.tpcFinish(txn);
  }
});
const bulkBare = time(() => {
  for (let start = 1; start <= OBJECTS; start += 1_000) {
    db.exec('BEGIN IMMEDIATE');
    for (let count = 0; count < 1_000; count++) insert.run(start + count, start, null, sealed);
    db.exec('COMMIT');
  }
});
row('100,000 new objects, 1,000 a commit', bulkOurs, bulkBare, OBJECTS, 4);

const get = db.prepare('SELECT state FROM object WHERE oid = ?');
const ours: number[] = [];
const bare: number[] = [];
for (let round = 0; round < 5; round++) {
  instance.suspend();
  instance.poll();
  ours.push(
    time(() => {
      for (const oid of random) instance.load(oid as Oid);
    }),
  );
  db.exec('BEGIN');
  bare.push(
    time(() => {
      for (const oid of random) get.get(oid);
    }),
  );
  db.exec('COMMIT');
}
row('load of a random object', Math.min(...ours), Math.min(...bare), OBJECTS, 1.5);

const supersede = db.prepare('INSERT INTO history SELECT ?, oid, seq, refs, state FROM object WHERE oid = ?');
const update = db.prepare('UPDATE object SET seq = ?, refs = ?, state = ? WHERE oid = ?');
const transaction = db.prepare('INSERT INTO txn VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
const begin = db.prepare('BEGIN IMMEDIATE');
const commit = db.prepare('COMMIT');
const median = (times: number[]): number => times.sort((a, b) => a - b)[times.length >> 1]!;
const commitOurs: number[] = [];
const commitBare: number[] = [];
let past = 0;
for (let count = 0; count < COMMITS; count++) {
  const [one, two] = [random[count]!, random[count + COMMITS]!];
  if (one === two) continue;
  instance.poll();
  const serials = [one, two].map((oid) => instance.load(oid as Oid).serial);
  commitOurs.push(
    time(() => {
      const txn = new TransactionMetaData({ user: 'bench', description: 'transfer' });
      instance.tpcBegin(txn);
      instance.store(one as Oid, serials[0]!, RECORD, txn, NO_REFERENCES);
      instance.store(two as Oid, serials[1]!, RECORD, txn, NO_REFERENCES);
      instance.tpcVote(txn);
      instance.tpcFinish(txn);
    }),
  );
  commitBare.push(
    time(() => {
      begin.run();
      for (const oid of [one, two]) {
        supersede.run(++past, oid);
        update.run(count + 200, null, sealed, oid);
      }
      const changed = Buffer.alloc(8);
      transaction.run(
        count + 200,
        12345678901234n,
        0,
        past,
        OBJECTS,
        1,
        Buffer.from('bench'),
        Buffer.from('transfer'),
        null,
        changed,
      );
      commit.run();
    }),
  );
}
row('commit of two changed objects', median(commitOurs), median(commitBare), 1, 1.4);

const polls = 20_000;
const polled = time(() => {
  for (let count = 0; count < polls; count++) instance.poll();
});
console.log(`${'poll, nothing new'.padEnd(34)} ${(polled / polls).toFixed(2).padStart(8)} µs`);

const empties: number[] = [];
for (let count = 0; count < 1_000; count++) {
  empties.push(
    time(() => {
      const txn = new TransactionMetaData();
      instance.tpcBegin(txn);
      instance.tpcAbort(txn);
      instance.poll();
    }),
  );
}
console.log(`${'begin, abort, poll'.padEnd(34)} ${median(empties).toFixed(2).padStart(8)} µs`);

storage.close();
db.close();
rmSync(directory, { recursive: true });
