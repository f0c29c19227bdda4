/** Packs beside programs that go on, and packs that are killed. */
import { DB, PersistentMapping, transaction } from '../../../src';
import { ROOT_OID, type Oid, type Tid } from '../../../src/ids';
import { openStorage, runSteps, TransactionMetaData, type Storage } from '../../../src/storage';
import { record, referencesOf, textOf } from '../../../src/testing';
import { Harness } from '../../../src/testing/harness';
import { PostgresServer } from './server';

/** More than a page of a sweep. */
const MANY = 1_200;

if (!PostgresServer.isHere) test('PostgreSQL is not here', () => expect(PostgresServer.isHere).toBe(false));
else {
  const server = new PostgresServer();
  const open: { close(): void }[] = [];
  afterEach(() => {
    for (const one of open.splice(0)) one.close();
  });
  afterAll(() => server.remove());

  const opened = (url: string): Storage => {
    const storage = openStorage(url);
    open.push(storage);
    return storage;
  };

  /** Everything that can be reached; fails where a reference leads nowhere. */
  function reached({ storage }: Harness): Set<Oid> {
    const found = new Set<Oid>([ROOT_OID]);
    for (const oid of found) for (const next of referencesOf(storage.load(oid).data)) found.add(next);
    return found;
  }

  /** Garbage: the last of many refers to the first, so that they are not removed in one go. */
  function plantGarbage(h: Harness): { first: Oid; last: Oid } {
    const oids = Array.from({ length: MANY }, () => h.storage.newOid());
    const [first, last] = [oids[0]!, oids.at(-1)!];
    h.commit(oids.map((oid) => ({ oid, text: 'garbage', references: oid === last ? [first] : [] })));
    h.root([]);
    return { first, last };
  }

  function relink(storage: Storage, target: Oid, between: () => void = () => undefined): boolean {
    const instance = storage.newInstance();
    instance.poll();
    instance.removals?.();
    const root = instance.load(ROOT_OID);
    const txn = new TransactionMetaData();
    instance.tpcBegin(txn);
    try {
      instance.store(ROOT_OID, root.serial, record('root', [target]), txn, [target]);
      if (instance.missing([target]).length > 0) return false;
      between();
      instance.tpcVote(txn);
      instance.tpcFinish(txn);
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: 'READ_CONFLICT', retryable: true });
      return false;
    } finally {
      instance.tpcAbort(txn);
      instance.release();
    }
  }

  it('garbage of which a part is gone already is not referred to again', () => {
    const url = server.newUrl();
    const [h, other] = [new Harness(opened(url)), new Harness(opened(url))];
    const { first, last } = plantGarbage(h);
    const pack = h.storage.pack!();
    const outcomes = new Set<boolean>();
    const exists = (oid: Oid): boolean => other.storage.newInstance().missing([oid]).length === 0;
    while (!pack.next().done) {
      const firstIsGone = [...other.storage.currentRecords!(first)][0]?.oid !== first;
      if (!firstIsGone) continue;
      outcomes.add(relink(other.storage, last));
      expect(exists(last)).toBe(false);
    }
    expect([...outcomes]).toEqual([false]);
    expect(reached(other).size).toBe(1);
    expect(h.storage.objectCount()).toBe(1);
  });

  it('garbage that was read after it was doomed is not referred to again, nor when it is gone', () => {
    const url = server.newUrl();
    const [h, other] = [new Harness(opened(url)), opened(url)];
    const { last } = plantGarbage(h);
    const instance = other.newInstance();
    const relinkLoaded = (): void => {
      const root = instance.load(ROOT_OID);
      const txn = new TransactionMetaData();
      instance.tpcBegin(txn);
      instance.store(ROOT_OID, root.serial, record('root', [last]), txn, [last]);
      try {
        expect(() => instance.tpcVote(txn)).toThrow(expect.objectContaining({ code: 'READ_CONFLICT' }));
      } finally {
        instance.tpcAbort(txn);
      }
    };
    const pack = h.storage.pack!();
    for (let step = pack.next(); !step.done && step.value.phase !== 'sweep';) step = pack.next();
    instance.poll();
    const removals = instance.removals!();
    expect(textOf(instance.load(last).data)).toBe('garbage');
    // It is loaded, and nothing was removed since: nobody asks whether it exists.
    relinkLoaded();
    runSteps(pack);
    instance.poll();
    expect(instance.removals!()).not.toBe(removals);
  });

  it('garbage that is referred to again while a pack looks for it stays, with all it leads to', () => {
    const url = server.newUrl();
    const [h, other] = [new Harness(opened(url)), new Harness(opened(url))];
    const { first, last } = plantGarbage(h);
    const pack = h.storage.pack!();
    expect(pack.next().done).toBe(false);
    expect(relink(other.storage, last)).toBe(true);
    expect(runSteps(pack).objects).toBe(MANY - 2);
    expect([...reached(other)]).toEqual([ROOT_OID, last, first]);
    expect(other.storage.objectCount()).toBe(3);
  });

  it('what a pack ended early has doomed is removed by the next, and not referred to in between', () => {
    const url = server.newUrl();
    const [h, other] = [new Harness(opened(url)), new Harness(opened(url))];
    const { last } = plantGarbage(h);
    const before = h.storage.lastTransaction();
    const pack = h.storage.pack!();
    for (let step = pack.next(); step.value && 'phase' in step.value && step.value.phase !== 'sweep';) {
      step = pack.next();
    }
    pack.return(undefined as never);
    expect(relink(other.storage, last)).toBe(false);
    h.root([]);
    expect(runSteps(other.storage.pack!()).objects).toBeGreaterThan(0);
    expect(other.storage.objectCount()).toBe(1);
    expect([...other.storage.iterate!(before)].length).toBeGreaterThan(0);
    expect(server.sql(`SELECT count(*) FROM ${/schema=(\w+)/.exec(url)![1]!}.doomed`)).toBe('0');
  });

  it('an object that was loaded before a pack of another program removed it is not referred to again', () => {
    const url = server.newUrl();
    const [one, other] = [new DB(url), new DB(url)];
    open.push(one, other);
    const { root } = one.open();
    const child = new PersistentMapping([['name', 'child']]);
    root.child = child;
    transaction.commit();
    delete root.child;
    transaction.commit();
    expect(child.get('name')).toBe('child');
    other.pack();
    transaction.begin();
    root.again = child;
    expect(() => transaction.commit()).toThrow(expect.objectContaining({ code: 'DANGLING_REFERENCE' }));
    transaction.abort();
    expect(root.again).toBeUndefined();
  });

  it('a pack between the check of references and the vote: the vote refuses what is gone', () => {
    const url = server.newUrl();
    const [mine, other] = [new Harness(opened(url)), new Harness(opened(url))];
    const { oid } = mine.create('garbage');
    mine.root([]);
    expect(relink(mine.storage, oid, () => void runSteps(other.storage.pack!()))).toBe(false);
    expect(reached(mine).size).toBe(1);
  });

  it('what a pack has removed in part, and did not say so, is not undone', () => {
    const url = server.newUrl();
    const [h, other] = [new Harness(opened(url)), new Harness(opened(url))];
    h.root([]);
    h.change(ROOT_OID, 'changed');
    const tid = h.storage.lastTransaction();
    const pack = h.storage.pack!();
    for (let step = pack.next(); !step.done && step.value.phase !== 'forget'; step = pack.next()) {
      if (step.value.phase !== 'sweep') continue;
      const txn = new TransactionMetaData();
      other.storage.tpcBegin(txn);
      expect(() => other.storage.undo!(tid, txn)).toThrow(expect.objectContaining({ code: 'UNDO' }));
      other.storage.tpcAbort(txn);
    }
    pack.return(undefined as never);
    expect(other.storage.undoLog!()).toEqual([]);
    expect(other.storage.load(ROOT_OID).serial).toBe(tid as Tid);
  });
}
