import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Worker as Thread } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { ZERO_TID, tidFromTime, timeOfTid, type Oid, type Tid } from '../../../src/ids';
import { runSteps, runStepsAsync, SqliteStorage, TransactionMetaData } from '../../../src/storage';
import { APPLICATION_ID, SCHEMA_VERSION } from '../../../src/storage/sqlite';
import { openEngine } from '../../../src/storage/sqlite/open';
import { resolveOptions } from '../../../src/storage/sqlite/options';
import { translateError } from '../../../src/storage/sqlite/sqlite-errors';
import { blobRecord, record } from '../../../src/testing';
import { Harness } from '../../../src/testing/harness';
import { textOf } from '../../../src/testing/records';
import { temporaryDirectory } from './temporary';
import { COUNTER } from './worker';
import { workerBundle } from './worker-process';

const directory = temporaryDirectory();
const file = (): string => join(directory(), 'test.sqlite');
const DAY = 86_400_000;

test('the file is marked as ours, in WAL mode', () => {
  new SqliteStorage(file()).close();
  const db = new Database(file());
  expect(db.pragma('application_id', { simple: true })).toBe(APPLICATION_ID);
  expect(db.pragma('user_version', { simple: true })).toBe(SCHEMA_VERSION);
  expect(db.pragma('journal_mode', { simple: true })).toBe('wal');
  expect(db.pragma('auto_vacuum', { simple: true })).toBe(2);
  db.close();
});

test.each([
  ['full', 2],
  ['normal', 1],
] as const)('durability %s is what the handle that commits has', (durability, synchronous) => {
  const engine = openEngine(file(), resolveOptions({ durability }));
  expect(engine.writer.pragma('synchronous')).toBe(synchronous);
  const second = engine.writeHandle();
  expect(second.pragma('synchronous')).toBe(synchronous);
  second.close();
  engine.close();
});

test('who opens or reads waits for others as long as a commit does', () => {
  const options = resolveOptions({});
  const engine = openEngine(file(), options);
  for (const handle of [engine.reader, engine.connectionHandle()])
    expect(handle.pragma('busy_timeout')).toBe(options.lockTimeout);
  engine.close();
});

test.each(['SQLITE_BUSY', 'SQLITE_BUSY_RECOVERY', 'SQLITE_LOCKED', 'SQLITE_PROTOCOL'])(
  'what others keep, and may let go of, is a retryable error: %s',
  (code) => {
    const error = translateError(Object.assign(new Error('locked'), { code }), file());
    expect(error).toMatchObject({ name: 'LockError', retryable: true });
  },
);

test('durability is full unless it is said otherwise', () => {
  expect(resolveOptions({}).durability).toBe('full');
});

test('a closed database leaves one file', () => {
  const h = new Harness(new SqliteStorage(file()));
  h.create('x');
  h.storage.newInstance().poll();
  h.storage.close();
  expect(readdirSync(directory())).toEqual(['test.sqlite']);
});

test('with history of days, what was superseded earlier goes by itself', () => {
  const h = new Harness(new SqliteStorage(file(), { history: { days: 2 } }));
  const oid = h.storage.newOid();
  const tids: Tid[] = [];
  for (let age = 10; age >= 0; age--) {
    const txn = new TransactionMetaData();
    h.storage.tpcBegin(txn, tidFromTime(Date.now() - age * DAY));
    h.storage.restore!(oid, record(`${age} days old`), txn);
    h.storage.tpcVote(txn);
    tids.push(h.storage.tpcFinish(txn));
  }
  for (let count = 0; count < 40; count++) h.create('other');
  const kept = tids.filter((tid) => {
    try {
      return h.storage.loadSerial(oid, tid).serial === tid;
    } catch {
      return false;
    }
  });
  // Current at the border, later ones, and the current one.
  expect(kept).toEqual(tids.slice(8));
  expect(h.text(oid)).toBe('0 days old');
  h.storage.close();
});

test('the history mode is kept by the file, and can be changed', () => {
  new SqliteStorage(file(), { history: 'none' }).close();
  let storage = new SqliteStorage(file());
  expect(storage.supports.history).toBe(false);
  expect(storage.supports.undo).toBe(false);
  storage.close();
  storage = new SqliteStorage(file(), { history: 'all' });
  expect(storage.supports.undo).toBe(true);
  storage.close();
});

test('a revision that was superseded while no history was kept is not taken for one that never was', () => {
  let h = new Harness(new SqliteStorage(file()));
  const { oid, tid: first } = h.create('one');
  const second = h.change(oid, 'two');
  h.storage.close();
  h = new Harness(new SqliteStorage(file(), { history: 'none' }));
  const third = h.change(oid, 'three');
  h.storage.close();
  h = new Harness(new SqliteStorage(file(), { history: 'all' }));
  const fourth = h.change(oid, 'four');
  expect(textOf(h.storage.loadBefore(oid, fourth)!.data)).toBe('three');
  for (const tid of [second, third]) {
    expect(() => h.storage.loadBefore(oid, tid)).toThrow(
      expect.objectContaining({ code: 'READ_CONFLICT' }) as Error,
    );
  }
  expect(() => h.storage.loadSerial(oid, first)).toThrow(
    expect.objectContaining({ code: 'POS_KEY' }) as Error,
  );
  expect(h.storage.history!(oid, 9).map(({ tid }) => tid)).toEqual([fourth, third]);
  expect(runSteps(h.storage.check!()).problems).toEqual([]);
  h.storage.close();
});

test('iterating finds every revision of objects with many, while others change them and a pack goes on', () => {
  const h = new Harness(new SqliteStorage(file(), { durability: 'normal' }));
  const { oid: one } = h.create('one 0');
  const { oid: two } = h.create('two 0');
  h.root([one, two]);
  for (let round = 1; round < 300; round++) {
    h.change(one, `one ${round}`);
    if (round % 3 === 0) h.change(two, `two ${round}`);
  }
  const seen = new Map<Oid, string[]>([one, two].map((oid) => [oid, []]));
  let count = 0;
  for (const transaction of h.storage.iterate!()) {
    for (const { oid, data } of transaction.records()) seen.get(oid)?.push(textOf(data!));
    if (++count === 100) h.change(one, 'meanwhile');
    if (count === 350) runSteps(h.storage.pack!({ time: timeOfTid(transaction.tid) - 1 }));
  }
  expect(seen.get(one)).toEqual(Array.from({ length: 300 }, (_, round) => `one ${round}`));
  expect(seen.get(two)).toEqual(Array.from({ length: 100 }, (_, round) => `two ${round * 3}`));
  h.storage.close();
});

test('without history undo is refused', () => {
  const h = new Harness(new SqliteStorage(file(), { history: 'none' }));
  const { tid } = h.create('x');
  expect(() => h.undo(tid)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }) as Error);
  expect(h.storage.undoLog!()).toEqual([]);
  h.storage.close();
});

test.each([{ blobs: 'file' }, { blobs: { directory: 'blobs' } }] as const)(
  'a backup taken between commits is one whole moment (%j)',
  (options) => {
    const h = new Harness(new SqliteStorage(file(), options));
    const oid = h.storage.newOid();
    h.transact((txn) =>
      h.storage.storeBlob!(oid, ZERO_TID, blobRecord(), Buffer.alloc(200_000, 'blob'), txn),
    );
    const pair = [h.create('0').oid, h.create('0').oid] as const;
    const change = (text: string): Tid =>
      h.commit(pair.map((each) => ({ oid: each, serial: h.storage.load(each).serial, text })));
    for (let count = 1; count < 50; count++) change(String(count));
    const path = join(directory(), 'copy.sqlite');
    const steps = h.storage.backup!(path);
    let count = 50;
    for (let step = steps.next(); !step.done; step = steps.next()) change(String(count++));
    expect(existsSync(`${path}.partial`)).toBe(false);
    const copy = new Harness(new SqliteStorage(path));
    expect(copy.text(pair[0])).toBe(copy.text(pair[1]));
    expect(Number(copy.text(pair[0]))).toBeGreaterThanOrEqual(49);
    const reader = copy.storage.openBlob!(oid, copy.storage.load(oid).serial);
    expect(reader.size).toBe(200_000);
    reader.close();
    expect(runSteps(copy.storage.check!()).problems).toEqual([]);
    copy.change(pair[0], 'goes on');
    copy.storage.close();
    expect(() => runSteps(h.storage.backup!(path))).toThrow(
      expect.objectContaining({ code: 'EXISTS' }) as Error,
    );
    h.storage.close();
  },
);

test('check finds references to nothing', () => {
  const h = new Harness(new SqliteStorage(file()));
  const missing = h.storage.newOid();
  const { oid } = h.create('holder', [missing]);
  h.root([oid]);
  expect(runSteps(h.storage.check!())).toEqual({
    objects: 2,
    revisions: 2,
    problems: ['0x2 refers to 0x1, which does not exist.'],
  });
  h.storage.close();
});

test('a commit at the newest snapshot is made through the handle of its connection, others through the writer', () => {
  const h = new Harness(new SqliteStorage(file()));
  const { oid } = h.create('0');
  const [one, two] = [h.storage.newInstance(), h.storage.newInstance()];
  const write = (instance: typeof one, text: string, end: 'finish' | 'abort'): void => {
    const txn = new TransactionMetaData();
    instance.tpcBegin(txn);
    instance.store(oid, instance.load(oid).serial, record(text), txn, []);
    instance.tpcVote(txn);
    // The block of new oids is used up while the write lock is held.
    for (let count = 0; count < 300; count++) fresh.push(instance.newOid());
    expect(textOf(instance.load(oid).data)).not.toBe(text);
    if (end === 'finish') instance.tpcFinish(txn);
    else instance.tpcAbort(txn);
  };
  const fresh: Oid[] = [];
  for (const instance of [one, two]) instance.poll();
  write(one, '1', 'finish');
  expect(textOf(one.load(oid).data)).toBe('1');
  expect(textOf(two.load(oid).data)).toBe('0');
  expect(one.poll()).toEqual([]);
  write(one, 'never', 'abort');
  expect(textOf(one.load(oid).data)).toBe('1');
  expect(one.poll()).toEqual([]);
  expect(two.poll()).toEqual([oid]);
  write(two, '2', 'finish');
  expect(() => write(one, 'late', 'finish')).toThrow(expect.objectContaining({ code: 'CONFLICT' }) as Error);
  one.release();
  two.release();
  expect(h.text(oid)).toBe('2');
  h.storage.close();
  const again = new SqliteStorage(file());
  expect(new Set(fresh).size).toBe(fresh.length);
  expect(again.newOid()).toBeGreaterThan(Math.max(...fresh));
  again.close();
});

test('a big upload keeps nobody waiting for the write lock', async () => {
  const h = new Harness(new SqliteStorage(file()));
  const other = new Harness(new SqliteStorage(file(), { lockTimeout: 2_000 }));
  const txn = new TransactionMetaData();
  h.storage.tpcBegin(txn);
  h.storage.storeBlob!(h.storage.newOid(), ZERO_TID, blobRecord(), Buffer.alloc(5_000_000), txn);
  other.create('while the blob is staged');
  h.storage.tpcVote(txn);
  h.storage.tpcFinish(txn);
  await runStepsAsync(h.storage.pack!());
  expect(h.storage.objectCount()).toBe(2);
  h.storage.close();
  other.storage.close();
});

test('contents that an upload left behind go with a pack, an hour later', () => {
  const h = new Harness(new SqliteStorage(file()));
  h.root([]);
  const txn = new TransactionMetaData();
  h.storage.tpcBegin(txn);
  h.storage.storeBlob!(h.storage.newOid(), ZERO_TID, blobRecord(), Buffer.alloc(300_000), txn);
  const db = new Database(file());
  const contents = (): unknown => db.prepare('SELECT count(*) FROM blob_content').pluck().get();
  runSteps(h.storage.pack!());
  expect(contents()).toBe(1);
  db.prepare('UPDATE blob_content SET touched = ?').run(Date.now() - 3_700_000);
  runSteps(h.storage.pack!());
  expect(contents()).toBe(0);
  expect(db.prepare('SELECT count(*) FROM blob_chunk').pluck().get()).toBe(0);
  db.close();
  h.storage.close();
});

test('worker threads share a database as processes do', async () => {
  const h = new Harness(new SqliteStorage(file()));
  h.commit([{ oid: COUNTER, text: 'count:0' }]);
  const threads = [1, 2].map(
    () =>
      new Promise<number>((resolve, reject) => {
        const thread = new Thread(workerBundle(), {
          argv: [JSON.stringify({ do: 'count', path: file(), commits: 50 })],
        });
        thread.once('error', reject);
        thread.once('exit', resolve);
      }),
  );
  expect(await Promise.all(threads)).toEqual([0, 0]);
  expect(h.text(COUNTER)).toBe('count:100');
  h.storage.close();
});

test('what a connection remembers of its last commit gives way to what others did since', () => {
  const [one, two] = [new Harness(new SqliteStorage(file())), new Harness(new SqliteStorage(file()))];
  const instance = one.storage.newInstance();
  const oid = one.storage.newOid();
  let serial = ZERO_TID;
  const commit = (text: string): void => {
    instance.poll();
    serial = one.commit([{ oid, serial, text }], new TransactionMetaData(), instance);
  };
  commit('first');
  commit('second');
  two.change(two.create('garbage').oid, 'changed');
  two.root([oid]);
  commit('third');
  expect(one.storage.objectCount()).toBe(3);
  // Removes an object and counts the others again, without a transaction of its own.
  expect(runSteps(two.storage.pack!()).objects).toBe(1);
  commit('fourth');
  expect(two.storage.objectCount()).toBe(2);
  two.create('more');
  commit('fifth');
  commit('sixth');
  expect([one.storage.objectCount(), two.storage.objectCount()]).toEqual([3, 3]);
  const tids = Array.from(two.storage.iterate!(), ({ tid }) => tid);
  expect([...tids].sort()).toEqual(tids);
  expect(tids.at(-1)).toBe(serial);
  expect(two.storage.history!(oid, 10)).toHaveLength(4);
  expect(runSteps(two.storage.check!()).problems).toEqual([]);
  one.storage.close();
  two.storage.close();
});

test('the log is reset when nobody needs it', () => {
  const h = new Harness(new SqliteStorage(file()));
  const instance = h.storage.newInstance();
  const oid = h.storage.newOid();
  let serial = ZERO_TID;
  for (let count = 0; count < 1_500; count++) {
    instance.poll();
    serial = h.commit(
      [{ oid, serial, text: `${count} ${'x'.repeat(2_000)}` }],
      new TransactionMetaData(),
      instance,
    );
  }
  expect(statSync(`${file()}-wal`).size).toBeLessThan(16e6);
  h.storage.close();
});

test('closing ends what is still open: walks, blobs, packs, commits that wait', async () => {
  const h = new Harness(new SqliteStorage(file()));
  const other = new Harness(new SqliteStorage(file()));
  const oid = h.storage.newOid();
  const tid = h.transact((txn) =>
    h.storage.storeBlob!(oid, ZERO_TID, blobRecord(), Buffer.alloc(200_000), txn),
  );
  h.root([oid]);
  const reader = h.storage.openBlob!(oid, tid);
  const walk = h.storage.currentRecords!();
  const packing = h.storage.pack!();
  packing.next();
  const [held, waiting] = [new TransactionMetaData(), new TransactionMetaData()];
  other.storage.tpcBegin(held);
  other.storage.tpcVote(held);
  await h.storage.tpcBeginAsync!(waiting);
  const vote = h.storage.tpcVoteAsync!(waiting);
  h.storage.close();
  const closed = expect.objectContaining({ code: 'CLOSED' }) as Error;
  await expect(vote).rejects.toEqual(closed);
  expect(() => reader.read(Buffer.alloc(9), 0, 9, 150_000)).toThrow(closed);
  reader.close();
  walk.return!();
  expect(() => [...packing]).toThrow(closed);
  other.storage.tpcFinish(held);
  other.storage.close();
  expect(readdirSync(directory())).toEqual(['test.sqlite']);
});
