/** Every way to a value of a collection hands it out as `get` does: references followed, plain values watched. */
import { difference, OOBTree, type BTree } from '../../src/btrees/index';
import { DB } from '../../src/database/index';
import { persistent } from '../../src/persistence/index';

@persistent('test.btrees.handed-out.Item')
class Item {
  constructor(public rank: number) {}

  compareTo(other: Item): number {
    return this.rank - other.rank;
  }
}

type Tree<V> = BTree<string, V>;

/** A tree of so many entries, loaded anew for each transaction. */
function stored<V>(length: number, make: (i: number) => V) {
  const entries = Array.from({ length }, (_, i): [string, V] => [
    `key ${String(i).padStart(3, '0')}`,
    make(i),
  ]);
  const db = new DB(null, { root: { tree: () => new OOBTree<string, V>(entries) } });
  const work = <T>(fn: (tree: Tree<V>) => T): T => {
    db.resetCaches();
    return db.transaction(({ tree }) => fn(tree));
  };
  return { db, work };
}

describe.each([3, 100])('in a tree of %i entries', (length) => {
  test.each<[string, (tree: Tree<number[]>) => Iterable<readonly [string, number[]]>]>([
    ['entries()', (tree) => tree.entries()],
    ['byValue()', (tree) => tree.byValue([]).map(([list, key]) => [key, list] as const)],
    ['difference()', (tree) => difference(tree as never, []) as Iterable<[string, number[]]>],
    ['the method difference()', (tree) => tree.difference([])],
    ['toJSON()', (tree) => tree.toJSON()],
  ])('a change inside a value from %s is stored', (_name, read) => {
    const { db, work } = stored(length, (i) => [i]);
    work((tree) => {
      for (const [, list] of read(tree)) list.push(-1);
    });
    expect(work((tree) => [...tree.values()].map((list) => list.length))).toEqual(Array(length).fill(2));
    db.close();
  });

  test('byValue() and difference() give the objects that values refer to', () => {
    const { db, work } = stored(length, (i) => new Item(i));
    work((tree) => {
      const [[best, key] = []] = tree.byValue(new Item(1));
      expect([best?.rank, key]).toEqual([length - 1, tree.maxKey()]);
      expect(tree.byValue(new Item(1))).toHaveLength(length - 1);
    });
    work((tree) => {
      const rest = tree.difference([tree.minKey()!]);
      expect([...rest.values()].map((item) => item.rank)).toEqual(
        Array.from({ length: length - 1 }, (_, i) => i + 1),
      );
    });
    db.close();
  });
});

test('what difference() took out of a tree is copied where it is stored', () => {
  const { db, work } = stored(3, (i) => [i]);
  work((tree) => {
    const rest = tree.difference([]);
    tree.set('rest', rest as never);
  });
  work((tree) => {
    (tree.get('rest') as unknown as Tree<number[]>).get('key 001')!.push(5);
  });
  work((tree) => {
    expect([tree.get('key 001'), (tree.get('rest') as unknown as Tree<number[]>).get('key 001')]).toEqual([
      [1],
      [1, 5],
    ]);
  });
  db.close();
});
