import { readJson } from '../fixtures';
import { classOf, structureOf, type AnyMapping, type AnySet, type Kind } from './collections';

interface Case {
  order: 'ascending' | 'descending' | 'scattered';
  count: number;
  step: number | null;
  leaf_sizes: number[];
  separators: unknown[];
}
interface Sizes {
  family: string;
  kind: Kind;
  max_leaf_size: number;
  max_internal_size: number;
  keys: string;
  cases: Case[];
}
interface Split {
  family: string;
  events: {
    after_inserting: number;
    root_children: number;
    children_are_trees: boolean;
    child_lengths?: number[];
  }[];
}
interface Structure {
  k: unknown[];
  c?: Structure[];
}

const { default_node_sizes: sizes, root_splits: splits } = readJson('btrees', 'shapes.json') as {
  default_node_sizes: Sizes[];
  root_splits: Split[];
};

/** Key number `i` of a rule in words: `… is -20 + i`, `… is -50000000000 + i * 10000000000`, `… is the integer i`, `… is i as two big-endian bytes`. */
function keyMaker(rule: string): (i: number) => unknown {
  if (rule.endsWith('i as two big-endian bytes')) return (i) => Uint8Array.of(i >> 8, i & 0xff);
  if (rule.endsWith('is the integer i')) return (i) => i;
  const [, start, step = '1'] = /is (-?\d+) \+ i(?: \* (\d+))?$/.exec(rule)!;
  return (i) => BigInt(start!) + BigInt(i) * BigInt(step);
}

describe.each(sizes)(
  '$family$kind',
  ({ family, kind, max_leaf_size, max_internal_size, keys: rule, cases }) => {
    const type = classOf(family, kind);

    it('has the node sizes of Python', () => {
      const { maxLeafSize, maxInternalSize } = type as unknown as {
        maxLeafSize: number;
        maxInternalSize: number;
      };
      expect([maxLeafSize, maxInternalSize]).toEqual([max_leaf_size, max_internal_size]);
    });

    it.each(cases)(
      'splits as Python does after $count $order inserts',
      ({ order, count, step, leaf_sizes, separators }) => {
        const made = keyMaker(rule);
        const tree = new type();
        for (let i = 0; i < count; i++) {
          const at = order === 'ascending' ? i : order === 'descending' ? count - 1 - i : (i * step!) % count;
          if (kind === 'BTree') (tree as AnyMapping).set(made(at), valueFor(family));
          else (tree as AnySet).add(made(at));
        }
        const structure = structureOf(tree) as Structure;
        expect(structure.c!.map((leaf) => leaf.k.length)).toEqual(leaf_sizes);
        expect(structure.k.map((key) => JSON.stringify(written(key)))).toEqual(
          separators.map((key) => JSON.stringify(key)),
        );
      },
    );
  },
);

function written(key: unknown): unknown {
  if (typeof key === 'bigint') return { $int: String(key) };
  return key instanceof Uint8Array ? { $bytes: Buffer.from(key).toString('hex') } : key;
}

function valueFor(family: string): unknown {
  return family.endsWith('s') ? new Uint8Array(6) : 1;
}

describe.each(splits)('root of $family', ({ family, events }) => {
  it('splits when Python splits it', () => {
    const tree = new (classOf(family, 'BTree'))() as AnyMapping;
    let at = 0;
    for (const { after_inserting, root_children, children_are_trees, child_lengths } of events) {
      for (; at < after_inserting - 1; at++) tree.set(at, at);
      const root = tree as unknown as {
        content: { length: number; slots: { content: { length: number; leaf: boolean } }[] };
      };
      const before = root.content.length;
      tree.set(at, at);
      at += 1;
      expect(before).not.toBe(root_children);
      expect([at, root.content.length]).toEqual([after_inserting, root_children]);
      expect(root.content.slots[0]!.content.leaf).toBe(!children_are_trees);
      if (child_lengths)
        expect(root.content.slots.map((child) => child.content.length)).toEqual(child_lengths);
    }
  });
});
