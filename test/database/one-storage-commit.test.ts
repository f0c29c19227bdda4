/** Several who write to one storage in one transaction: connections of one manager, and undos. */
import {
  ConnectionStateError,
  oidOf,
  persistent,
  TransactionManager,
  UndoError,
  type Connection,
  type DB,
} from 'zodb';
import { Length } from 'zodb/btrees';
import { onEveryDatabase, user } from './databases';

@persistent('test.sharing.Thing')
class Thing {
  constructor(public label = '') {}
}

function pair(db: DB): { manager: TransactionManager; one: Connection; two: Connection } {
  const manager = new TransactionManager();
  const open = () => db.open({ transactionManager: manager }) as unknown as Connection;
  return { manager, one: open(), two: open() };
}

onEveryDatabase('a transaction', (open) => {
  test.each([false, true])(
    'commits what two connections of one manager changed (async: %s)',
    async (async) => {
      const db = open();
      const { manager, one, two } = pair(db);
      one.root.a = new Thing('a');
      one.root.b = new Thing('b');
      manager.commit();
      const before = db.lastTransaction();
      (one.root.a as Thing).label = 'a2';
      (two.root.b as Thing).label = 'b2';
      if (async) await manager.commitAsync();
      else manager.commit();
      expect([one, two].map(({ root }) => [(root.a as Thing).label, (root.b as Thing).label])).toEqual([
        ['a2', 'b2'],
        ['a2', 'b2'],
      ]);
      expect([...db.storage.iterate!((before + 1n) as typeof before)]).toHaveLength(1);
      const ben = user(db);
      expect((ben.root.b as Thing).label).toBe('b2');
    },
  );

  test('is refused as a whole when its two connections changed the same object', () => {
    const db = open();
    const { manager, one, two } = pair(db);
    one.root.a = new Thing('a');
    manager.commit();
    (one.root.a as Thing).label = 'one';
    (two.root.a as Thing).label = 'two';
    expect(() => manager.commit()).toThrow(ConnectionStateError);
    manager.abort();
    expect([one, two].map(({ root }) => (root.a as Thing).label)).toEqual(['a', 'a']);
    (two.root.a as Thing).label = 'again';
    manager.commit();
    expect((one.root.a as Thing).label).toBe('again');
  });

  test('tells each of its connections which of its objects were merged', () => {
    const db = open();
    const { manager, one, two } = pair(db);
    one.root.a = new Length();
    one.root.b = new Length();
    manager.commit();
    (one.root.a as Length).change(1);
    (two.root.b as Length).change(1);
    const other = user(db);
    (other.root.a as Length).change(10);
    (other.root.b as Length).change(10);
    other.commit();
    manager.commit();
    for (const { root } of [one, two]) {
      expect([(root.a as Length).value, (root.b as Length).value]).toEqual([11, 11]);
    }
  });

  test.each([false, true])('can undo and change other objects (async: %s)', async (async) => {
    const db = open();
    const ann = user(db);
    ann.root.thing = new Thing('one');
    ann.root.other = new Thing('one');
    ann.commit();
    const thing = ann.root.thing as Thing;
    thing.label = 'two';
    ann.commit();
    const [last] = db.undoLog(0, -1);
    db.undo(last!.id, ann.transactionManager.get());
    (ann.root.other as Thing).label = 'changed';
    if (async) await ann.transactionManager.commitAsync();
    else ann.commit();
    expect([thing.label, (ann.root.other as Thing).label]).toEqual(['one', 'changed']);
    const ben = user(db);
    expect([(ben.root.thing as Thing).label, (ben.root.other as Thing).label]).toEqual(['one', 'changed']);
  });

  test('can undo within db.transaction(), sync and async, beside changes of its own', async () => {
    const db = open();
    db.transaction((root) => {
      root.thing = new Thing('one');
    });
    for (const async of [false, true]) {
      db.transaction((root) => {
        (root.thing as Thing).label = 'two';
      });
      const { id } = db.undoLog(0, -1)[0]!;
      if (async) {
        await db.transaction(async (root) => {
          db.undo(id);
          await Promise.resolve();
          root.log = 'undone async';
        });
      } else {
        db.transaction((root) => {
          db.undo(id);
          root.log = 'undone';
        });
      }
      expect(db.transaction((root) => [(root.thing as Thing).label, root.log])).toEqual([
        'one',
        async ? 'undone async' : 'undone',
      ]);
      expect(db.openConnections).toEqual([]);
    }
  });

  test('can undo twice', () => {
    const db = open();
    const ann = user(db);
    ann.root.thing = new Thing('one');
    ann.root.other = new Thing('one');
    ann.commit();
    (ann.root.thing as Thing).label = 'two';
    ann.commit();
    (ann.root.other as Thing).label = 'two';
    ann.commit();
    (ann.root.other as Thing).label = 'three';
    ann.commit();
    for (const { id } of db.undoLog(0, -3)) db.undo(id, ann.transactionManager.get());
    ann.commit();
    expect([(ann.root.thing as Thing).label, (ann.root.other as Thing).label]).toEqual(['one', 'one']);
  });

  test('can not undo what it has changed itself', () => {
    const db = open();
    const ann = user(db);
    ann.root.thing = new Thing('one');
    ann.commit();
    const thing = ann.root.thing as Thing;
    thing.label = 'two';
    ann.commit();
    thing.label = 'three';
    db.undo(db.undoLog(0, -1)[0]!.id, ann.transactionManager.get());
    expect(() => ann.commit()).toThrow(UndoError);
    ann.abort();
    expect(thing.label).toBe('two');
    thing.label = 'three';
    ann.commit();
    expect((user(db).root.thing as Thing).label).toBe('three');
  });

  test('that undoes reports the objects that stand in the way, with their classes', () => {
    const db = open();
    const ann = user(db);
    ann.root.thing = new Thing('one');
    ann.commit();
    const thing = ann.root.thing as Thing;
    thing.label = 'two';
    ann.commit();
    const { id } = db.undoLog(0, -1)[0]!;
    thing.label = 'three';
    ann.commit();
    db.undo(id, ann.transactionManager.get());
    let error: unknown;
    try {
      ann.commit();
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(UndoError);
    expect((error as UndoError).oids).toEqual([oidOf(thing)]);
    expect((error as Error).message).toContain('test.sharing.Thing 0x');
    ann.abort();
    expect(db.openConnections).toEqual([ann]);
  });

  test('that undoes leaves nothing behind when another resource refuses', () => {
    const db = open();
    const ann = user(db);
    ann.root.x = 1;
    ann.commit();
    ann.root.x = 2;
    ann.commit();
    const last = db.lastTransaction();
    db.undo(db.undoLog(0, -1)[0]!.id, ann.transactionManager.get());
    ann.transactionManager.get().join({
      abort() {},
      tpcBegin() {},
      commit() {},
      tpcVote() {
        throw new Error('veto');
      },
      tpcFinish() {},
      tpcAbort() {},
      sortKey: () => '~veto',
    });
    expect(() => ann.commit()).toThrow('veto');
    ann.abort();
    expect(db.lastTransaction()).toBe(last);
    ann.root.x = 3;
    ann.commit();
    expect(ann.root.x).toBe(3);
  });
});
