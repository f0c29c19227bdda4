import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import Database from 'better-sqlite3';
import { ROOT_OID, ZERO_TID, type Oid } from '../../../src/ids';
import {
  runSteps,
  runStepsAsync,
  SqliteStorage,
  TransactionMetaData,
  type Steps,
} from '../../../src/storage';
import { Harness } from '../../../src/testing/harness';
import { record } from '../../../src/testing';
import { referencesOf } from '../../../src/testing/records';
import { soak, temporaryDirectory } from './temporary';
import { Worker } from './worker-process';

const directory = temporaryDirectory();
const file = (): string => join(directory(), 'test.sqlite');

/** A tree: the root refers to branches, each to its leaves; every other leaf is cut off again. */
function plant(h: Harness, objects: number): { kept: Oid[]; garbage: Oid[] } {
  const kept: Oid[] = [];
  const garbage: Oid[] = [];
  const branches: Oid[] = [];
  for (let start = 0; start < objects; start += 1_000) {
    const leaves = Array.from({ length: Math.min(1_000, objects - start) }, () => h.storage.newOid());
    const alive = leaves.filter((_, place) => place % 2 === 0);
    const branch = h.storage.newOid();
    const txn = new TransactionMetaData();
    h.storage.tpcBegin(txn);
    for (const oid of leaves) h.storage.store(oid, ZERO_TID, record(`leaf ${oid}`), txn, []);
    h.storage.store(branch, ZERO_TID, record('branch', alive), txn, alive);
    h.storage.tpcVote(txn);
    h.storage.tpcFinish(txn);
    branches.push(branch);
    kept.push(...alive);
    for (const oid of leaves) if (oid % 2 !== alive[0]! % 2) garbage.push(oid);
  }
  h.root(branches);
  return { kept, garbage };
}

/** Everything that can be reached from the root exists. */
function walk(h: Harness): number {
  const seen = new Set<Oid>([ROOT_OID]);
  for (const oid of seen) for (const target of referencesOf(h.storage.load(oid).data)) seen.add(target);
  return seen.size;
}

/** Notes the longest step, in milliseconds of the processor: what other programs of the machine take does not belong to it. */
function* noted<Result>(steps: Steps<Result>, note: (milliseconds: number) => void): Steps<Result> {
  for (;;) {
    const start = process.cpuUsage();
    const step = steps.next();
    const { user, system } = process.cpuUsage(start);
    note((user + system) / 1_000);
    if (step.done) return step.value;
    yield step.value;
  }
}

const OBJECTS = 20_000 + Math.round(980_000 * Math.min(soak, 1));

test(`a pack of ${OBJECTS} objects while others write and relink garbage loses nothing and does not block`, async () => {
  const h = new Harness(new SqliteStorage(file(), { durability: 'normal' }));
  const { kept, garbage } = plant(h, OBJECTS);
  const instance = h.storage.newInstance();
  instance.poll();
  const before = process.memoryUsage();
  const delays = monitorEventLoopDelay({ resolution: 5 });
  delays.enable();
  const linked: Oid[] = [];
  const fresh: Oid[] = [];
  let running = true;
  let longest = 0;
  const steps = noted(h.storage.pack!(), (milliseconds) => (longest = Math.max(longest, milliseconds)));
  const packing = runStepsAsync(steps).finally(() => (running = false));
  for (let round = 0; running; round++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    instance.poll();
    const again = garbage[(round * 7_919) % garbage.length]!;
    const created = instance.newOid();
    const root = instance.load(ROOT_OID);
    const txn = new TransactionMetaData();
    instance.tpcBegin(txn);
    const relinks = instance.missing([again]).length === 0;
    const references = [...referencesOf(root.data), created, ...(relinks ? [again] : [])];
    instance.store(created, ZERO_TID, record(`fresh ${round}`), txn, []);
    instance.store(ROOT_OID, root.serial, record('root', references), txn, references);
    instance.tpcVote(txn);
    instance.tpcFinish(txn);
    fresh.push(created);
    if (relinks) linked.push(again);
  }
  const report = await packing;
  delays.disable();
  expect(report.objects).toBeGreaterThan(OBJECTS / 2 - linked.length - 5);
  for (const oid of [...fresh, ...linked]) expect(h.storage.load(oid).data.length).toBeGreaterThan(0);
  expect(walk(h)).toBe(1 + kept.length + Math.ceil(OBJECTS / 1_000) + new Set([...fresh, ...linked]).size);
  expect(runSteps(h.storage.check!()).problems).toEqual([]);
  const grown = process.memoryUsage().rss - before.rss;
  expect(grown).toBeLessThan(200e6);
  const worst = delays.percentile(99.9) / 1e6;
  console.info(
    `pack of ${OBJECTS}: event loop delay p99.9 ${worst.toFixed(1)} ms, longest step ${longest.toFixed(1)} ms, memory +${(grown / 1e6).toFixed(0)} MB, ` +
      `${fresh.length} commits meanwhile, ${linked.length} objects linked again`,
  );
  expect(longest).toBeLessThan(500);
  // A machine that others use too may stand still at any moment.
  if (soak > 0) expect(worst).toBeLessThan(50);
  h.storage.close();
}, 600_000);

test('what a pack removed under it is refused at the vote, in the process that did not know', () => {
  const mine = new Harness(new SqliteStorage(file()));
  const other = new Harness(new SqliteStorage(file()));
  const { oid: garbage } = mine.create('garbage');
  mine.root([]);
  const instance = mine.storage.newInstance();
  instance.poll();
  instance.removals!();
  const root = instance.load(ROOT_OID);
  const txn = new TransactionMetaData();
  instance.tpcBegin(txn);
  instance.store(ROOT_OID, root.serial, record('root', [garbage]), txn, [garbage]);
  runSteps(other.storage.pack!());
  expect(() => instance.tpcVote(txn)).toThrow(
    expect.objectContaining({ code: 'READ_CONFLICT', oid: garbage }) as Error,
  );
  instance.tpcAbort(txn);
  expect(walk(mine)).toBe(1);
  mine.storage.close();
  other.storage.close();
});

test('a pack killed at any moment can be done again, and nothing that is reachable is lost', async () => {
  const rounds = Math.max(3, Math.round(100 * soak));
  const h = new Harness(new SqliteStorage(file(), { durability: 'normal' }));
  for (let round = 0; round < rounds; round++) {
    plant(h, 2_000);
    const reachable = walk(h);
    const packer = new Worker({ do: 'pack', path: file() });
    await packer.line(1);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 40));
    await packer.kill();
    expect(walk(h)).toBe(reachable);
    runSteps(h.storage.pack!());
    expect(walk(h)).toBe(reachable);
    expect(h.storage.objectCount()).toBe(reachable);
    expect(runSteps(h.storage.check!()).problems).toEqual([]);
  }
  h.storage.close();
}, 600_000);

test('the file shrinks with what is packed', () => {
  const h = new Harness(new SqliteStorage(file()));
  plant(h, 3_000);
  const before = h.storage.size();
  h.root([]);
  runSteps(h.storage.pack!());
  expect(h.storage.size()).toBeLessThan(before / 3);
  h.storage.close();
});

test('a packer of another machine is taken for dead when it is silent', () => {
  const h = new Harness(new SqliteStorage(file()));
  h.root([]);
  const db = new Database(file());
  db.prepare("INSERT INTO meta VALUES ('packing', ?)").run(`elsewhere 1 token ${Date.now()}`);
  expect(() => runSteps(h.storage.pack!())).toThrow(expect.objectContaining({ code: 'PACKING' }) as Error);
  db.prepare("UPDATE meta SET value = ? WHERE name = 'packing'").run(
    `elsewhere 1 token ${Date.now() - 61_000}`,
  );
  runSteps(h.storage.pack!());
  db.close();
  h.storage.close();
});

describe('garbage that is gone in part', () => {
  const CHILDREN = 20_000;

  /** A parent that nothing refers to, made after the many children that it alone refers to. */
  function abandon(h: Harness): { parent: Oid; children: Oid[] } {
    h.root([]);
    const children = Array.from({ length: CHILDREN }, () => h.storage.newOid());
    h.transact((txn) => {
      for (const oid of children) h.storage.store(oid, ZERO_TID, record(`child ${oid}`), txn, []);
    });
    const { oid: parent } = h.create('parent', children);
    return { parent, children };
  }

  /** Packs until some children are gone, and not all. */
  function packInPart(h: Harness): Steps<unknown> {
    const before = h.storage.objectCount();
    const steps = h.storage.pack!();
    do steps.next();
    while (h.storage.objectCount() === before);
    expect(h.storage.objectCount()).toBeGreaterThan(before - CHILDREN);
    return steps;
  }

  function refusesParent(h: Harness, parent: Oid): void {
    const instance = h.storage.newInstance();
    instance.poll();
    const { serial } = instance.load(parent);
    const txn = new TransactionMetaData();
    instance.tpcBegin(txn);
    instance.removals!();
    expect(instance.missing([parent, ROOT_OID])).toEqual([parent]);
    instance.store(parent, serial, record('parent'), txn, []);
    expect(() => instance.tpcVote(txn)).toThrow(
      expect.objectContaining({ code: 'READ_CONFLICT', retryable: true }),
    );
    instance.tpcAbort(txn);
    instance.release();
  }

  test('can not be referred to or changed, by this program or another', () => {
    const path = file();
    const h = new Harness(new SqliteStorage(path));
    const other = new Harness(new SqliteStorage(path));
    const { parent } = abandon(h);
    // Asked before the pack has decided; the vote comes after.
    const early = other.storage.newInstance();
    early.poll();
    const txn = new TransactionMetaData();
    early.tpcBegin(txn);
    early.removals!();
    expect(early.missing([parent])).toEqual([]);
    const { serial } = early.load(ROOT_OID);
    early.store(ROOT_OID, serial, record('root', [parent]), txn, [parent]);
    const steps = packInPart(h);
    expect(() => early.tpcVote(txn)).toThrow(expect.objectContaining({ code: 'READ_CONFLICT' }));
    early.tpcAbort(txn);
    refusesParent(other, parent);
    refusesParent(h, parent);
    runSteps(steps);
    expect(() => h.storage.load(parent)).toThrow(expect.objectContaining({ code: 'POS_KEY' }));
    expect([...h.storage.currentRecords!()].map(({ oid }) => oid)).toEqual([ROOT_OID]);
    expect(h.storage.objectCount()).toBe(1);
    const { oid } = other.create('new');
    other.root([oid]);
    expect(walk(h)).toBe(2);
    other.storage.close();
    h.storage.close();
  });

  test('stays refused when the pack is ended or killed, and goes with the next', () => {
    const path = file();
    const h = new Harness(new SqliteStorage(path));
    const { parent, children } = abandon(h);
    packInPart(h).return(undefined);
    refusesParent(h, parent);
    h.storage.close();
    const again = new Harness(new SqliteStorage(path));
    refusesParent(again, parent);
    const left = again.storage.objectCount() - 1;
    expect(left).toBeLessThanOrEqual(children.length);
    expect(runSteps(again.storage.pack!({ gc: false })).objects).toBe(left);
    expect(again.storage.objectCount()).toBe(1);
    expect(runSteps(again.storage.check!()).problems).toEqual([]);
    again.storage.close();
  });

  test('what is linked again before the pack decides stays whole', () => {
    const path = file();
    const h = new Harness(new SqliteStorage(path));
    const other = new Harness(new SqliteStorage(path));
    const { parent } = abandon(h);
    const steps = h.storage.pack!();
    // Listed as garbage, all of it, but not doomed yet.
    for (let step = steps.next(); !step.done; step = steps.next()) {
      if (step.value.phase === 'objects' && step.value.done === step.value.total) break;
    }
    other.root([parent]);
    runSteps(steps);
    expect(walk(h)).toBe(2 + CHILDREN);
    other.storage.close();
    h.storage.close();
  });
});
