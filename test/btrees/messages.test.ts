/** What errors about keys and values say: the key, the collection, the range. */
import { DB } from '../../src/database/index';
import { families, InvalidKeyError, InvalidValueError, IOBTree, OOBTree } from '../../src/btrees/index';
import { PersistentMapping } from '../../src/persistence/index';
import { classOf, type AnyMapping } from './collections';

const sets: [string, unknown, string][] = [
  [
    'IO',
    2 ** 31,
    "2147483648 can't be a key: keys of IOBTree are signed 32-bit integers (-2147483648 … 2147483647).",
  ],
  ['UO', -1, "-1 can't be a key: keys of UOBTree are unsigned 32-bit integers (0 … 4294967295)."],
  [
    'LO',
    2 ** 60,
    "1152921504606847000 can't be a key: keys of LOBTree are signed 64-bit integers (-2^63 … 2^63 - 1, beyond 2^53 as bigints).",
  ],
  [
    'QO',
    'x',
    "'x' can't be a key: keys of QOBTree are unsigned 64-bit integers (0 … 2^64 - 1, beyond 2^53 as bigints).",
  ],
  ['fs', 'ab', "'ab' can't be a key: keys of fsBTree are exactly 2 bytes."],
  [
    'OO',
    { a: 1 },
    "{ a: 1 } can't be a key: it has no order. Keys are strings, numbers, bigints, bytes, dates, frozen arrays of these, null, or objects with a compareTo method.",
  ],
  ['OO', NaN, "NaN can't be a key: it has no place in an order."],
  [
    'OO',
    new PersistentMapping(),
    "A persistent object (PersistentMapping) can't be a key: to compare keys must not load objects. Use one of its fields, or its oid.",
  ],
];

it.each(sets)('%s: a key', (family, key, message) => {
  const tree = new (classOf(family, 'BTree'))() as AnyMapping;
  expect(() => tree.set(key, 1)).toThrow(new InvalidKeyError(key, message));
  if (family === 'OO') return;
  expect(() => tree.keys({ min: key })).toThrow(message);
  expect(() => tree.delete(key)).toThrow(message);
});

it.each([
  [
    'II',
    1.5,
    "1.5 can't be a value: values of IIBTree are signed 32-bit integers (-2147483648 … 2147483647).",
  ],
  ['IF', 'x', "'x' can't be a value: values of IFBTree are numbers."],
])('%s: a value', (family, value, message) => {
  const tree = new (classOf(family, 'BTree'))() as AnyMapping;
  expect(() => tree.set(1, value)).toThrow(new InvalidValueError(value, message));
});

it('a key of another order than the rest', () => {
  const tree = new OOBTree<unknown, number>([['a', 1]]);
  expect(() => tree.set(1, 1)).toThrow(
    "1 (number) can't be compared with the key 'a' (string): all keys of a collection must be of one order.",
  );
});

it('a class of its own is called by its name', () => {
  class Prices extends (families.II!.BTree as unknown as new () => AnyMapping) {}
  expect(() => new Prices().set('x', 1)).toThrow('keys of Prices are signed 32-bit integers');
});

describe('a value that can not be saved stands under its key', () => {
  const unsavable = { list: [1, { callback: (): number => 1 }] };
  const where = 'list[1].callback: functions cannot be saved';

  it.each([
    ['alone in a tree', [['lamp', unsavable]], "BTrees.OOBTree.OOBTree.get('lamp')."],
    [
      'behind others',
      [
        ['a', 1],
        ['lamp', unsavable],
      ],
      "BTrees.OOBTree.OOBTree.get('lamp').",
    ],
    [
      'in a leaf of its own',
      Array.from({ length: 100 }, (_, i) => [`k${i}`, i === 77 ? unsavable : i]),
      "BTrees.OOBTree.OOBucket.get('k77').",
    ],
  ] as [string, [string, unknown][], string][])('%s', (_, entries, path) => {
    const db = new DB();
    expect(() => {
      db.transaction((root) => {
        root.tree = new OOBTree(entries);
      });
    }).toThrow(`${path}${where}`);
    db.close();
  });

  it('of a number', () => {
    const db = new DB();
    expect(() => {
      db.transaction((root) => {
        root.tree = new IOBTree([[5, unsavable]]);
      });
    }).toThrow(`BTrees.IOBTree.IOBTree.get(5).${where}`);
    db.close();
  });
});
