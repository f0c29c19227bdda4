import { check, display, findProblems, OOBTree } from '../../src/btrees/index';
import { readJsonLines } from '../fixtures';
import { classOf, type Kind } from './collections';

interface Case {
  label: string;
  class: string;
  separators: number[];
  leaves: number[][];
  linked: boolean;
  check: 'ok' | string[];
  _check: 'ok' | string[];
}

interface Raw {
  __setstate__(state: unknown): void;
  content: { link: unknown };
}

/** A tree put together from its leaves, right or wrong. */
function build({ class: name, separators, leaves, linked }: Case): object {
  const [family, kind] = [name.split('.')[1]!.replace('BTree', ''), name.split('.')[2]!.slice(2) as Kind];
  const mapping = kind === 'BTree';
  const made = leaves.map((keys) => {
    const leaf = new (classOf(family, mapping ? 'Bucket' : 'Set'))() as unknown as Raw;
    leaf.__setstate__([mapping ? keys.flatMap((key) => [key, 0]) : keys]);
    return leaf;
  });
  if (linked) made.forEach((leaf, i) => (leaf.content.link = made[i + 1]));
  const tree = new (classOf(family, kind))() as unknown as Raw;
  tree.__setstate__([made.flatMap((leaf, i) => (i === 0 ? [leaf] : [separators[i - 1], leaf])), made[0]]);
  return tree;
}

describe('check', () => {
  it.each(readJsonLines('btrees', 'check.jsonl') as Case[])('$class: $label', (one) => {
    const problems = findProblems(build(one)).map(
      ({ message, node, path }) =>
        `${message}, in ${node.replace(/^a /, '')} (..), path from root ${path.join('.')}`,
    );
    const expected: string[] = [];
    if (one._check !== 'ok') expected.push(...one._check);
    if (one.check !== 'ok') expected.push(...one.check.slice(1));
    expect(problems.length).toBe(expected.length);
    for (const line of expected) expect(problems.some((problem) => problem.startsWith(line))).toBe(true);
    if (expected.length > 0) expect(() => check(build(one))).toThrow('Errors found in');
    else check(build(one));
  });

  it('finds wrong first leaves, depths and types', () => {
    const leaf = (...keys: number[]): Raw => {
      const made = new (classOf('II', 'Set'))() as unknown as Raw;
      made.__setstate__([keys]);
      return made;
    };
    const tree = (...state: unknown[]): Raw => {
      const made = new (classOf('II', 'TreeSet'))() as unknown as Raw;
      made.__setstate__(state);
      return made;
    };
    const [a, b] = [leaf(1), leaf(5)];
    a.content.link = b;
    const messages = (root: Raw): string[] => findProblems(root).map(({ message }) => message);
    expect(messages(tree([a, 5, b], b))).toEqual([
      'Bottom-level BTree node has inconsistent firstbucket belief',
    ]);
    expect(messages(tree([tree([a], a), 5, b], a))).toContain('BTree children have different types');
    expect(messages(tree([tree([a, 5, b], a)], b))).toEqual([
      "BTree has firstbucket different than its first child's firstbucket",
    ]);
  });

  it('checks nothing but collections', () => {
    expect(() => check({})).toThrow('is no tree, bucket or set');
  });
});

describe('display', () => {
  it('shows the nodes', () => {
    const tree = new (classOf('OO', 'BTree', 2, 2))([1, 2, 3, 4, 5].map((i) => [i, i]));
    expect(display(tree)).toBe(
      [
        'OOBTree: 2 children [3]',
        '  OOBTree: 2 children [2]',
        '    OOBucket: 1 item [1]',
        '    OOBucket: 1 item [2]',
        '  OOBTree: 2 children [4]',
        '    OOBucket: 1 item [3]',
        '    OOBucket: 2 items [4, 5]',
      ].join('\n'),
    );
    expect(display(tree, { depth: 0 })).toBe('OOBTree: 2 children [3]');
    expect(display(new OOBTree())).toBe('OOBTree: 0 children []');
  });
});
