/** What a program put into a collection before it was first saved, it may hold: as what it put into a field. */
import { OOBTree } from '../../src/btrees/index';
import { DB } from '../../src/database/index';
import {
  persistent,
  PersistentList,
  PersistentMapping,
  PersistentWeakKeyDictionary,
} from '../../src/persistence/index';
import { TransactionManager } from '../../src/transaction/index';

@persistent('new-collections.Box')
class Box {
  constructor(public value: unknown) {}
}

function opened() {
  const db = new DB();
  const manager = new TransactionManager();
  const connection = db.open({ transactionManager: manager });
  return { db, manager, connection, root: connection.root as Record<string, unknown> };
}

const kinds: [string, (value: unknown) => object, (collection: never) => unknown][] = [
  [
    'a PersistentMapping',
    (value) => new PersistentMapping([['a', value]]),
    (map: Map<string, unknown>) => map.get('a'),
  ],
  ['a PersistentList', (value) => new PersistentList([value]), (list: unknown[]) => list[0]],
  ['a tree', (value) => new OOBTree([['a', value]]), (tree: Map<string, unknown>) => tree.get('a')],
  [
    'a tree of many leaves',
    (value) =>
      new OOBTree([
        ...Array.from({ length: 100 }, (_, i): [string, unknown] => [`b${String(i)}`, i]),
        ['a', value],
      ]),
    (tree: Map<string, unknown>) => tree.get('a'),
  ],
  [
    'a PersistentWeakKeyDictionary',
    (value) => new PersistentWeakKeyDictionary([[new Box(0), value]]),
    (map: Map<object, unknown>) => [...map.values()][0],
  ],
];

describe.each(kinds)('%s', (_name, make, read) => {
  const at = (root: Record<string, unknown>, name: string): unknown => read(root[name] as never);

  test('that was made with a value finds changes in it, whoever else got the same', () => {
    const { db, manager, connection, root } = opened();
    const value = [1];
    Object.assign(root, { first: make(value), second: make(value) });
    manager.commit();
    value.push(2);
    manager.commit();
    expect(at(root, 'first')).not.toBe(at(root, 'second'));
    const stored = db.transaction((fresh) =>
      [at(fresh, 'first'), at(fresh, 'second')].map((list) => [...(list as number[])]),
    );
    expect(stored).toEqual([at(root, 'first'), at(root, 'second')]);
    expect(stored.flat()).toContain(2);
    connection.close();
    db.close();
  });

  test.each<[string, () => object]>([
    ['a list', () => [1]],
    ['a Map', () => new Map([[1, [2]]])],
    ['a tuple', () => Object.freeze([new Set([1])])],
  ])('that was made with %s of another object, or an evicted one, has a copy of its own', (_kind, value) => {
    const { db, manager, connection, root } = opened();
    root['box'] = new Box(value());
    manager.commit();
    const held = (root['box'] as Box).value;
    root['first'] = make(held);
    manager.commit();
    expect(at(root, 'first')).not.toBe(held);
    connection.cacheMinimize();
    root['second'] = make(held);
    manager.commit();
    connection.cacheMinimize();
    for (const name of ['first', 'second']) {
      expect(at(root, name)).toEqual(value());
      expect(Object.isFrozen(at(root, name))).toBe(Object.isFrozen(value()));
    }
    connection.close();
    db.close();
  });
});

test('a value that a split put into a new leaf is a copy when it was evicted, or belongs to another object', () => {
  const { db, manager, connection, root } = opened();
  const tree = new OOBTree<number, unknown>(Array.from({ length: 28 }, (_, i) => [i, i]));
  Object.assign(root, { box: new Box([1]), other: new Box(new Map([[1, 2]])), tree });
  manager.commit();
  const held = (root['other'] as Box).value;
  connection.cacheMinimize();
  tree.set(50, (root['box'] as Box).value);
  tree.set(51, held);
  for (let i = 100; i < 200; i++) tree.set(i, i);
  manager.commit();
  expect(tree.get(50)).not.toBe((root['box'] as Box).value);
  connection.cacheMinimize();
  (tree.get(50) as number[]).push(2);
  (tree.get(51) as Map<number, number>).set(3, 4);
  manager.commit();
  expect(
    db.transaction((fresh) => [50, 51].map((n) => structuredClone((fresh['tree'] as typeof tree).get(n)))),
  ).toEqual([
    [1, 2],
    new Map([
      [1, 2],
      [3, 4],
    ]),
  ]);
  connection.close();
  db.close();
});
