/** What a connection shows and when (conformance cases of `ZODB/src/ZODB/tests/testConnection.py`, `testmvcc.py`). */
import { inspect } from 'node:util';
import {
  ClosedError,
  ConflictError,
  ConnectionStateError,
  InvalidObjectReference,
  oidOf,
  persistent,
  POSKeyError,
  ReadConflictError,
  serialOf,
  TransactionManager,
  type Oid,
} from 'zodb';
import { onEveryDatabase, user } from './databases';

@persistent('test.connection.Thing')
class Thing {
  label = '';
  tags: string[] = [];
  other: Thing | null = null;

  constructor(label = '') {
    this.label = label;
  }
}

onEveryDatabase('connection', (open) => {
  test('does not see what others commit until its next transaction begins', () => {
    const db = open();
    const [ann, ben] = [user(db), user(db)];
    ann.root.x = 1;
    ann.commit();
    expect(ben.root.x).toBeUndefined();
    ben.sync();
    expect(ben.root.x).toBe(1);
    ann.root.x = 2;
    ann.commit();
    expect(ben.root.x).toBe(1);
    ben.transactionManager.begin();
    expect(ben.root.x).toBe(2);
  });

  test('loads the revision of its snapshot, though the object was changed meanwhile; writing it conflicts', () => {
    const db = open();
    const [ann, ben] = [user(db), user(db)];
    ann.root.thing = new Thing('old');
    ann.commit();
    ben.sync();
    (ann.root.thing as Thing).label = 'new';
    ann.commit();
    const thing = ben.root.thing as Thing;
    expect(thing.label).toBe('old');
    thing.label = 'mine';
    expect(() => ben.commit()).toThrow(ConflictError);
    ben.abort();
    expect((ben.root.thing as Thing).label).toBe('new');
  });

  test('does not see objects made after its snapshot, by oid neither', () => {
    const db = open();
    const [ann, ben] = [user(db), user(db)];
    ann.root.thing = new Thing();
    ann.commit();
    const oid = oidOf(ann.root.thing as Thing)!;
    expect(() => ben.get(oid)).toThrow(POSKeyError);
    ben.sync();
    expect(ben.get(oid)).toBeInstanceOf(Thing);
  });

  test('one oid is one object', () => {
    const db = open();
    const ann = user(db);
    const thing = new Thing();
    ann.root.one = thing;
    ann.root.two = { inside: [thing] };
    ann.commit();
    ann.cacheMinimize();
    expect(ann.root.one).toBe((ann.root.two as { inside: Thing[] }).inside[0]);
    expect(ann.get(oidOf(thing)!)).toBe(ann.root.one);
  });

  test('add() gives an oid at once, abort takes it away, commit makes it stay', () => {
    const db = open();
    const ann = user(db);
    const thing = new Thing('added');
    const oid = ann.add(thing);
    expect(oidOf(thing)).toBe(oid);
    ann.abort();
    expect(oidOf(thing)).toBeUndefined();
    expect(thing.label).toBe('added');
    ann.add(thing);
    ann.commit();
    ann.cacheMinimize();
    expect((ann.get(oidOf(thing)!) as Thing).label).toBe('added');
  });

  test('an object of one connection is refused by another', () => {
    const db = open();
    const [ann, ben] = [user(db), user(db)];
    const thing = new Thing();
    ann.root.thing = thing;
    ann.commit();
    expect(() => ben.add(thing)).toThrow(InvalidObjectReference);
    ben.root.stolen = thing;
    expect(() => ben.commit()).toThrow(InvalidObjectReference);
    ben.abort();
  });

  test('what is reachable from a changed object is stored with it, cycles included', () => {
    const db = open();
    const ann = user(db);
    const [a, b, c] = [new Thing('a'), new Thing('b'), new Thing('c')];
    a.other = b;
    b.other = c;
    c.other = a;
    ann.root.a = a;
    ann.commit();
    const ben = user(db);
    const seen = ben.root.a as Thing;
    expect([seen.label, seen.other!.label, seen.other!.other!.label]).toEqual(['a', 'b', 'c']);
    expect(seen.other!.other!.other).toBe(seen);
  });

  test('changes inside plain values are committed without being announced', () => {
    const db = open();
    const ann = user(db);
    ann.root.thing = new Thing();
    ann.commit();
    (ann.root.thing as Thing).tags.push('nested');
    ann.commit();
    expect((user(db).root.thing as Thing).tags).toEqual(['nested']);
  });

  test('abort brings back every field, and drops what was changed inside plain values', () => {
    const db = open();
    const ann = user(db);
    ann.root.thing = new Thing('kept');
    ann.commit();
    const thing = ann.root.thing as Thing & { extra?: number };
    thing.label = 'lost';
    thing.tags.push('lost');
    thing.extra = 1;
    ann.abort();
    expect({ ...thing }).toEqual({ label: 'kept', tags: [], other: null });
  });

  test('closing with uncommitted changes is refused; disposing aborts them', () => {
    const db = open();
    const ann = user(db);
    ann.root.x = 1;
    expect(() => ann.close()).toThrow(ConnectionStateError);
    ann[Symbol.dispose]();
    expect(ann.isOpen).toBe(false);
    expect(user(db).root.x).toBeUndefined();
  });

  test('after close nothing can be loaded, and the error says so', () => {
    const db = open();
    const ann = user(db);
    ann.root.thing = new Thing();
    ann.commit();
    const oid = oidOf(ann.root.thing as Thing)!;
    ann.close();
    ann.close();
    expect(() => ann.get(oid)).toThrow(ClosedError);
    expect(() => ann.root.thing).toThrow(ClosedError);
    expect(() => ann.add(new Thing())).toThrow(ClosedError);
  });

  test('a connection from the pool has a warm cache, and knows what was committed meanwhile', () => {
    const db = open();
    const ann = user(db);
    ann.root.thing = new Thing('one');
    ann.root.still = new Thing('still');
    ann.commit();
    ann.sync();
    void (ann.root.thing as Thing).label;
    void (ann.root.still as Thing).label;
    ann.close();
    const other = user(db);
    const again = user(db);
    (again.root.thing as Thing).label = 'two';
    again.commit();
    again.close();
    other.close();
    const back = user(db);
    expect((back.root.thing as Thing).label).toBe('two');
    expect((back.root.still as Thing).label).toBe('still');
  });

  test('readCurrent makes the commit fail when the object was changed', () => {
    const db = open();
    const [ann, ben] = [user(db), user(db)];
    ann.root.rule = new Thing('rule');
    ann.root.work = new Thing('work');
    ann.commit();
    ben.sync();
    ben.readCurrent(ben.root.rule as Thing);
    (ben.root.work as Thing).label = 'by the rule';
    (ann.root.rule as Thing).label = 'changed';
    ann.commit();
    expect(() => ben.commit()).toThrow(ReadConflictError);
    ben.abort();
    expect((ben.root.rule as Thing).label).toBe('changed');
    ben.readCurrent(ben.root.rule as Thing);
    (ben.root.work as Thing).label = 'by the new rule';
    ben.commit();
    expect((user(db).root.work as Thing).label).toBe('by the new rule');
  });

  test('a transaction that only reads commits without asking whether its reads are current', () => {
    const db = open();
    const [ann, ben] = [user(db), user(db)];
    ann.root.rule = new Thing('rule');
    ann.commit();
    ben.sync();
    ben.readCurrent(ben.root.rule as Thing);
    (ann.root.rule as Thing).label = 'changed';
    ann.commit();
    ben.commit();
  });

  test('the root shows its keys as attributes', () => {
    const db = open();
    const ann = user(db);
    ann.root.zebra = 1;
    ann.root.ape = new Thing();
    expect(Object.keys(ann.root).sort()).toEqual(['ape', 'zebra']);
    expect('ape' in ann.root).toBe(true);
    expect('lion' in ann.root).toBe(false);
    expect(inspect(ann.root)).toBe('<root: ape, zebra>');
    delete ann.root.zebra;
    expect([...ann.root().keys()]).toEqual(['ape']);
    ann.root().set('not an identifier', 5);
    ann.commit();
    expect(user(db).root['not an identifier']).toBe(5);
  });

  test('callbacks on close run once each, and an error in one does not keep the others', () => {
    const db = open();
    const ann = user(db);
    const calls: string[] = [];
    ann.onCloseCallback(() => calls.push('first'));
    ann.onCloseCallback(() => {
      throw new Error('in a callback');
    });
    ann.onCloseCallback(() => calls.push('last'));
    ann.close();
    expect(calls).toEqual(['first', 'last']);
  });

  test('an object whose state can not be saved fails the commit, and the database is unaffected', () => {
    const db = open();
    const ann = user(db);
    ann.root.good = new Thing('good');
    ann.root.bad = Object.assign(new Thing(), { tags: [Symbol('x')] });
    expect(() => ann.commit()).toThrow('test.connection.Thing.tags[0]');
    expect(() => ann.commit()).toThrow('abort()');
    ann.abort();
    expect(Object.keys(ann.root)).toEqual([]);
    ann.root.good = new Thing('again');
    ann.commit();
    expect((user(db).root.good as Thing).label).toBe('again');
  });

  test('after a commit that failed in another resource, new objects have no oid and old ones their old state', () => {
    const db = open();
    const ann = user(db);
    ann.root.old = new Thing('old');
    ann.commit();
    const fresh = new Thing('fresh');
    ann.root.fresh = fresh;
    (ann.root.old as Thing).label = 'changed';
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
    expect(oidOf(fresh)).toBeUndefined();
    expect((ann.root.old as Thing).label).toBe('old');
    ann.root.fresh = fresh;
    ann.commit();
    expect((user(db).root.fresh as Thing).label).toBe('fresh');
  });

  test('explicit transaction managers take their snapshot at begin', () => {
    const db = open();
    const ann = user(db);
    const manager = new TransactionManager({ explicit: true });
    const conn = db.open({ transactionManager: manager });
    ann.root.x = 1;
    ann.commit();
    manager.begin();
    expect(conn.root.x).toBe(1);
    ann.root.x = 2;
    ann.commit();
    expect(conn.root.x).toBe(1);
    manager.commit();
    manager.begin();
    expect(conn.root.x).toBe(2);
    manager.abort();
    conn.close();
  });

  test('serials are the tids of the commits', () => {
    const db = open();
    const ann = user(db);
    const thing = new Thing();
    ann.root.thing = thing;
    ann.commit();
    const first = serialOf(thing);
    expect(first).toBe(db.lastTransaction());
    thing.label = 'again';
    ann.commit();
    expect(serialOf(thing)).toBe(db.lastTransaction());
    expect(serialOf(thing)! > first!).toBe(true);
  });

  test('counts loads and stores', () => {
    const db = open();
    const ann = user(db);
    for (let i = 0; i < 5; i++) ann.root[`t${i}`] = new Thing(`t${i}`);
    ann.commit();
    expect(ann.getTransferCounts({ clear: true }).stores).toBe(6);
    const ben = user(db);
    ben.getTransferCounts({ clear: true });
    for (let i = 0; i < 5; i++) void (ben.root[`t${i}`] as Thing).label;
    expect(ben.getTransferCounts()).toEqual({ loads: 6, stores: 0 });
  });

  test('prefetch takes objects, oids and iterables of them, and loads each once', () => {
    const db = open();
    const ann = user(db);
    const things = Array.from({ length: 20 }, (_, index) => new Thing(`t${index}`));
    ann.root.things = things;
    ann.commit();
    const oids = things.map((thing) => oidOf(thing)!);
    const ben = user(db);
    ben.prefetch(oids[0]!, [oids.slice(1, 10), new Set(oids.slice(10))], 99_999 as Oid);
    const { loads } = ben.getTransferCounts({ clear: true });
    expect(loads).toBeGreaterThanOrEqual(20);
    for (const oid of oids) expect(ben.get(oid)).toBeInstanceOf(Thing);
    expect(ben.getTransferCounts().loads).toBe(0);
    expect(() => ben.prefetch('x' as never)).toThrow('prefetch()');
  });

  test('listeners hear of changes by others to an object or a class, once a commit', () => {
    const db = open();
    const [ann, ben] = [user(db), user(db)];
    ann.root.a = new Thing('a');
    ann.root.b = new Thing('b');
    ann.commit();
    ben.sync();
    const a = ben.root.a as Thing;
    void (ben.root.b as Thing).label;
    const heard: [string, number][] = [];
    ben.onInvalidate(a, (oids) => heard.push(['a', oids.length]));
    const stop = ben.onInvalidate(Thing, (oids) => heard.push(['Thing', oids.length]));
    (ann.root.a as Thing).label = 'a2';
    (ann.root.b as Thing).label = 'b2';
    ann.commit();
    ben.sync();
    expect(heard.sort()).toEqual([
      ['Thing', 2],
      ['a', 1],
    ]);
    stop();
    (ann.root.b as Thing).label = 'b3';
    ann.commit();
    ben.sync();
    expect(heard).toHaveLength(2);
  });
});
