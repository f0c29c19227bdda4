/** Trees in a connection that keeps few objects: what is read out of their leaves, and what stands in them. */
import { IOBTree, type BTree } from '../../src/btrees/index';
import { DB } from '../../src/database/index';
import { persistent, PersistentWeakKeyDictionary } from '../../src/persistence/index';
import { TransactionManager } from '../../src/transaction/index';

@persistent('test.btrees.eviction.Other')
class Other {
  constructor(public n: number) {}
}

interface Count {
  count: number;
}

const OTHERS = 1000;

/** A tree of plain values, and other objects to fill the cache with. */
function database(entries: readonly unknown[]) {
  const db = new DB(null, {
    cacheSize: 20,
    root: {
      tree: () => new IOBTree<unknown>(entries.map((value, key) => [key, value])),
      others: () => new IOBTree<Other>(Array.from({ length: OTHERS }, (_, i) => [i, new Other(i)])),
      weak: () => new PersistentWeakKeyDictionary<Other, Count | number>(),
    },
  });
  db.transaction((root) => {
    for (let i = 0; i < 10; i++) root.weak.set(root.others.get(i)!, i < 9 ? i : { count: 0 });
  });
  db.resetCaches();
  return db;
}

/** Loads so many other objects, each time the next ones. */
function loader(others: BTree<number, Other>): (count: number) => void {
  let next = OTHERS - 1;
  return (count) => {
    for (const last = next - count; next > last; next--) expect(others.get(next)!.n).toBe(next);
  };
}

// With 20 objects to keep and a slack of 64, what was read is set aside when some 85 objects are there, and dropped with the next 64.
const distances = Array.from({ length: 25 }, (_, i) => i * 10);

describe('a plain value in a leaf', () => {
  const counts = (length: number): Count[] => Array.from({ length }, () => ({ count: 0 }));

  test.each([
    ['of its own record', 500],
    ['in the record of its tree', 10],
  ])('%s is saved when it is changed, however long ago the leaf was read', (_, size) => {
    const db = database(counts(size));
    for (const [i, distance] of distances.entries()) {
      db.resetCaches();
      db.transaction(({ tree, others }) => {
        expect(tree.has(3)).toBe(true);
        loader(others)(distance);
        (tree.get(3) as Count).count += 1;
      });
      db.resetCaches();
      expect(db.transaction(({ tree }) => tree.get(3))).toEqual({ count: i + 1 });
    }
    db.close();
  });

  test('is saved when the leaf was set aside at the end of an earlier transaction', () => {
    const db = database(counts(500));
    for (const [i, distance] of distances.entries()) {
      db.resetCaches();
      const transactionManager = new TransactionManager();
      const connection = db.open({ transactionManager });
      const { tree, others } = connection.root;
      expect(tree.has(3)).toBe(true);
      loader(others)(distance);
      transactionManager.commit();
      (tree.get(3) as Count).count += 1;
      transactionManager.commit();
      connection.close();
      db.resetCaches();
      expect(db.transaction((root) => root.tree.get(3))).toEqual({ count: i + 1 });
    }
    db.close();
  });

  test('is not sealed before the end of the transaction that read it', () => {
    const db = database(Array.from({ length: 500 }, () => new Map([['count', 0]])));
    for (const distance of distances) {
      db.resetCaches();
      db.transaction(({ tree, others }) => {
        const load = loader(others);
        expect(tree.has(3)).toBe(true);
        load(distance);
        const map = tree.get(3) as Map<string, number>;
        load(200);
        map.set('count', distance);
      });
      db.resetCaches();
      expect(db.transaction(({ tree }) => tree.get(3))).toEqual(new Map([['count', distance]]));
    }
    db.close();
  });

  test.each(distances)('that an iteration comes to after it has loaded %i objects is saved', (distance) => {
    const db = database([0, 1, 2, { count: 0 }]);
    db.transaction(({ tree, others }) => {
      const load = loader(others);
      for (const value of tree.values())
        if (typeof value === 'number') load(distance);
        else (value as Count).count += 1;
    });
    db.resetCaches();
    expect(db.transaction((root) => root.tree.get(3))).toEqual({ count: 1 });
    db.close();
  });
});

test('a value that an iteration over weak keys comes to is saved, whatever was loaded meanwhile', () => {
  for (const distance of distances) {
    const db = database([]);
    db.transaction(({ weak, others }) => {
      const load = loader(others);
      for (const [, value] of weak)
        if (typeof value === 'number') load(Math.ceil(distance / 3));
        else value.count += 1;
    });
    db.resetCaches();
    expect(db.transaction(({ weak, others }) => weak.get(others.get(9)!))).toEqual({ count: 1 });
    db.close();
  }
});

test('a view of a tree of one leaf shows what is committed after an abort, and what others committed', () => {
  const db = database(['a', 'b', 'c']);
  const transactionManager = new TransactionManager();
  const connection = db.open({ transactionManager });
  const { tree } = connection.root;
  const [values, backwards] = [tree.values(), tree.values({ reverse: true })];
  tree.set(1, 'changed');
  expect([...values]).toEqual(['a', 'changed', 'c']);
  transactionManager.abort();
  expect([...values]).toEqual(['a', 'b', 'c']);
  db.transaction((root) => root.tree.set(2, 'theirs'));
  transactionManager.begin();
  expect([...values]).toEqual(['a', 'b', 'theirs']);
  expect([...backwards]).toEqual(['theirs', 'b', 'a']);
  expect(values.at(2)).toBe('theirs');
  connection.close();
  db.close();
});

test('many objects that were let go of leave no room for more than are to be kept', () => {
  const db = database([]);
  const transactionManager = new TransactionManager();
  const connection = db.open({ transactionManager });
  const { others } = connection.root;
  const held = [...others.values()];
  for (const other of held) other.n += 1;
  transactionManager.commit();
  connection.cacheMinimize();
  transactionManager.commit();
  for (let i = 0; i < OTHERS; i++) {
    expect(others.get(i)!.n).toBe(i + 1);
    expect(connection.cacheStatistics.loaded).toBeLessThan(250);
  }
  connection.close();
  db.close();
});
