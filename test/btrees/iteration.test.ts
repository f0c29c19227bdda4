import {
  ChangedDuringIterationError,
  IOBTree,
  OOBTree,
  OOBucket,
  OOTreeSet,
  type OOBTree as Tree,
} from '../../src/btrees/index';
import { readJsonLines } from '../fixtures';
import { classOf, type AnyMapping } from './collections';

const range = (from: number, to: number, step = 1): number[] => {
  const numbers: number[] = [];
  for (let i = from; i < to; i += step) numbers.push(i);
  return numbers;
};

interface Scenario {
  start: number[];
  leaf: number;
  change(tree: AnyMapping, key: number, count: number): void;
}

/** What the labels of the fixture stand for. */
const scenarios: Record<string, Scenario> = {
  'delete each key as it is seen (20 keys, leaves of 4)': {
    start: range(0, 20),
    leaf: 4,
    change: (tree, key) => tree.delete(key),
  },
  'delete the next key': { start: range(0, 20), leaf: 4, change: (tree, key) => tree.delete(key + 1) },
  'insert larger keys': {
    start: range(0, 6),
    leaf: 4,
    change: (tree, key) => key < 500 && tree.set(key + 100, 0),
  },
  'insert the key just after': {
    start: range(0, 80, 10),
    leaf: 4,
    change: (tree, key) => tree.set(key + 1, 0),
  },
  'insert the key just before': {
    start: range(0, 80, 10),
    leaf: 4,
    change: (tree, key) => tree.set(key - 1, 0),
  },
  'clear at the third': {
    start: range(0, 20),
    leaf: 4,
    change: (tree, _key, count) => {
      if (count === 3) tree.clear();
    },
  },
  'replace values only': { start: range(0, 20), leaf: 4, change: (tree, key) => tree.set(key, 1) },
  'delete from one leaf, not split': {
    start: range(0, 10),
    leaf: 30,
    change: (tree, key) => tree.delete(key),
  },
  'pop the last while at the first': {
    start: range(0, 10),
    leaf: 30,
    change: (tree) => tree.delete(tree.maxKey()),
  },
};

interface Case {
  label: string;
  seen: number[];
  left: number[];
  err?: [string, string];
}

describe('a tree that is changed while it is iterated', () => {
  it.each(readJsonLines('btrees', 'mutation-while-iterating.jsonl') as Case[])(
    '$label',
    ({ label, seen, left, err }) => {
      const { start, leaf, change } = scenarios[label]!;
      const tree = new (classOf('OO', 'BTree', leaf, 3))(start.map((key) => [key, 0])) as AnyMapping;
      const met: unknown[] = [];
      let thrown: unknown;
      try {
        for (const key of tree.keys()) {
          met.push(key);
          change(tree, key as number, met.length);
        }
      } catch (error) {
        thrown = error;
      }
      expect(met).toEqual(seen);
      expect([...tree.keys()]).toEqual(left);
      if (err) expect(thrown).toBeInstanceOf(ChangedDuringIterationError);
      else expect(thrown).toBeUndefined();
    },
  );

  it('says so at every further step', () => {
    const tree = new OOBTree([
      [1, 1],
      [2, 2],
    ]);
    const iterator = tree.keys()[Symbol.iterator]();
    iterator.next();
    tree.delete(1);
    expect(() => iterator.next()).toThrow(ChangedDuringIterationError);
    expect(() => iterator.next()).toThrow('was changed while it was iterated');
  });

  it('is noticed from large to small keys too', () => {
    const tree = new OOBTree(range(0, 100).map((i) => [i, i]));
    const iterator = tree.keys({ reverse: true })[Symbol.iterator]();
    iterator.next();
    tree.set(98.5, 0);
    expect(() => iterator.next()).toThrow(ChangedDuringIterationError);
    expect(() => iterator.next()).toThrow(ChangedDuringIterationError);
  });
});

describe('ranges', () => {
  const tree: Tree<number, string> = new OOBTree(range(0, 1000).map((i) => [i * 2, `v${i}`]));

  it('limit, exclude and turn round', () => {
    expect([...tree.keys({ min: 10, max: 16 })]).toEqual([10, 12, 14, 16]);
    expect([...tree.keys({ min: 10, max: 16, excludeMin: true, excludeMax: true })]).toEqual([12, 14]);
    expect([...tree.keys({ min: 9, max: 13, reverse: true })]).toEqual([12, 10]);
    expect([...tree.keys({ min: 11, max: 11 })]).toEqual([]);
    expect([...tree.keys({ min: 20, max: 10 })]).toEqual([]);
    expect([...tree.entries({ min: 1996 })]).toEqual([
      [1996, 'v998'],
      [1998, 'v999'],
    ]);
    expect([...tree.values({ max: 2, reverse: true })]).toEqual(['v1', 'v0']);
  });

  it('give the same backwards as forwards, for every start and end', () => {
    for (let i = 0; i < 2000; i += 37) {
      for (const excludeMin of [false, true]) {
        const query = { min: i, max: 2000 - i, excludeMin, excludeMax: !excludeMin };
        expect([...tree.keys({ ...query, reverse: true })]).toEqual([...tree.keys(query)].reverse());
      }
    }
  });

  it('are sequences that can be used many times', () => {
    const view = tree.keys({ min: 100, max: 200 });
    expect(view.length).toBe(51);
    expect([view.at(0), view.at(-1), view.at(51), view.at(-52)]).toEqual([100, 200, undefined, undefined]);
    expect(view.slice(1, 3).toArray()).toEqual([102, 104]);
    expect(view.slice(-2).toArray()).toEqual([198, 200]);
    expect([...view]).toEqual([...view]);
    const back = tree.keys({ min: 100, max: 200, reverse: true });
    expect([back.at(0), back.at(-1)]).toEqual([200, 100]);
    expect(back.slice(1, 3).toArray()).toEqual([198, 196]);
    expect(tree.keys({ min: 1, max: 1 }).isEmpty).toBe(true);
  });

  it('serve as the iterators of a Map', () => {
    const keys = tree.keys({ max: 2 });
    expect([keys.next(), keys.next(), keys.next()]).toEqual([
      { value: 0, done: false },
      { value: 2, done: false },
      { value: undefined, done: true },
    ]);
  });

  it('of an empty tree, and of one whose root has one inner child whose leaf has one key', () => {
    const empty = new OOBTree<number, number>();
    expect([[...empty.keys({ excludeMin: true })], empty.keys().length, empty.minKey()]).toEqual([
      [],
      0,
      undefined,
    ]);
    const small = new (classOf('OO', 'BTree', 2, 2))(range(0, 30).map((i) => [i, i])) as AnyMapping;
    for (const key of range(2, 30)) small.delete(key);
    expect([...small.keys({ excludeMin: true })]).toEqual([1]);
    expect([...small.keys({ excludeMax: true })]).toEqual([0]);
    small.delete(1);
    expect([...small.keys({ excludeMin: true })]).toEqual([]);
    expect([...small.keys({ excludeMax: true, reverse: true })]).toEqual([]);
  });

  it('of a leaf end where the leaf ends', () => {
    const bucket = new OOBucket([
      ['a', 1],
      ['b', 2],
    ]);
    expect([...bucket.keys({ min: 'c' })]).toEqual([]);
    expect([...bucket.entries({ reverse: true })]).toEqual([
      ['b', 2],
      ['a', 1],
    ]);
  });

  it('excluding the first or last item crosses into the next leaf', () => {
    const set = new OOTreeSet(range(0, 100));
    expect([...set.keys({ excludeMin: true })]).toEqual(range(1, 100));
    expect([...set.keys({ excludeMax: true })]).toEqual(range(0, 99));
    for (const key of range(1, 15)) set.delete(key);
    expect([...set.keys({ excludeMin: true })]).toEqual(range(15, 100));
  });
});

describe('the Map interface', () => {
  it('has what Map has', () => {
    const tree = new IOBTree<string>([
      [3, 'c'],
      [1, 'a'],
    ]);
    expect(tree.set(2, 'b')).toBe(tree);
    expect([tree.size, tree.get(2), tree.get(9), tree.get(9, 'none'), tree.has(1)]).toEqual([
      3,
      'b',
      undefined,
      'none',
      true,
    ]);
    const seen: unknown[] = [];
    tree.forEach((value, key, collection) => seen.push([value, key, collection === tree]));
    expect(seen).toEqual([
      ['a', 1, true],
      ['b', 2, true],
      ['c', 3, true],
    ]);
    expect(new Map(tree)).toEqual(
      new Map([
        [1, 'a'],
        [2, 'b'],
        [3, 'c'],
      ]),
    );
    expect(Object.prototype.toString.call(tree)).toBe('[object IOBTree]');
    expect([tree.delete(2), tree.delete(2)]).toEqual([true, false]);
    tree.clear();
    expect([tree.size, tree.isEmpty, [...tree]]).toEqual([0, true, []]);
  });

  it('has what Set has', () => {
    const set = new OOTreeSet<string>(['b', 'a']);
    expect(set.add('c')).toBe(set);
    expect([set.size, set.has('a'), [...set.values()], [...set.entries()][0]]).toEqual([
      3,
      true,
      ['a', 'b', 'c'],
      ['a', 'a'],
    ]);
    expect([set.delete('b'), set.delete('b'), set.discard('zz')]).toEqual([true, false, false]);
    expect(new Set(set)).toEqual(new Set(['a', 'c']));
    expect(JSON.stringify(set)).toBe('["a","c"]');
  });
});

it('refuses a range that is misspelt or given by position: it would be the whole collection', () => {
  const tree = new OOBTree([['a', 1]]);
  expect(() => tree.keys({ from: 'b' } as never)).toThrow(
    'A range has no option "from"; it has min, max, excludeMin, excludeMax, reverse.',
  );
  expect(() => tree.entries('b' as never)).toThrow(/given by name/);
  expect(() => tree.values(null as never)).toThrow(/given by name/);
});
