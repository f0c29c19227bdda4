/** Trees in a database: values, references, aborts, savepoints, conflicts, names. */
import {
  BTreesConflictError,
  check,
  ChangedDuringIterationError,
  InvalidValueError,
  IOBTree,
  Length,
  OOBTree,
  OOBucket,
  OOTreeSet,
  type BTree,
} from '../../src/btrees/index';
import { DB, type Connection } from '../../src/database/index';
import { ConflictError, ReadConflictError } from '../../src/errors';
import { persistent, Registry, registry, type AnyClass } from '../../src/persistence/index';
import { TransactionManager } from '../../src/transaction/index';
import type { AnyMapping } from './collections';

@persistent('test.btrees.Item')
class Item {
  constructor(public n: number) {}
}

interface Root {
  tree: BTree<unknown, unknown>;
  [name: string]: unknown;
}

interface User {
  root: Root;
  conn: Connection;
  commit(): void;
  abort(): void;
}

function databaseWith(tree: BTree<never, never> | object): { db: DB; user: () => User } {
  const db = new DB(null);
  db.transaction((root) => {
    (root as Record<string, unknown>).tree = tree;
  });
  return {
    db,
    user() {
      const manager = new TransactionManager();
      const conn = db.open({ transactionManager: manager });
      conn.cacheMinimize();
      return {
        root: conn.root as unknown as Root,
        conn: conn as unknown as Connection,
        commit: () => manager.commit(),
        abort: () => manager.abort(),
      };
    },
  };
}

describe('values', () => {
  it.each([1, 100])('that are changed in place are stored, in a tree of %i entries', (count) => {
    const { user } = databaseWith(
      new OOBTree(Array.from({ length: count }, (_, i) => [`k${i}`, { list: [i] }])),
    );
    const first = user();
    (first.root.tree.get('k0') as { list: number[] }).list.push(7);
    const [value] = first.root.tree.values({ max: 'k0' });
    expect(value).toEqual({ list: [0, 7] });
    first.commit();
    const iterated = first.root.tree.entries().at(-1)![1] as { list: number[] };
    iterated.list.push(8);
    first.commit();
    const second = user();
    expect(second.root.tree.get('k0')).toEqual(count === 1 ? { list: [0, 7, 8] } : { list: [0, 7] });
    expect([...second.root.tree.values()].at(-1)).toMatchObject({
      list: expect.arrayContaining([8]) as unknown,
    });
  });

  it('that were put in and changed after the commit are stored', () => {
    const value = { n: 1 };
    const { user } = databaseWith(new OOBTree());
    const first = user();
    for (let i = 0; i < 100; i++) first.root.tree.set(i, i === 50 ? value : { n: i });
    first.commit();
    value.n = 99;
    first.commit();
    expect(user().root.tree.get(50)).toEqual({ n: 99 });
  });

  it('changed in a split leaf of a new tree are stored', () => {
    const tree = new OOBTree<number, { n: number }>();
    const held = Array.from({ length: 100 }, (_, i) => ({ n: i }));
    held.forEach((value, i) => tree.set(i, value));
    const { user } = databaseWith(tree);
    const first = user();
    const values = [...first.root.tree.values()] as { n: number }[];
    for (const value of values) value.n += 1000;
    first.commit();
    expect([...user().root.tree.values()].every((value, i) => (value as { n: number }).n === i + 1000)).toBe(
      true,
    );
  });

  it('go back on abort', () => {
    const { user } = databaseWith(new OOBTree([['a', [1]]]));
    const first = user();
    (first.root.tree.get('a') as number[]).push(2);
    first.abort();
    expect(first.root.tree.get('a')).toEqual([1]);
  });

  it('of a type that does not fit are refused, and nothing is written', () => {
    const { user } = databaseWith(new IOBTree([[1, 'x']]));
    const first = user();
    const OI = new OOBTree<string, unknown>();
    expect(OI.isEmpty).toBe(true);
    expect(() => first.root.tree.set('text', 1)).toThrow('keys of IOBTree are signed 32-bit integers');
    expect(() => first.root.tree.set(2 ** 31, 1)).toThrow(
      "2147483648 can't be a key: keys of IOBTree are signed 32-bit integers (-2147483648 … 2147483647).",
    );
    expect(() => first.root.tree.set(1.5, 1)).toThrow("1.5 can't be a key: keys of IOBTree");
    expect(() => new Length().change(1.5)).toThrow(InvalidValueError);
    expect([...first.root.tree]).toEqual([[1, 'x']]);
    expect(first.conn.cacheStatistics.changed).toBe(0);
  });
});

describe('references', () => {
  it('stay unloaded until they are followed, and are loaded in batches', () => {
    const { user } = databaseWith(new IOBTree(Array.from({ length: 500 }, (_, i) => [i, new Item(i)])));
    const { root, conn } = user();
    expect(root.tree.has(250)).toBe(true);
    expect([...root.tree.keys()].length).toBe(500);
    const before = conn.cacheStatistics.loads;
    expect((root.tree.get(7) as Item).n).toBe(7);
    expect(conn.cacheStatistics.loads - before).toBe(1);
    expect(root.tree.get(7)).toBe(root.tree.get(7));
    expect([...root.tree.values()].map((item) => (item as Item).n)).toEqual(
      Array.from({ length: 500 }, (_, i) => i),
    );
    expect([...root.tree.values({ reverse: true })].length).toBe(500);
  });

  it('to other trees work', () => {
    const inner = new OOTreeSet(['x']);
    const { user } = databaseWith(new OOBTree<string, unknown>([['inner', inner]]));
    const first = user();
    (first.root.tree.get('inner') as OOTreeSet<string>).add('y');
    first.commit();
    expect([...(user().root.tree.get('inner') as OOTreeSet<string>)]).toEqual(['x', 'y']);
  });
});

describe('transactions', () => {
  it('take everything back on abort, new leaves too', () => {
    const { user } = databaseWith(new OOBTree([['a', 1]]));
    const first = user();
    for (let i = 0; i < 1000; i++) first.root.tree.set(`k${i}`, i);
    first.abort();
    expect([...first.root.tree]).toEqual([['a', 1]]);
    first.root.tree.set('b', 2);
    first.commit();
    expect([...user().root.tree.keys()]).toEqual(['a', 'b']);
  });

  it('roll back to savepoints', () => {
    const { user } = databaseWith(new OOBTree([['a', 1]]));
    const first = user();
    for (let i = 0; i < 100; i++) first.root.tree.set(`k${i}`, i);
    const savepoint = first.conn.transactionManager.savepoint();
    for (let i = 0; i < 200; i++) first.root.tree.set(`m${i}`, i);
    for (let i = 0; i < 50; i++) first.root.tree.delete(`k${i}`);
    savepoint.rollback();
    expect(first.root.tree.size).toBe(101);
    check(first.root.tree);
    first.commit();
    const { tree } = user().root;
    expect(tree.size).toBe(101);
    check(tree);
  });

  it('that insert different keys into one leaf both commit', () => {
    const { user } = databaseWith(new OOBTree([['m', 0]]));
    const [ann, bob] = [user(), user()];
    ann.root.tree.set('a2', 1);
    bob.root.tree.set('z', 2);
    ann.commit();
    bob.commit();
    expect([...bob.root.tree.keys()]).toEqual(['a2', 'm', 'z']);
  });

  it('that insert different keys into one leaf of a larger tree both commit', () => {
    const { user } = databaseWith(new OOBTree(Array.from({ length: 100 }, (_, i) => [i * 10, i])));
    const [ann, bob] = [user(), user()];
    ann.root.tree.set(11, 1);
    bob.root.tree.set(12, 2);
    bob.root.tree.delete(20);
    ann.commit();
    bob.commit();
    ann.abort();
    expect([...ann.root.tree.keys({ min: 10, max: 30 })]).toEqual([10, 11, 12, 30]);
    check(ann.root.tree);
  });

  it('that change one key conflict', () => {
    const { user } = databaseWith(new OOBTree([['m', 0]]));
    const [ann, bob] = [user(), user()];
    ann.root.tree.set('m', 1);
    bob.root.tree.set('m', 2);
    ann.commit();
    expect(() => bob.commit()).toThrow(ConflictError);
    bob.abort();
    expect(bob.root.tree.get('m')).toBe(1);
  });

  it('that insert below an inner node that another one changed conflict', () => {
    const { user } = databaseWith(new OOBTree(Array.from({ length: 40 }, (_, i) => [i * 10, i])));
    const [ann, bob] = [user(), user()];
    for (let i = 1; i < 10; i++) for (let j = 0; j < 4; j++) ann.root.tree.set(i + j * 10, 0);
    bob.root.tree.set(395, 0);
    ann.commit();
    expect(() => bob.commit()).toThrow(ReadConflictError);
  });

  it('that change a Length at once add up', () => {
    const { user } = databaseWith(new Length(5));
    const [ann, bob] = [user(), user()];
    (ann.root.tree as unknown as Length).change(3);
    (bob.root.tree as unknown as Length).change(-1);
    ann.commit();
    bob.commit();
    ann.abort();
    const length = ann.root.tree as unknown as Length;
    expect([length.value, Number(length), JSON.stringify(length)]).toEqual([7, 7, '7']);
    length.set(2 ** 53 - 1);
    length.change(2);
    expect(length.value).toBe(2n ** 53n + 1n);
    ann.commit();
    expect((user().root.tree as unknown as Length).value).toBe(2n ** 53n + 1n);
  });

  it('show a tree that another one changed under an iteration', () => {
    const { user } = databaseWith(
      new OOBTree([
        ['a', 1],
        ['b', 2],
        ['c', 3],
      ]),
    );
    const [ann, bob] = [user(), user()];
    const keys = ann.root.tree.keys()[Symbol.iterator]();
    keys.next();
    keys.next();
    bob.root.tree.delete('a');
    bob.root.tree.delete('b');
    bob.commit();
    ann.abort();
    // The iterator goes on in the leaf it holds; a new one sees the new tree.
    expect([...ann.root.tree.keys()]).toEqual(['c']);
    try {
      keys.next();
    } catch (error) {
      expect(error).toBeInstanceOf(ChangedDuringIterationError);
    }
  });
});

describe('classes', () => {
  it('can be subclassed: inner nodes are of the subclass', () => {
    class Index extends OOBTree<number, string> {
      static override maxLeafSize = 4;
      static override maxInternalSize = 4;
      constructor(readonly title = 'untitled') {
        super();
        if (new.target === undefined) throw new Error('never');
      }
    }
    registry.register('test.btrees', 'Index', Index);
    const index = new Index();
    for (let i = 0; i < 200; i++) index.set(i, `v${i}`);
    const { user } = databaseWith(index);
    const { tree } = user().root;
    expect(tree).toBeInstanceOf(Index);
    expect(tree.size).toBe(200);
    check(tree);
    registry.unregister(Index);
  });

  it('are known under the names of old databases and of other registries', () => {
    const other = new Registry();
    expect(other.find('BTrees.OOBTree', 'OOBTree')?.ctor).toBe(OOBTree);
    expect(registry.find('BTrees._OOBTree', 'OOBucket')?.ctor).toBe(OOBucket);
    expect(registry.find('BTrees.OOBTree', 'OOTreeSetPy')?.ctor).toBe(OOTreeSet);
    expect(registry.find('BTrees.Length', 'Length')?.ctor).toBe(Length);
  });

  it('give a subclass with a way of its own the state as it is stored', () => {
    const seen: unknown[] = [];
    class Noting extends (OOBucket as unknown as new () => AnyMapping) {
      override __setstate__(state: unknown): void {
        seen.push(state);
        super.__setstate__(state);
      }
    }
    registry.register('test.btrees', 'Noting', Noting as unknown as AnyClass);
    const bucket = new Noting();
    bucket.set('a', 1).set('b', 2);
    const { user } = databaseWith(bucket);
    const { root, conn } = user();
    conn.cacheMinimize();
    expect([...(root.tree as unknown as AnyMapping)]).toEqual([
      ['a', 1],
      ['b', 2],
    ]);
    expect(seen).toEqual([[['a', 1, 'b', 2]]]);
    registry.unregister(Noting);
  });

  it('carry the reason of a conflict', () => {
    const error = new BTreesConflictError([1, 2, -1], 4);
    expect([error.message, error.code, error.retryable]).toEqual([
      'BTrees conflict error at 1/2/-1: Conflicting inserts or deletes',
      'BTREES_CONFLICT',
      true,
    ]);
  });
});
