/**
 * What other processes do in the tests of SQLite storage: bundled by worker-process.ts, told by one JSON argument, answering by
 * lines on standard output.
 */
import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { ROOT_OID, ZERO_TID, type Oid } from '../../../src/ids';
import {
  SqliteStorage,
  TransactionMetaData,
  type StorageHost,
  type StorageInstance,
} from '../../../src/storage';
import { blobRecord, mergeCounters, record, referencesOf, textOf } from '../../../src/testing/records';

export interface Task {
  readonly do: 'churn' | 'transfer' | 'hold' | 'initialise' | 'lock' | 'count' | 'pack';
  readonly path: string;
  readonly history?: 'all' | 'none';
  readonly seed?: number;
  readonly commits?: number;
  readonly with?: ('pack' | 'blobs')[];
}

// Beyond the first blocks of oids that newOid() gives out.
export const COUNTER = 100_001 as Oid;
export const TWIN = 100_002 as Oid;
export const BLOB = 100_003 as Oid;
const host: StorageHost = {
  invalidate: () => undefined,
  invalidateAll: () => undefined,
  resolveConflict: mergeCounters,
  references: referencesOf,
};

/** The content of the blob that belongs to a number. */
export function blobContent(n: number): Buffer {
  const block = createHash('sha256').update(String(n)).digest();
  return Buffer.alloc(150_000 + n, block);
}

function say(line: string | number): void {
  writeSync(1, `${line}\n`);
}

function open({ path, history }: Task): { storage: SqliteStorage; instance: StorageInstance } {
  const storage = new SqliteStorage(path, history ? { history } : {});
  storage.registerDB(host);
  const instance = storage.newInstance();
  instance.poll();
  return { storage, instance };
}

function commit(instance: StorageInstance, work: (txn: TransactionMetaData) => void): void {
  const txn = new TransactionMetaData();
  instance.tpcBegin(txn);
  try {
    work(txn);
    instance.tpcVote(txn);
  } catch (error) {
    instance.tpcAbort(txn);
    throw error;
  }
  instance.tpcFinish(txn);
}

function serialOf(instance: StorageInstance, oid: Oid): ReturnType<typeof BigInt> {
  const [found] = instance.loadMany([oid]);
  return found ? found.serial : ZERO_TID;
}

/** Counts two objects up together, for ever, making garbage, packing and uploading; says each number once it is committed. */
function churn(task: Task): void {
  const { storage, instance } = open(task);
  const put = (oid: Oid, text: string, txn: TransactionMetaData, references: Oid[] = []): void =>
    instance.store(oid, serialOf(instance, oid) as never, record(text, references), txn);
  const [existing] = instance.loadMany([COUNTER]);
  let n = existing ? Number(textOf(existing.data).slice('count:'.length)) : 0;
  if (!existing) commit(instance, (txn) => put(ROOT_OID, 'root', txn, [COUNTER, TWIN, BLOB]));
  let steps = task.with?.includes('pack') ? storage.pack() : undefined;
  say('ready');
  for (;;) {
    instance.poll();
    n++;
    commit(instance, (txn) => {
      put(COUNTER, `count:${n}`, txn);
      put(TWIN, `count:${n}`, txn);
      for (let count = 0; count < 5; count++) put(instance.newOid(), `garbage ${n}`, txn);
      if (task.with?.includes('blobs')) {
        instance.storeBlob!(BLOB, serialOf(instance, BLOB) as never, blobRecord(), blobContent(n), txn);
      }
    });
    say(n);
    if (steps?.next().done) steps = storage.pack();
  }
}

/** Moves money between ten accounts, running transactions again when they meet a conflict. */
function transfer(task: Task): void {
  const { storage, instance } = open(task);
  let seed = task.seed ?? 1;
  const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
  let conflicts = 0;
  for (let done = 0; done < task.commits!;) {
    const [from, to] = [(100 + random(10)) as Oid, (100 + random(10)) as Oid];
    const amount = 1 + random(9);
    if (from === to) continue;
    try {
      instance.poll();
      const [a, b] = [instance.load(from), instance.load(to)];
      commit(instance, (txn) => {
        instance.store(from, a.serial, record(`balance:${balance(a.data) - amount}`), txn);
        instance.store(to, b.serial, record(`balance:${balance(b.data) + amount}`), txn);
      });
      done++;
    } catch (error) {
      if (!(error as { retryable?: boolean }).retryable) throw error;
      conflicts++;
    }
  }
  say(JSON.stringify({ conflicts }));
  storage.close();
}

/** Adds one to a counter that merges, again and again. */
function count(task: Task): void {
  const { storage, instance } = open(task);
  for (let done = 0; done < task.commits!; done++) {
    instance.poll();
    const found = instance.load(COUNTER);
    const n = Number(textOf(found.data).slice('count:'.length));
    commit(instance, (txn) => instance.store(COUNTER, found.serial, record(`count:${n + 1}`), txn));
  }
  storage.close();
}

export function balance(data: Uint8Array): number {
  return Number(textOf(data).slice('balance:'.length));
}

/** Holds one snapshot and says its sum whenever it is asked. */
function hold(task: Task): void {
  const { instance } = open(task);
  say('ready');
  process.stdin.on('data', (data) => {
    for (const _ of data.toString().trim().split('\n')) {
      try {
        const oids = Array.from({ length: 10 }, (_each, place) => (100 + place) as Oid);
        say(oids.reduce((sum, oid) => sum + balance(instance.load(oid).data), 0));
      } catch (error) {
        say((error as { code: string }).code);
      }
    }
  });
  process.stdin.on('end', () => process.exit());
}

/** Makes the root when there is none, as every process that opens a database does. */
function initialise(task: Task): void {
  const { storage, instance } = open(task);
  let made = false;
  try {
    if (instance.loadMany([ROOT_OID])[0] === undefined) {
      commit(instance, (txn) => instance.store(ROOT_OID, ZERO_TID, record(`made by ${process.pid}`), txn));
      made = true;
    }
  } catch (error) {
    if ((error as { code: string }).code !== 'CONFLICT') throw error;
  }
  instance.poll();
  say(JSON.stringify({ made, root: textOf(instance.load(ROOT_OID).data), pid: process.pid }));
  storage.close();
}

/** Takes the write lock and keeps it until it is killed. */
function lock(task: Task): void {
  const { instance } = open(task);
  const txn = new TransactionMetaData();
  instance.tpcBegin(txn);
  instance.tpcVote(txn);
  say('locked');
  setInterval(() => undefined, 1_000);
}

/** Packs, saying so at each step, again and again until it is killed: one pack may be over before the kill. */
function pack(task: Task): void {
  const { storage } = open(task);
  say('ready');
  for (;;) for (const { phase } of storage.pack()) say(phase);
}

if (process.argv[2]?.startsWith('{')) {
  const task = JSON.parse(process.argv[2]) as Task;
  ({ churn, transfer, hold, initialise, lock, count, pack })[task.do](task);
}
