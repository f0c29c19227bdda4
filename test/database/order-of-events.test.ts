/**
 * What a connection asks of its storage and when, as call lists (`ZODB/src/ZODB/tests/synchronizers.txt`,
 * `testConnection.py`): `1.store 5` is a call to the storage instance of the first connection.
 */
import { DB, oidOf, persistent, TransactionManager, type Connection } from 'zodb';
import { MemoryStorage } from '../../src/storage/index';
import { Recorder, SynchronizerRecorder } from '../transaction/recorder';
import { recordCalls } from './recording';

@persistent('test.events.Thing')
class Thing {
  next: Thing | null = null;

  constructor(public label = '') {}
}

function setUp() {
  const recorded = recordCalls(new MemoryStorage());
  const db = new DB(recorded.storage) as unknown as DB;
  const manager = new TransactionManager();
  const conn = db.open({ transactionManager: manager }) as unknown as Connection;
  conn.root.thing = new Thing('one');
  manager.commit();
  recorded.taken();
  return { ...recorded, db, manager, conn, thing: conn.root.thing as Thing };
}

test('open polls once; a load asks once; what is loaded is not asked for again', () => {
  const { db, taken } = setUp();
  const conn = db.open({ transactionManager: new TransactionManager() });
  const opened = taken();
  const { root } = conn as unknown as Connection<{ thing: Thing }>;
  void (root.thing.label + root.thing.label);
  expect([opened, taken()]).toEqual([['2.poll'], ['2.load 0', '2.load 1']]);
  db.close();
});

test('a commit: begin, stores, vote, finish, next snapshot', () => {
  const { db, manager, conn, thing, taken } = setUp();
  thing.next = new Thing('two');
  thing.label = 'changed';
  expect(taken()).toEqual([]);
  manager.commit();
  expect(taken()).toEqual(['1.tpcBegin', '1.store 1', '1.store 2', '1.tpcVote', '1.tpcFinish', '1.poll']);
  expect(oidOf(thing.next)).toBe(2);
  expect(conn.isOpen).toBe(true);
  db.close();
});

test('commitAsync(): the same through the asynchronous calls', async () => {
  const { db, manager, thing, taken } = setUp();
  thing.label = 'changed';
  await manager.commitAsync();
  expect(taken()).toEqual(['1.tpcBeginAsync', '1.store 1', '1.tpcVoteAsync', '1.tpcFinishAsync', '1.poll']);
  db.close();
});

test('a transaction without changes stores nothing and takes no lock', () => {
  const { db, manager, thing, taken } = setUp();
  void thing.label;
  manager.commit();
  expect(taken()).toEqual(['1.poll']);
  db.close();
});

test('an abort asks the storage for the next snapshot only, and reads changed objects again when they are held', () => {
  const { db, manager, thing, taken } = setUp();
  thing.label = 'lost';
  manager.abort();
  expect(thing.label).toBe('one');
  expect(taken()).toEqual(['1.poll', '1.load 1']);
  db.close();
});

test('readCurrent is checked after the stores; not for what is stored, not without stores', () => {
  const { db, manager, conn, thing, taken } = setUp();
  conn.readCurrent(thing);
  manager.commit();
  expect(taken()).toEqual(['1.poll']);
  conn.readCurrent(thing);
  conn.root.x = 1;
  manager.commit();
  expect(taken()).toEqual([
    '1.tpcBegin',
    '1.store 0',
    '1.checkCurrentSerial 1',
    '1.tpcVote',
    '1.tpcFinish',
    '1.poll',
  ]);
  conn.readCurrent(thing);
  thing.label = 'written, too';
  manager.commit();
  expect(taken()).toEqual(['1.tpcBegin', '1.store 1', '1.tpcVote', '1.tpcFinish', '1.poll']);
  db.close();
});

test('readCurrent outlives a savepoint, and goes with the rollback of an older one', () => {
  const { db, manager, conn, thing, taken } = setUp();
  conn.root.x = 1;
  const savepoint = manager.savepoint();
  conn.readCurrent(thing);
  manager.savepoint();
  manager.commit();
  expect(taken().filter((call) => call.includes('check'))).toEqual(['1.checkCurrentSerial 1']);
  conn.root.x = 2;
  const second = manager.savepoint();
  conn.readCurrent(thing);
  second.rollback();
  manager.commit();
  expect(taken().filter((call) => call.includes('check'))).toEqual([]);
  expect(savepoint.valid).toBe(false);
  db.close();
});

test('savepoints and rollbacks ask nothing of the storage; the commit stores each object once, by oid', () => {
  const { db, manager, conn, thing, taken } = setUp();
  thing.label = 'a';
  manager.savepoint();
  conn.root.x = 1;
  thing.label = 'b';
  const savepoint = manager.savepoint();
  thing.label = 'c';
  savepoint.rollback();
  expect(taken()).toEqual([]);
  expect(thing.label).toBe('b');
  manager.commit();
  expect(taken()).toEqual(['1.tpcBegin', '1.store 0', '1.store 1', '1.tpcVote', '1.tpcFinish', '1.poll']);
  db.close();
});

test('a conflict: the storage refuses the store, the commit is taken back, the abort moves to the next snapshot', () => {
  const { db, manager, thing, taken } = setUp();
  const other = new TransactionManager();
  const second = db.open({ transactionManager: other }) as unknown as Connection;
  (second.root.thing as Thing).label = 'theirs';
  other.commit();
  taken();
  thing.label = 'mine';
  expect(() => manager.commit()).toThrow('test.events.Thing');
  manager.abort();
  expect(taken()).toEqual([
    '1.tpcBegin',
    '1.store 1',
    // For the names of the fields that differ.
    '1.loadSerial 1',
    '1.loadSerial 1',
    '1.tpcAbort',
    '1.poll',
    '1.loadMany 1',
    // A commit that failed ends, and so does the abort.
    '1.poll',
  ]);
  expect(thing.label).toBe('theirs');
  db.close();
});

test.each(['tpcBegin', 'store', 'tpcVote'])('a storage that fails in %s gets tpcAbort, once', (step) => {
  const { db, manager, thing, taken, faults } = setUp();
  faults.set(step, new Error(`no ${step}`));
  thing.label = 'lost';
  expect(() => manager.commit()).toThrow(`no ${step}`);
  faults.clear();
  manager.abort();
  const steps = ['1.tpcBegin', '1.store 1', '1.tpcVote'];
  const reached = steps.slice(0, steps.findIndex((call) => call.startsWith(`1.${step}`)) + 1);
  expect(taken()).toEqual([...reached, '1.tpcAbort', '1.poll', '1.poll']);
  thing.label = 'kept';
  manager.commit();
  expect(thing.label).toBe('kept');
  db.close();
});

test('another resource that fails to vote: the storage is told, and so it is when the other one voted first', () => {
  for (const [sortKey, calls] of [
    ['~after', ['1.tpcBegin', '1.store 1', '1.tpcVote', '1.tpcAbort', '1.poll', '1.poll']],
    [' before', ['1.tpcBegin', '1.store 1', '1.tpcAbort', '1.poll', '1.poll']],
  ] as const) {
    const { db, manager, thing, taken } = setUp();
    thing.label = 'lost';
    manager.get().join(new Recorder('other', [], { fails: ['tpcVote'], sortKey }));
    expect(() => manager.commit()).toThrow('other.tpcVote');
    manager.abort();
    expect(taken()).toEqual(calls);
    expect(thing.label).toBe('one');
    db.close();
  }
});

test('synchronizers, resource and storage in one list', () => {
  const { db, manager, thing, log } = setUp();
  const synchronizer = new SynchronizerRecorder('synchronizer', log);
  manager.registerSynch(synchronizer);
  manager.begin();
  thing.label = 'two';
  manager.get().join(new Recorder('~other', log));
  manager.savepoint({ optimistic: true });
  manager.commit();
  expect(log).toEqual([
    '1.poll',
    'synchronizer.newTransaction',
    'synchronizer.beforeCompletion',
    '1.tpcBegin',
    '~other.tpcBegin',
    '1.store 1',
    '~other.commit',
    '1.tpcVote',
    '~other.tpcVote',
    '1.tpcFinish',
    '~other.tpcFinish',
    '1.poll',
    'synchronizer.afterCompletion Committed',
  ]);
  db.close();
});

test('an explicit transaction manager asks for a snapshot at begin only', () => {
  const { db, taken } = setUp();
  const manager = new TransactionManager({ explicit: true });
  const conn = db.open({ transactionManager: manager }) as unknown as Connection;
  expect(taken()).toEqual([]);
  manager.begin();
  expect(taken()).toEqual(['2.poll']);
  conn.root.x = 1;
  manager.commit();
  expect(taken()).toEqual(['2.load 0', '2.tpcBegin', '2.store 0', '2.tpcVote', '2.tpcFinish']);
  manager.begin();
  expect(taken()).toEqual(['2.poll']);
  manager.abort();
  conn.close();
  db.close();
});

test('closing unregisters from the transaction manager: nothing is asked afterwards', () => {
  const { db, manager, conn, taken } = setUp();
  conn.close();
  manager.begin();
  manager.commit();
  expect(taken()).toEqual([]);
  expect(manager.registeredSynchs()).toBe(false);
  db.close();
});

test('sync() of implicit and explicit managers: aborts, and takes the newest snapshot', () => {
  const { db, manager, conn, thing, taken } = setUp();
  thing.label = 'lost';
  conn.sync();
  expect(thing.label).toBe('one');
  expect(manager.current).not.toBeNull();
  expect(taken().filter((call) => call === '1.poll').length).toBeGreaterThan(0);
  const explicit = new TransactionManager({ explicit: true });
  const second = db.open({ transactionManager: explicit }) as unknown as Connection;
  second.sync();
  expect(explicit.current).not.toBeNull();
  second.root.x = 1;
  second.sync();
  expect(second.root.x).toBeUndefined();
  explicit.abort();
  db.close();
});

test('two connections of one transaction manager write in one commit of the storage', () => {
  const { db, manager, conn, thing, taken } = setUp();
  const second = db.open({ transactionManager: manager }) as unknown as Connection;
  void second.root.x;
  taken();
  thing.label = 'by the first';
  second.root.y = 'by the second';
  manager.commit();
  expect(taken()).toEqual([
    '1.tpcBegin',
    '1.store 1',
    '1.store 0',
    '1.tpcVote',
    '1.tpcFinish',
    '1.poll',
    '1.loadMany 0',
    '2.poll',
    '2.loadMany 0',
  ]);
  expect([conn.root.y, (second.root.thing as Thing).label]).toEqual(['by the second', 'by the first']);
  db.close();
});
