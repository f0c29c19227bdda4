/** Further cases of `ZODB/src/ZODB/tests/testConnection.py`, `testDB.py`, `dbopen.txt`, `TransactionalUndoStorage.py`. */
import { plainToInstance } from 'class-transformer';
import {
  ClosedError,
  ConnectionStateError,
  DB,
  InvalidObjectReference,
  oidOf,
  persistent,
  POSKeyError,
  toPlain,
  TransactionFailedError,
  TransactionManager,
  type Connection,
} from 'zodb';
import { MemoryStorage } from '../../src/storage/index';
import { momentBetween } from '../moments';
import { onEveryDatabase, user } from './databases';
import { recordCalls } from './recording';

@persistent('test.conformance.Item')
class Item {
  tags: string[] = [];
  next: Item | null = null;
  constructor(public title = '') {}
}

/** Changes itself whenever its state is taken or set. */
@persistent('test.conformance.Restless')
class Restless {
  saved = 0;
  __getstate__(): object {
    this.saved++;
    return { saved: this.saved };
  }
  __setstate__(state: { saved: number }): void {
    this.saved = state.saved;
  }
}

onEveryDatabase('connections', (open) => {
  test('an object that changes itself while it is saved is stored once', () => {
    const db = open();
    const ann = user(db);
    const restless = new Restless();
    ann.root.restless = restless;
    ann.commit();
    expect(db.history(restless)).toHaveLength(1);
    ann.commit();
    expect(db.history(restless)).toHaveLength(1);
    expect((user(db).root.restless as Restless).saved).toBe(1);
  });

  test('can not be closed with changes that a savepoint saved', () => {
    const db = open();
    const ann = user(db);
    ann.root.x = 1;
    ann.transactionManager.savepoint();
    expect(() => ann.close()).toThrow(ConnectionStateError);
    ann.commit();
    ann.close();
  });

  test('begin() aborts what is uncommitted', () => {
    const db = open();
    const ann = user(db);
    ann.root.x = 1;
    ann.transactionManager.begin();
    expect(ann.root.x).toBeUndefined();
    ann.commit();
    expect(user(db).root.x).toBeUndefined();
  });

  test('a savepoint that fails fails the transaction until the abort', () => {
    const db = open();
    const ann = user(db);
    ann.root.bad = Object.assign(new Item(), { tags: [Symbol('x')] });
    expect(() => ann.transactionManager.savepoint()).toThrow('Item.tags[0]');
    expect(() => ann.commit()).toThrow(TransactionFailedError);
    ann.abort();
    ann.root.good = new Item('good');
    ann.commit();
    expect(Object.keys(user(db).root)).toEqual(['good']);
  });

  test('the pool hands out the same connection with its objects; what changed meanwhile is new, the rest is warm', () => {
    const db = open();
    const ann = user(db);
    ann.root.a = new Item('a');
    ann.root.b = new Item('b');
    ann.commit();
    const [a, b] = [ann.root.a, ann.root.b] as Item[];
    ann.close();
    const other = user(db);
    expect(other).toBe(ann);
    other.close();
    const first = user(db);
    const second = user(db);
    (second.root.a as Item).title = 'a2';
    second.commit();
    first.sync();
    expect([first.root.a, first.root.b]).toEqual([a, b]);
    expect(first.root.b).toBe(b);
    expect(a!.title).toBe('a2');
  });

  test('a connection into the past has a pool of its own, and is the same for the same moment', () => {
    const db = open();
    const ann = user(db);
    ann.root.x = 1;
    ann.commit();
    const then = db.lastTransaction();
    ann.root.x = 2;
    ann.commit();
    const at = (tid = then) =>
      db.open({ at: tid, transactionManager: new TransactionManager() }) as unknown as Connection;
    const first = at();
    const second = at();
    expect(second).not.toBe(first);
    expect([first.root.x, second.root.x]).toEqual([1, 1]);
    expect(db.openConnections).toHaveLength(3);
    first.close();
    expect(at()).toBe(first);
    expect(at(db.lastTransaction()).root.x).toBe(2);
    ann.root.x = 3;
    ann.commit();
    expect(first.root.x).toBe(1);
    first.sync();
    expect(first.root.x).toBe(1);
  });

  test('a historical connection is chosen by Date as by tid', () => {
    const db = open();
    const ann = user(db);
    ann.root.x = 1;
    ann.commit();
    const between = momentBetween();
    ann.root.x = 2;
    ann.commit();
    for (const options of [{ at: between }, { before: between }, { before: db.lastTransaction() }]) {
      const past = db.open({
        ...options,
        transactionManager: new TransactionManager(),
      }) as unknown as Connection;
      expect(past.root.x).toBe(1);
      past.close();
    }
  });

  test('the cache of a connection is bounded by bytes, too', () => {
    const db = open({ cacheSizeBytes: 20_000 });
    const ann = user(db);
    for (let id = 0; id < 100; id++) ann.root[`i${id}`] = new Item('x'.repeat(1_000));
    ann.commit();
    ann.cacheMinimize();
    for (let id = 0; id < 100; id++) expect((ann.root[`i${id}`] as Item).title).toHaveLength(1_000);
    ann.cacheGC();
    expect(ann.cacheStatistics.bytes).toBeLessThan(45_000);
  });

  test('cacheDetail() counts what is loaded; cacheMinimize() empties every connection', () => {
    const db = open();
    const ann = user(db);
    for (let id = 0; id < 5; id++) ann.root[`i${id}`] = new Item();
    ann.commit();
    const ben = user(db);
    for (let id = 0; id < 5; id++) void (ben.root[`i${id}`] as Item).title;
    db.cacheMinimize();
    expect(db.cacheDetail()).toEqual([]);
    expect(db.cacheDetailSize().map(({ loaded }) => loaded)).toEqual([0, 0]);
    for (let id = 0; id < 5; id++) void (ben.root[`i${id}`] as Item).title;
    expect(Object.fromEntries(db.cacheDetail())['test.conformance.Item']).toBe(5);
  });

  test('deleting a key of the root that is not there does nothing', () => {
    const db = open();
    const ann = user(db);
    expect(delete ann.root.nothing).toBe(true);
    ann.commit();
    expect(ann.cacheStatistics.changed).toBe(0);
  });
});

onEveryDatabase('undo', (open) => {
  test('of a creation makes the object gone, and the undo of that brings it back', () => {
    const db = open();
    const ann = user(db);
    const item = new Item('made');
    const oid = ann.add(item);
    ann.commit();
    db.undo(db.undoLog(0, -1)[0]!.id, ann.transactionManager.get());
    ann.commit();
    const ben = user(db);
    expect(() => ben.get(oid)).toThrow(POSKeyError);
    db.undo(db.undoLog(0, -1)[0]!.id, ann.transactionManager.get());
    ann.commit();
    expect((user(db).get(oid) as Item).title).toBe('made');
  });

  test('of several at once works newest first, and one after the other', () => {
    const db = open();
    const ann = user(db);
    const item = new Item('0');
    ann.root.item = item;
    ann.commit();
    for (const title of ['1', '2', '3']) {
      item.title = title;
      ann.commit();
    }
    const ids = db.undoLog(0, -3).map(({ id }) => id);
    db.undoMultiple(ids, ann.transactionManager.get());
    ann.commit();
    expect(item.title).toBe('0');
    for (let times = 0; times < 3; times++) {
      db.undo(db.undoLog(0, -1)[0]!.id, ann.transactionManager.get());
      ann.commit();
    }
    expect(['0', '1', '2', '3']).toContain(item.title);
  });

  test('of changes to two objects in one transaction brings back both', () => {
    const db = open();
    const ann = user(db);
    const [a, b] = [new Item('a'), new Item('b')];
    Object.assign(ann.root, { a, b });
    ann.commit();
    a.title = b.title = 'both';
    ann.commit();
    db.undo(db.undoLog(0, -1)[0]!.id, ann.transactionManager.get());
    ann.commit();
    expect([a.title, b.title]).toEqual(['a', 'b']);
  });

  test('the log has who and why, in slices, filtered', () => {
    const db = open();
    const ann = user(db);
    for (let at = 0; at < 5; at++) {
      ann.root.x = at;
      const transaction = ann.transactionManager.get();
      transaction.setUser(at % 2 ? 'odd' : 'even', 'acl');
      transaction.note(`change ${at}`);
      transaction.setExtendedInfo('at', at);
      ann.commit();
    }
    const [newest] = db.undoLog();
    expect(newest).toMatchObject({ user: 'acl even', description: 'change 4', extension: { at: 4 } });
    expect(newest!.time.getTime()).toBeLessThanOrEqual(Date.now());
    const notes = (entries: { description: string }[]) => entries.map(({ description }) => description);
    expect(notes(db.undoLog(0, -2))).toEqual(['change 4', 'change 3']);
    expect(notes(db.undoLog(1, 3))).toEqual(['change 3', 'change 2']);
    expect(notes(db.undoLog(0, -9, ({ user: name }) => name === 'acl odd'))).toEqual([
      'change 3',
      'change 1',
    ]);
    expect(notes(db.undoInfo(0, -9, { at: 2 }))).toEqual(['change 2']);
  });

  test('seen by a connection whose own it was and by others, at their next transaction', () => {
    const db = open();
    const [ann, ben] = [user(db), user(db)];
    ann.root.item = new Item('a');
    ann.commit();
    ben.sync();
    const [mine, theirs] = [ann.root.item, ben.root.item] as Item[];
    mine!.title = 'b';
    ann.commit();
    ben.sync();
    db.undo(db.undoLog(0, -1)[0]!.id, ann.transactionManager.get());
    ann.commit();
    expect([mine!.title, theirs!.title]).toEqual(['a', 'b']);
    ben.sync();
    expect(theirs!.title).toBe('a');
  });
});

onEveryDatabase('changes()', (open) => {
  test('begins when it is called, not when it is first asked', async () => {
    const db = open();
    const changes = db.changes({ interval: 5 });
    db.transaction(
      (root) => {
        root.x = 1;
      },
      { note: 'first' },
    );
    expect((await changes.next()).value).toMatchObject({ description: 'first' });
    await changes.return();
  });

  test('repeats what came since a transaction; ends with its signal, and with the database', async () => {
    const db = open();
    const start = db.lastTransaction();
    for (const note of ['one', 'two']) db.transaction((root) => (root.x = note), { note });
    const stop = new AbortController();
    const notes: string[] = [];
    for await (const { description } of db.changes({ since: start, signal: stop.signal })) {
      notes.push(description);
      if (notes.length === 2) stop.abort();
    }
    expect(notes).toEqual(['one', 'two']);
    const waiting = db.changes().next();
    setTimeout(() => {
      db.close();
    }, 5);
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(() => db.changes()).toThrow(ClosedError);
  });
});

test('a storage that can not say what changed makes every object be read again, and every listener be told', () => {
  const { storage } = recordCalls(new MemoryStorage());
  let forgetful = false;
  const newInstance = storage.newInstance.bind(storage);
  const forgetting = new Proxy(storage, {
    get(target, key): unknown {
      if (key !== 'newInstance') return Reflect.get(target, key);
      return (...args: Parameters<typeof newInstance>) => {
        const instance = newInstance(...args);
        return new Proxy(instance, {
          get: (at, name): unknown =>
            name === 'poll' && forgetful ? () => (at.poll(), 'all') : Reflect.get(at, name),
        });
      };
    },
  });
  const db = new DB(forgetting) as unknown as DB;
  const [ann, ben] = [user(db), user(db)];
  ann.root.item = new Item('a');
  ann.commit();
  ben.sync();
  const item = ben.root.item as Item;
  expect(item.title).toBe('a');
  const heard: number[] = [];
  ben.onInvalidate(Item, (oids) => heard.push(...oids));
  (ann.root.item as Item).title = 'b';
  ann.commit();
  forgetful = true;
  ben.sync();
  expect(item.title).toBe('b');
  expect(new Set(heard)).toEqual(new Set([oidOf(item)]));
  db.close();
});

test('an object is one of its connection: another database refuses it', () => {
  const one = new DB() as unknown as DB;
  const two = new DB() as unknown as DB;
  const [ann, ben] = [user(one), user(two)];
  ann.root.item = new Item('one');
  ann.commit();
  ben.root.item = ann.root.item;
  expect(() => ben.commit()).toThrow(InvalidObjectReference);
  ben.abort();
  one.close();
  two.close();
});

test('a graph goes out as JSON and comes back in, by toPlain and class-transformer', () => {
  const db = new DB() as unknown as DB;
  const ann = user(db);
  const lamp = Object.assign(new Item('lamp'), { tags: ['bright'], next: new Item('bulb') });
  ann.root.lamp = lamp;
  ann.commit();
  ann.cacheMinimize();
  const json = JSON.stringify(toPlain(ann.root.lamp, { depth: 1 }));
  expect(JSON.parse(json)).toEqual({
    title: 'lamp',
    tags: ['bright'],
    next: { title: 'bulb', tags: [], next: null },
  });
  expect(toPlain(ann.root.lamp)).toMatchObject({ next: { $class: 'test.conformance.Item' } });
  const copy = plainToInstance(Item, JSON.parse(json) as object);
  copy.next = plainToInstance(Item, copy.next);
  ann.root.copy = copy;
  ann.commit();
  const seen = user(db).root.copy as Item;
  expect([seen.title, seen.tags, seen.next!.title]).toEqual(['lamp', ['bright'], 'bulb']);
  expect(oidOf(seen)).not.toBe(oidOf(lamp));
  db.close();
});
