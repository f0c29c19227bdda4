/** What spans connections (conformance cases of `ZODB/src/ZODB/tests/testDB.py`, `testhistoricalconnections.txt`). */
import { inspect } from 'node:util';
import {
  connection,
  ClosedError,
  ConflictError,
  DanglingReferenceError,
  DB,
  ForeignContextError,
  InvalidArgumentError,
  oidOf,
  persistent,
  ReadOnlyHistoryError,
  TransactionManager,
  transaction,
  UndoError,
  type Tid,
} from 'zodb';
import { Length, OOBTree } from 'zodb/btrees';
import { onEveryDatabase, user } from './databases';

@persistent('test.db.Item')
class Item {
  price = 0;
  title = '';
  next: Item | null = null;

  constructor(title = '', price = 0) {
    this.title = title;
    this.price = price;
  }
}

function failure(work: () => void): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('This should have failed.');
}

onEveryDatabase('database', (open) => {
  afterEach(() => transaction.abort());

  test('the root object is made once, with the standard description', () => {
    const db = open();
    const [entry] = db.undoLog(0, -5);
    expect(entry!.description).toBe('initial database creation');
    expect(db.objectCount()).toBe(1);
  });

  test('the keys of the root are made once', () => {
    let made = 0;
    const root = {
      items: () => {
        made++;
        return new OOBTree<string, Item>();
      },
    };
    const db = open({ root });
    expect(user(db).root.items).toBeInstanceOf(OOBTree);
    const last = db.lastTransaction();
    if (db.storage.supports.persistent) {
      db.close();
      const again = open({ root });
      expect(again.lastTransaction()).toBe(last);
    }
    expect(made).toBe(1);
  });

  test('transaction() commits, and rolls back when the function throws', () => {
    const db = open();
    expect(
      db.transaction((root) => {
        root.x = 1;
        return 'result';
      }),
    ).toBe('result');
    expect(() =>
      db.transaction((root) => {
        root.x = 2;
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(db.transaction((root) => root.x)).toBe(1);
    expect(db.openConnections).toEqual([]);
  });

  test('transaction() may return the root, which is of no use any more', async () => {
    const db = open();
    const root = db.transaction((inside) => inside);
    expect(() => root.x).toThrow(ClosedError);
    expect(await db.transaction(async (inside) => inside)).toBe(root);
  });

  test('transaction() is named after its function', () => {
    const db = open();
    db.transaction(function restock(root) {
      root.x = 1;
    });
    db.transaction(
      (root) => {
        root.x = 2;
      },
      { note: 'second' },
    );
    expect(db.undoLog(0, -2).map(({ description }) => description)).toEqual(['second', 'restock']);
  });

  test('transaction() runs again after a conflict, and gives up after its attempts', () => {
    const db = open();
    db.transaction((root) => {
      root.item = new Item();
    });
    const other = user(db);
    let runs = 0;
    db.transaction((root) => {
      const item = root.item as Item;
      item.price += 1;
      if (runs++ === 0) {
        (other.root.item as Item).price += 10;
        other.commit();
      }
    });
    expect(runs).toBe(2);
    expect(db.transaction((root) => (root.item as Item).price)).toBe(11);
    runs = 0;
    expect(() =>
      db.transaction(
        (root) => {
          runs++;
          (root.item as Item).price += 1;
          other.sync();
          (other.root.item as Item).price += 10;
          other.commit();
        },
        { attempts: 4, backoff: false },
      ),
    ).toThrow(ConflictError);
    expect(runs).toBe(4);
    expect(db.openConnections).toEqual([other]);
  });

  test('transaction() within another one is a savepoint of it', () => {
    const db = open();
    db.transaction((root) => {
      root.outer = 1;
      expect(() =>
        db.transaction((inner) => {
          inner.outer = 2;
          inner.inner = 1;
          throw new Error('only the inner one');
        }),
      ).toThrow('only the inner one');
      db.transaction((inner) => {
        inner.second = root.outer;
      });
    });
    expect(db.transaction((root) => ({ ...root }))).toEqual({ outer: 1, second: 1 });
  });

  test('asynchronous transactions have connections of their own and count up exactly', async () => {
    const db = open({ poolSize: 3 });
    db.transaction((root) => {
      root.length = new Length();
    });
    let most = 0;
    await Promise.all(
      Array.from({ length: 30 }, () =>
        db.transaction(async (root) => {
          most = Math.max(most, db.openConnections.length);
          await Promise.resolve();
          (root.length as Length).change(1);
        }),
      ),
    );
    expect(db.transaction((root) => (root.length as Length).value)).toBe(30);
    expect(most).toBeLessThanOrEqual(3);
    expect(db.openConnections).toEqual([]);
  });

  test('an object that escaped from one transaction and is written in another is refused', async () => {
    const db = open();
    db.transaction((root) => {
      root.item = new Item('a', 1);
    });
    let escaped!: Item;
    let finish!: () => void;
    const lending = db.transaction(async (root) => {
      escaped = root.item as Item;
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
    });
    await db.transaction(async () => {
      expect(() => {
        escaped.price = 2;
      }).toThrow(ForeignContextError);
    });
    expect(() => {
      escaped.price = 3;
    }).toThrow(ForeignContextError);
    finish();
    await lending;
    expect(() => {
      escaped.price = 4;
    }).toThrow(ClosedError);
    expect(db.transaction((root) => (root.item as Item).price)).toBe(1);
  });

  test('history lists revisions, newest first, with who changed which fields', () => {
    const db = open();
    const ann = user(db);
    ann.root.item = new Item('lamp', 1);
    ann.transactionManager.get().note('made');
    ann.commit();
    const item = ann.root.item as Item;
    item.price = 2;
    ann.transactionManager.get().setUser('ann');
    ann.transactionManager.get().note('dearer');
    ann.transactionManager.get().setExtendedInfo('ticket', 7);
    ann.commit();
    const [second, first] = db.history(item);
    expect(second).toMatchObject({ description: 'dearer', changed: ['price'], extension: { ticket: 7 } });
    expect(second!.user).toBe('/ ann');
    expect(first).toMatchObject({ description: 'made', changed: ['price', 'title', 'next'] });
    expect(db.history(item, { size: 1 })).toHaveLength(1);
    expect(db.oldState(item, first!.tid)).toEqual({ price: 1, title: 'lamp', next: null });
    expect(() => db.history(new Item())).toThrow(InvalidArgumentError);
  });

  test('connections into the past show what was, and refuse changes', () => {
    const db = open();
    const ann = user(db);
    ann.root.item = new Item('lamp', 1);
    ann.commit();
    const then = db.lastTransaction();
    (ann.root.item as Item).price = 2;
    ann.commit();
    const at = db.open({ at: then, transactionManager: new TransactionManager() });
    const before = db.open({ before: then, transactionManager: new TransactionManager() });
    expect((at.root as Record<string, unknown>).item).toMatchObject({ price: 1 });
    expect((before.root as Record<string, unknown>).item).toBeUndefined();
    expect(at.isReadOnly).toBe(true);
    expect(() => {
      ((at.root as Record<string, unknown>).item as Item).price = 5;
    }).toThrow(ReadOnlyHistoryError);
    at.close();
    const again = db.open({ at: then, transactionManager: new TransactionManager() });
    expect(again).toBe(at);
    again.close();
    before.close();
  });

  test('a wrong point in time is refused', () => {
    const db = open();
    const now = new Date();
    expect(() => db.open({ at: now, before: now })).toThrow('either at or before');
    expect(() => db.open({ at: new Date(Date.now() + 60_000) })).toThrow('future');
    expect(() => db.open({ at: new Date('not a date') })).toThrow(InvalidArgumentError);
    expect(() => db.open({ before: -1n as Tid })).toThrow(InvalidArgumentError);
    expect(() => db.open({ before: 5 as never })).toThrow(InvalidArgumentError);
    expect(() => db.open({ at: new Date('2001-01-01') })).toThrow('has nothing from before');
    expect(() => user(db).prefetch(5.5 as never)).toThrow('not 5.5');
  });

  test('undo takes effect at the commit, in every connection, and can be undone', () => {
    const db = open();
    const [ann, ben] = [user(db), user(db)];
    ann.root.colour = 'red';
    ann.commit();
    ann.root.colour = 'blue';
    ann.commit();
    const [repaint] = db.undoLog(0, -1);
    db.undo(repaint!.id, ann.transactionManager.get());
    expect(ann.root.colour).toBe('blue');
    ann.transactionManager.get().note('no blue');
    ann.commit();
    ben.sync();
    expect([ann.root.colour, ben.root.colour]).toEqual(['red', 'red']);
    db.undo(db.undoLog(0, -1)[0]!.id, ann.transactionManager.get());
    ann.commit();
    expect(ann.root.colour).toBe('blue');
    db.undo(repaint!.id, ann.transactionManager.get());
    ann.abort();
    ann.sync();
    expect(ann.root.colour).toBe('blue');
  });

  test('undo of what later transactions changed is an error that names the objects', () => {
    const db = open();
    const ann = user(db);
    ann.root.item = new Item('lamp', 1);
    ann.commit();
    const item = ann.root.item as Item;
    item.price = 2;
    ann.commit();
    const { id } = db.undoLog(0, -1)[0]!;
    item.price = 3;
    ann.commit();
    db.undo(id, ann.transactionManager.get());
    const error = failure(() => ann.commit());
    expect(error).toBeInstanceOf(UndoError);
    expect((error as UndoError).oids).toEqual([oidOf(item)]);
    ann.abort();
    expect(item.price).toBe(3);
    expect(() => db.undo('nonsense' as never, ann.transactionManager.get())).toThrow(InvalidArgumentError);
  });

  test('undoMultiple undoes several together', () => {
    const db = open();
    const ann = user(db);
    ann.root.item = new Item('lamp', 1);
    ann.commit();
    for (const price of [2, 3, 4]) {
      (ann.root.item as Item).price = price;
      ann.commit();
    }
    const ids = db.undoLog(0, -3).map(({ id }) => id);
    db.undoMultiple(ids, ann.transactionManager.get());
    ann.commit();
    expect((ann.root.item as Item).price).toBe(1);
  });

  test('undoInfo selects entries by their fields', () => {
    const db = open();
    for (const note of ['one', 'two', 'one']) {
      db.transaction(
        (root) => {
          root.x = note;
        },
        { note },
      );
    }
    expect(db.undoInfo(0, -10, { description: 'one' })).toHaveLength(2);
  });

  test('pack removes old revisions and unreachable objects, and keeps the rest', () => {
    const db = open();
    const ann = user(db);
    ann.root.kept = new Item('kept', 1);
    ann.root.lost = new Item('lost', 1);
    ann.commit();
    (ann.root.kept as Item).price = 2;
    delete ann.root.lost;
    ann.commit();
    const objects = db.objectCount();
    db.pack();
    expect(db.objectCount()).toBe(objects - 1);
    ann.sync();
    expect(db.history(ann.root.kept as Item)).toHaveLength(1);
    expect((ann.root.kept as Item).price).toBe(2);
  });

  test('an object that a pack removed can not be linked again: the commit names the path', () => {
    const db = open();
    const ann = user(db);
    ann.root.holder = new Item('holder');
    ann.root.lost = new Item('lost');
    ann.commit();
    const lost = ann.root.lost as Item;
    delete ann.root.lost;
    ann.commit();
    db.pack();
    (ann.root.holder as Item).next = lost;
    const error = failure(() => ann.commit());
    expect(error).toBeInstanceOf(DanglingReferenceError);
    expect((error as Error).message).toContain('test.db.Item.next');
    ann.abort();
    expect((ann.root.holder as Item).next).toBeNull();
  });

  test('changes() yields every committed transaction in order', async () => {
    const db = open();
    const changes = db.changes({ interval: 5 });
    const first = changes.next();
    db.transaction(
      (root) => {
        root.a = new Item('a');
      },
      { note: 'first' },
    );
    const { value } = await first;
    expect(value).toMatchObject({ description: 'first' });
    expect(value!.oids).toContain(0);
    for (const note of ['second', 'third']) db.transaction((root) => (root.b = note), { note });
    expect([(await changes.next()).value!.description, (await changes.next()).value!.description]).toEqual([
      'second',
      'third',
    ]);
    await changes.return();
  });

  test('cacheDetail counts loaded objects by class', () => {
    const db = open();
    const ann = user(db);
    for (let i = 0; i < 3; i++) ann.root[`i${i}`] = new Item();
    ann.commit();
    const ben = user(db);
    for (let i = 0; i < 3; i++) void (ben.root[`i${i}`] as Item).price;
    const detail = Object.fromEntries(db.cacheDetail());
    expect(detail['test.db.Item']).toBeGreaterThanOrEqual(3);
    db.cacheMinimize();
    ben.sync();
    expect(db.cacheDetailSize()).toHaveLength(2);
  });

  test('resetCaches() lets connections begin with an empty cache', () => {
    const db = open();
    const ann = user(db);
    ann.root.item = new Item();
    ann.commit();
    ann.close();
    db.resetCaches();
    const again = user(db);
    expect(again.cacheStatistics.loaded).toBe(0);
    expect((again.root.item as Item).price).toBe(0);
  });

  test('sizes can be changed while the database is open', () => {
    const db = open();
    db.cacheSize = 5;
    db.cacheSizeBytes = 1000;
    db.poolSize = 2;
    expect([db.cacheSize, db.cacheSizeBytes, db.poolSize]).toEqual([5, 1000, 2]);
    const ann = user(db);
    for (let i = 0; i < 50; i++) ann.root[`i${i}`] = new Item();
    ann.commit();
    ann.cacheGC();
    expect(ann.cacheStatistics.loaded).toBeLessThanOrEqual(51);
  });

  test('large records are warned of once, with class and size', () => {
    const db = open({ largeRecordSize: 1000 });
    const warnings = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    try {
      for (const title of ['x', 'y']) {
        db.transaction((root) => {
          root.big = new Item(title.repeat(2000));
        });
      }
      expect(warnings.mock.calls.map(([message]) => message)).toEqual([
        expect.stringMatching(/^test\.db\.Item 0x\d+ has a record of 2\d\d\d bytes/),
      ]);
    } finally {
      warnings.mockRestore();
    }
  });

  test('close aborts open connections, may be repeated, and refuses further use', () => {
    const db = open();
    const ann = user(db);
    ann.root.list = [1];
    ann.commit();
    (ann.root.list as number[]).push(2);
    const warnings = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    try {
      db.close();
      db.close();
      expect(warnings.mock.calls).toEqual([
        [
          'The database was closed with uncommitted changes: they are lost.',
          { type: 'ZodbWarning', code: 'ZODB_UNCOMMITTED' },
        ],
      ]);
    } finally {
      warnings.mockRestore();
    }
    expect(ann.isOpen).toBe(false);
    expect(() => db.open()).toThrow(ClosedError);
    expect(() => db.undoLog()).toThrow(ClosedError);
  });
});

test('databases and connections look in the console like what they are', () => {
  const db = new DB(null, { root: { n: () => 1 } });
  const conn = db.open();
  expect(inspect(db)).toBe(
    "DB {\n  storage: 'memory',\n  databaseName: 'unnamed',\n  openConnections: 1,\n  isClosed: false\n}",
  );
  conn.root();
  expect(inspect(conn, { breakLength: Infinity })).toBe(
    "Connection { storage: 'memory', isOpen: true, before: undefined, root: <root: n> }",
  );
  conn.close();
  expect(inspect(conn)).toBe("Connection { storage: 'memory', isOpen: false, before: undefined }");
  db.close();
});

test('connection() opens a database, which is closed with it', () => {
  const conn = connection(null, { root: { n: () => 1 } });
  expect(conn.root.n).toBe(1);
  const { db } = conn;
  conn.close();
  expect(db.isClosed).toBe(true);
});

test('a database in a multi-database has a name of its own', () => {
  const databases = {};
  const one = new DB(null, { databases, databaseName: 'one' });
  expect(() => new DB(null, { databases, databaseName: 'one' })).toThrow('databaseName');
  one.close();
});
