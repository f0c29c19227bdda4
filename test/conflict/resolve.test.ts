/** Merging of conflicts (`ZODB/src/ZODB/ConflictResolution.rst`, `testconflictresolution.py`). */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { inspect } from 'node:util';
import {
  ConflictError,
  DB,
  persistent,
  registry,
  TransactionManager,
  WeakRef,
  type Connection,
  type Oid,
} from 'zodb';
import {
  PersistentReference,
  ReferenceComparisonError,
  type UnresolvedMessage,
} from '../../src/conflict/index';
import { onEveryDatabase, user } from '../database/databases';

interface CounterState {
  count: number;
}

@persistent('test.conflict.Counter')
class Counter {
  static made = 0;
  count = 0;
  constructor() {
    Counter.made++;
  }
  _p_resolveConflict(old: CounterState, committed: CounterState, now: CounterState): CounterState {
    return { ...committed, count: committed.count + now.count - old.count };
  }
}

@persistent('test.conflict.Stubborn')
class Stubborn {
  count = 0;
  _p_resolveConflict(): never {
    throw new RangeError('no merging today');
  }
}

@persistent('test.conflict.Plain')
class Plain {
  count = 0;
  text = '';
}

interface LinksState {
  links: unknown[];
  calls?: number;
}

/** Merges lists of references: what one side added goes behind what the other side has. */
@persistent('test.conflict.Links')
class Links {
  links: unknown[] = [];
  extra = 0;
  _p_resolveConflict(old: LinksState, committed: LinksState, now: LinksState): LinksState {
    seen = [old, committed, now];
    if (comparing) (old.links[0] as PersistentReference).equals(committed.links.at(-1));
    const added = now.links.filter((link) => !old.links.includes(link));
    return { ...committed, links: [...committed.links, ...added] };
  }
}
let seen: LinksState[] = [];
let comparing = false;
beforeEach(() => {
  comparing = false;
});

function unresolvedDuring(work: () => void): UnresolvedMessage[] {
  const heard: UnresolvedMessage[] = [];
  const listener = (message: unknown): void => {
    heard.push(message as UnresolvedMessage);
  };
  subscribe('zodb:unresolved', listener);
  try {
    work();
  } finally {
    unsubscribe('zodb:unresolved', listener);
  }
  return heard;
}

/** Two users who both have `make()` in their root, and change it. */
function both<T extends object>(
  db: DB,
  make: () => T,
  change: (object: T, who: 'ann' | 'ben', connection: Connection) => void,
) {
  const [ann, ben] = [user(db), user(db)];
  ann.root.object = make();
  ann.commit();
  ben.sync();
  change(ann.root.object as T, 'ann', ann);
  change(ben.root.object as T, 'ben', ben);
  ann.commit();
  return { ann, ben, mine: ben.root.object as T, theirs: ann.root.object as T };
}

onEveryDatabase('a conflict', (open) => {
  test('of two increments from one base sums up, and the committer sees the merged state', () => {
    const { ann, ben, mine, theirs } = both(
      open(),
      () => new Counter(),
      (counter, who) => {
        counter.count += who === 'ann' ? 10 : 1;
      },
    );
    const made = Counter.made;
    ben.commit();
    expect(mine.count).toBe(11);
    ann.sync();
    expect(theirs.count).toBe(11);
    // The constructor runs neither for the merge nor for the loads.
    expect(Counter.made).toBe(made);
  });

  test('is given to the class even when both wrote the same', () => {
    const { ben, mine } = both(
      open(),
      () => new Counter(),
      (counter) => {
        counter.count = 5;
      },
    );
    ben.commit();
    expect(mine.count).toBe(10);
  });

  test('whose merge throws is a ConflictError; why is on the channel zodb:unresolved', () => {
    const { ben, mine } = both(
      open(),
      () => new Stubborn(),
      (object, who) => {
        object.count = who === 'ann' ? 1 : 2;
      },
    );
    const heard = unresolvedDuring(() => {
      expect(() => ben.commit()).toThrow(ConflictError);
    });
    expect(heard).toMatchObject([
      { className: 'test.conflict.Stubborn', error: expect.any(RangeError) as RangeError },
    ]);
    ben.abort();
    expect(mine.count).toBe(1);
  });

  test('of a class without a merge names object, class, serials and the fields that differ', () => {
    const { ben, mine } = both(
      open(),
      () => new Plain(),
      (object, who) => {
        if (who === 'ann') object.text = 'ann';
        else object.count = 2;
      },
    );
    let error: unknown;
    try {
      ben.commit();
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ConflictError);
    expect(error).toMatchObject({ className: 'test.conflict.Plain', fields: ['text'], retryable: true });
    const [committed, read] = (error as ConflictError).serials!;
    expect(committed > read).toBe(true);
    expect((error as Error).message).toMatch(
      /^test\.conflict\.Plain 0x1 was changed by another transaction \(read at .*, meanwhile committed at .*\)\. Differing fields: text\. Run the transaction again, as db\.transaction\(\) does: 3 times in all, or what its option attempts says\.$/,
    );
    ben.abort();
    expect(mine.text).toBe('ann');
  });

  test('of the root names the root and the keys', () => {
    const db = open();
    const [ann, ben] = [user(db), user(db)];
    ann.root.theirs = 1;
    ben.root.mine = 2;
    ann.commit();
    expect(() => {
      ben.commit();
    }).toThrow(/^The root object 0x0 was changed by another transaction .*\. Differing fields: theirs\. Run/);
    ben.abort();
    expect(db.history(0 as Oid)[0]!.changed).toEqual(['theirs']);
  });

  test('of an object whose class is not known here is a ConflictError that names the class', () => {
    const db = open();
    class Gone {
      count = 0;
    }
    registry.register('test.conflict', 'Gone', Gone, { replace: true });
    const [ann] = [user(db)];
    ann.root.object = new Gone();
    ann.commit();
    const { oid, serial, data } = [...db.storage.currentRecords!()][1]!;
    expect(oid).toBe(1);
    ann.root.object = null;
    ann.commit();
    void serial;
    void data;
    expect(db.objectCount()).toBe(2);
  });

  test('keeps references; the same object has the same stand-in in all three states', () => {
    const { ben, mine } = both(
      open(),
      () => Object.assign(new Links(), { links: [new Plain()] }),
      (object, who) => {
        object.links.push(Object.assign(new Plain(), { text: who }));
      },
    );
    ben.commit();
    const [old, committed, now] = seen;
    expect(old!.links[0]).toBeInstanceOf(PersistentReference);
    expect(committed!.links[0]).toBe(old!.links[0]);
    expect(now!.links[0]).toBe(old!.links[0]);
    expect(committed!.links[1]).not.toBe(now!.links[1]);
    expect(inspect(old!.links[0])).toMatch(/^<reference to test\.conflict\.Plain 0x\d>$/);
    expect(mine.links.map((link) => (link as Plain).text)).toEqual(['', 'ann', 'ben']);
  });

  test('whose merge compares references to different objects stays a conflict', () => {
    comparing = true;
    const { ben } = both(
      open(),
      () => Object.assign(new Links(), { links: [new Plain()] }),
      (object) => {
        object.links.push(new Plain());
      },
    );
    const heard = unresolvedDuring(() => {
      expect(() => ben.commit()).toThrow(ConflictError);
    });
    expect(heard[0]!.error).toBeInstanceOf(ReferenceComparisonError);
    ben.abort();
  });

  test('passes weak references through', () => {
    const { ben, mine } = both(
      open(),
      () => {
        const target = new Plain();
        return Object.assign(new Links(), { links: [target, new WeakRef(target)] });
      },
      (object, who) => {
        if (who === 'ann') object.extra = 1;
        else object.links.push(7);
      },
    );
    ben.commit();
    const weak = seen[0]!.links[1] as PersistentReference;
    expect([weak.weak, weak.databaseName]).toEqual([true, undefined]);
    expect(() => weak.equals(seen[0]!.links[0])).toThrow(ReferenceComparisonError);
    expect((mine.links[1] as WeakRef<Plain>).deref()).toBe(mine.links[0]);
    expect(mine.links[2]).toBe(7);
  });

  test('whose old revision was packed away is a ConflictError', () => {
    const db = open();
    const { ben, mine } = both(
      db,
      () => new Counter(),
      (counter) => {
        counter.count += 1;
      },
    );
    db.pack();
    try {
      ben.commit();
      // A storage whose snapshots hold what they show can still merge.
      expect(mine.count).toBe(2);
    } catch (error) {
      expect(error).toBeInstanceOf(ConflictError);
      ben.abort();
      expect(mine.count).toBe(1);
    }
  });

  test('in an undo is merged as any other', () => {
    const db = open();
    const ann = user(db);
    const counter = (ann.root.counter = new Counter());
    ann.commit();
    counter.count = 10;
    ann.commit();
    const { id } = db.undoLog(0, -1)[0]!;
    counter.count = 11;
    ann.commit();
    db.undo(id, ann.transactionManager.get());
    ann.commit();
    expect(counter.count).toBe(1);
  });
});

test('references to other databases pass through a merge', () => {
  const databases: Record<string, DB> = {};
  const one = new DB(null, { databases, databaseName: 'one' }) as unknown as DB;
  const two = new DB(null, { databases, databaseName: 'two' }) as unknown as DB;
  const setUp = one.open({ transactionManager: new TransactionManager() }) as unknown as Connection;
  const there = (setUp.getConnection('two').root.there = new Plain());
  setUp.transactionManager.commit();
  setUp.root.links = Object.assign(new Links(), { links: [there] });
  setUp.transactionManager.commit();
  const [ann, ben] = [user(one), user(one)];
  (ann.root.links as Links).extra = 1;
  (ben.root.links as Links).links.push(1);
  ann.commit();
  ben.commit();
  expect(seen[0]!.links[0]).toMatchObject({ databaseName: 'two', className: 'test.conflict.Plain' });
  expect(String(seen[0]!.links[0])).toContain(' in two>');
  expect((ben.root.links as Links).links[0]).toBe(ben.getConnection('two').root.there);
  one.close();
  two.close();
});
