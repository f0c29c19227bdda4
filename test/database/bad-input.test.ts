/** Wrong use and wrong values: each gets an error that says what to do, and changes nothing. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ClosedError,
  DB,
  DoomedTransaction,
  ExportError,
  formatTid,
  InvalidArgumentError,
  InvalidObjectReference,
  oidOf,
  persistent,
  POSKeyError,
  ReadOnlyHistoryError,
  TransactionFailedError,
  TransactionManager,
  UndoError,
  type Oid,
  type Tid,
} from 'zodb';
import { onEveryDatabase, user } from './databases';

@persistent('test.bad.Thing')
class Thing {
  constructor(public label = '') {}
}

test('a place that is undefined is refused, not taken for memory', () => {
  const unset: string | undefined = process.env['NO_SUCH_VARIABLE'];
  expect(() => new DB(unset)).toThrow(
    /^The place of the database is undefined: is an environment variable not set\?/,
  );
  expect(() => new DB(unset, { cacheSize: 10 })).toThrow(InvalidArgumentError);
  const db = new DB(null, { cacheSize: 10 });
  expect(db.name).toBe(new DB().name);
  db.close();
});

onEveryDatabase('bad input', (open) => {
  test('use of objects and connections after close', () => {
    const db = open();
    const ann = user(db);
    ann.root.thing = new Thing('a');
    ann.commit();
    ann.cacheMinimize();
    const thing = ann.get(1 as Oid) as Thing;
    expect(thing.label).toBe('a');
    ann.close();
    expect(() => {
      thing.label = 'b';
    }).toThrow(ClosedError);
    for (const use of [
      () => ann.get(1 as Oid),
      () => ann.add(new Thing()),
      () => {
        ann.sync();
      },
      () => {
        ann.readCurrent(thing);
      },
      () => ann.oldState(thing, 1n as Tid),
      () => {
        ann.prefetch(1 as Oid);
      },
      () => ann.root.thing,
      () => ann.exportFile(1 as Oid, '/nowhere'),
      () => ann.importFile(Buffer.alloc(0)),
      () => ann.transactionManager,
      () => ann.getConnection('elsewhere'),
    ]) {
      expect(use).toThrow(ClosedError);
    }
    expect(user(db).root.thing).toMatchObject({ label: 'a' });
  });

  test('use of a database after close', () => {
    const db = open();
    const tid = db.lastTransaction();
    db.close();
    for (const use of [
      () => db.open(),
      () => db.transaction(() => 1),
      () => db.undoLog(),
      () => db.undoInfo(),
      () => {
        db.undo(tid);
      },
      () => db.history(0 as Oid),
      () => db.oldState(0 as Oid, tid),
      () => db.pack(),
      () => db.changes(),
      () => db.lastTransaction(),
      () => db.objectCount(),
      () => db.getSize(),
    ]) {
      expect(use).toThrow(ClosedError);
    }
  });

  test('packAsync() of a closed database is a rejection', async () => {
    const db = open();
    db.close();
    await expect(db.packAsync()).rejects.toThrow(ClosedError);
  });

  test('work in a transaction that failed sticks until the abort; in a doomed one it goes on, but does not commit', () => {
    const db = open();
    const ann = user(db);
    ann.root.thing = new Thing('a');
    ann.commit();
    ann.root.bad = Object.assign(new Thing(), { label: Symbol('x') });
    expect(() => ann.commit()).toThrow('Thing.label');
    expect(() => {
      ann.root.more = 1;
      ann.commit();
    }).toThrow(TransactionFailedError);
    expect(() => ann.transactionManager.savepoint()).toThrow(TransactionFailedError);
    ann.abort();
    ann.transactionManager.doom();
    (ann.root.thing as Thing).label = 'doomed';
    expect(() => ann.commit()).toThrow(DoomedTransaction);
    ann.abort();
    expect((ann.root.thing as Thing).label).toBe('a');
  });

  test('objects of another connection, and what is no object', () => {
    const db = open();
    const [ann, ben] = [user(db), user(db)];
    ann.root.thing = new Thing('a');
    ann.commit();
    const foreign = ann.root.thing as Thing;
    expect(() => ben.add(foreign)).toThrow(InvalidObjectReference);
    expect(() => {
      ben.readCurrent(foreign);
    }).toThrow(InvalidArgumentError);
    ben.root.stolen = [foreign];
    expect(() => ben.commit()).toThrow(InvalidObjectReference);
    ben.abort();
    for (const wrong of [null, undefined, 5, 'x', () => 1]) {
      expect(() => ann.add(wrong as never)).toThrow(InvalidArgumentError);
      expect(() => {
        ann.readCurrent(wrong as never);
      }).toThrow(InvalidArgumentError);
    }
    expect(() => ann.add({ plain: true })).toThrow();
    expect(() => ann.get('0x01' as never)).toThrow(InvalidArgumentError);
    expect(() => ann.get(12_345 as Oid)).toThrow(POSKeyError);
    expect(() => {
      ann.prefetch(Symbol('x') as never);
    }).toThrow(InvalidArgumentError);
  });

  test('wrong points in time', () => {
    const db = open();
    for (const options of [
      { at: new Date(NaN) },
      { at: '2026-01-01' },
      { before: -1n },
      { before: 2n ** 64n },
      { at: new Date(), before: new Date() },
      { at: new Date(Date.now() + 3_600_000) },
      { before: db.lastTransaction() + (1n << 40n) },
      { transactionManager: {} },
    ]) {
      expect(() => db.open(options as never)).toThrow(InvalidArgumentError);
    }
    // The moment after the last transaction is now, not the future.
    const past = db.open({ at: db.lastTransaction(), transactionManager: new TransactionManager() });
    expect(past.isReadOnly).toBe(true);
    past.close();
    expect(db.openConnections).toEqual([]);
  });

  test('a commit, and a savepoint, on a connection into the past', () => {
    const db = open();
    const then = db.lastTransaction();
    const past = user(db);
    past.close();
    const conn = db.open({ at: then, transactionManager: new TransactionManager() });
    expect(() => {
      (conn.root as Record<string, unknown>).x = 1;
    }).toThrow(ReadOnlyHistoryError);
    expect(() => conn.add(new Thing())).toThrow(ReadOnlyHistoryError);
    conn.transactionManager.savepoint();
    conn.transactionManager.commit();
    conn.close();
    expect(db.lastTransaction()).toBe(then);
  });

  test('undo of what is not known, and what is no id', () => {
    const db = open();
    const ann = user(db);
    const before = db.lastTransaction();
    for (const wrong of ['x', 5, null, undefined, {}]) {
      expect(() => {
        db.undo(wrong as never, ann.transactionManager.get());
      }).toThrow(InvalidArgumentError);
    }
    const unknown = ((db.lastTransaction() as bigint) + 12_345n) as Tid;
    db.undo(unknown, ann.transactionManager.get());
    expect(() => ann.commit()).toThrow(UndoError);
    ann.abort();
    db.undo(unknown, ann.transactionManager.get());
    expect(() => ann.commit()).toThrow(formatTid(unknown));
    ann.abort();
    expect(db.lastTransaction()).toBe(before);
    ann.root.x = 1;
    ann.commit();
  });

  test('history and old states of what is not known', () => {
    const db = open();
    expect(() => db.history(new Thing())).toThrow(InvalidArgumentError);
    expect(() => db.history(99 as Oid)).toThrow(POSKeyError);
    expect(() => db.oldState(0 as Oid, 5n as Tid)).toThrow(POSKeyError);
    expect(() => db.oldState(new Thing(), 5n as Tid)).toThrow(InvalidArgumentError);
    expect(() => db.history(0 as Oid, { size: 0 })).toThrow(InvalidArgumentError);
  });

  test('options that are misspelt are named, not ignored: history would be lost, or the present shown as the past', () => {
    const db = open();
    const ann = user(db);
    ann.root.x = 1;
    ann.commit();
    ann.root.x = 2;
    ann.commit();
    const revisions = db.history(0 as Oid).length;
    expect(() => db.pack({ day: 30 } as never)).toThrow(
      'pack() has no option "day"; it has days, time, gc, dryRun, onProgress, signal.',
    );
    expect(() => db.pack({ days: '30' as never })).toThrow(InvalidArgumentError);
    expect(() => db.changes({ sinc: 5n } as never)).toThrow(InvalidArgumentError);
    expect(() => db.open({ befor: new Date() } as never)).toThrow(InvalidArgumentError);
    expect(() => db.transaction(() => 1, { tries: 5 } as never)).toThrow(
      'transaction() has no option "tries"; it has attempts, backoff, note, onRetry.',
    );
    expect(db.history(0 as Oid)).toHaveLength(revisions);
  });

  test('packs with wrong times; one in the future is one of now', () => {
    const db = open();
    const ann = user(db);
    ann.root.x = 1;
    ann.commit();
    ann.root.x = 2;
    ann.commit();
    expect(() => db.pack({ days: -1 })).toThrow(InvalidArgumentError);
    expect(() => db.pack({ days: NaN })).toThrow(InvalidArgumentError);
    expect(() => db.pack({ time: new Date(NaN) })).toThrow(InvalidArgumentError);
    expect(() => db.pack({ time: 5 as never })).toThrow(InvalidArgumentError);
    db.pack({ time: new Date(Date.now() + 86_400_000) });
    ann.sync();
    expect(ann.root.x).toBe(2);
    expect(db.history(0 as Oid)).toHaveLength(1);
  });

  test('a file that is torn, or no export', () => {
    const directory = mkdtempSync(join(tmpdir(), 'zodb-bad-'));
    const db = open();
    const ann = user(db);
    ann.root.thing = new Thing('a');
    ann.commit();
    const path = join(directory, 'thing.zexp');
    ann.exportFile(ann.root.thing as Thing, path);
    const before = [db.lastTransaction(), db.objectCount()];
    for (const content of ['', 'ZEXP', 'ZEXP\0', 'PK\x03\x04 a zip', 'ZEXP'.padEnd(64, '\x7f')]) {
      const file = join(directory, 'bad.zexp');
      writeFileSync(file, content, 'latin1');
      expect(() => ann.importFile(file)).toThrow(ExportError);
    }
    expect(() => ann.importFile(join(directory, 'none.zexp'))).toThrow('ENOENT');
    expect(() => ann.importFile(5 as never)).toThrow(InvalidArgumentError);
    expect(() => ann.exportFile(new Thing(), path)).toThrow(InvalidArgumentError);
    expect(() => ann.exportFile(99 as Oid, join(directory, 'none.zexp'))).toThrow(POSKeyError);
    ann.commit();
    expect([db.lastTransaction(), db.objectCount()]).toEqual(before);
    expect(oidOf(ann.importFile(path)!)).toBeDefined();
    ann.abort();
    rmSync(directory, { recursive: true });
  });

  test('what is no oid', () => {
    const ann = user(open());
    for (const wrong of ['0x1', -1e6, 1.5, NaN, null, {}, 1n]) {
      expect(() => ann.get(wrong as never)).toThrow('get() takes an oid; see oidOf() and parseOid().');
    }
    ann.close();
  });

  test('wrong functions and options of db.transaction()', () => {
    const db = open();
    for (const wrong of [null, undefined, 5, {}, 'fn']) {
      expect(() => db.transaction(wrong as never)).toThrow(InvalidArgumentError);
    }
    expect(() => db.transaction(() => 1, { attempts: 0 })).toThrow(InvalidArgumentError);
    expect(() => db.transaction(() => 1, { attempts: 1.5 })).toThrow(InvalidArgumentError);
    expect(db.openConnections).toEqual([]);
  });
});

test.each([
  [{ poolSize: 0 }, 'poolSize'],
  [{ poolSize: 'x' }, 'poolSize'],
  [{ cacheSize: -1 }, 'cacheSize'],
  [{ poolWait: NaN }, 'poolWait'],
  [{ cachesize: 5 }, 'cacheSize'],
  [{ root: 5 }, 'root'],
  [{ root: { accounts: {} } }, 'The option root gives for "accounts" a function that makes it, not object'],
  [{ databaseName: 7 }, 'databaseName'],
  [{ traceConnections: 'yes' }, 'traceConnections'],
  [{ nonsense: 1 }, 'nonsense'],
])('the options %j are refused by name', (options, name) => {
  expect(() => new DB(null, options as never)).toThrow(name);
});
