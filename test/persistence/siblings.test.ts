import { POSKeyError } from '../../src/errors';
import type { Oid } from '../../src/ids';
import { oidOf, persistent, statusOf } from '../../src/persistence/index';
import { MapJar, Records } from './map-jar';

@persistent('siblings.Node')
class Node {
  name: string;
  text = '';
  children: Node[] = [];
  others: Node[] = [];
  constructor(name: string, children: Node[] = []) {
    this.name = name;
    this.children = children;
  }
}

/** A jar on a stored root with so many children, each with so many of its own. */
function family(
  children: number,
  grandchildren: number,
  options: ConstructorParameters<typeof MapJar>[1] = {},
  text = '',
): { jar: MapJar; root: Node; records: Records } {
  const records = new Records();
  const first = new MapJar(records);
  const made = (name: string, list: Node[] = []): Node => Object.assign(new Node(name, list), { text });
  const root = made(
    'root',
    Array.from({ length: children }, (_, i) =>
      made(
        `${i}`,
        Array.from({ length: grandchildren }, (_, k) => made(`${i}.${k}`)),
      ),
    ),
  );
  const oid = first.cache.add(root);
  first.commit();
  const jar = new MapJar(records, options);
  return { jar, root: jar.cache.get(oid) as Node, records };
}

const names = (nodes: readonly Node[]): string[] => nodes.map(({ name }) => name);

test('who follows one sibling after the other gets the next ones in batches that double', () => {
  const { jar, root } = family(30, 4);
  const children = root.children;
  expect(jar.batches).toBe(1);
  const batches = children.map((child, i) => {
    expect(names(child.children)).toEqual([`${i}.0`, `${i}.1`, `${i}.2`, `${i}.3`]);
    return jar.batches;
  });
  // The first by itself, 8 from the second on, 16 after them, the rest.
  expect([batches[0], batches[1], batches[8], batches[9], batches[24], batches[25], batches[29]]).toEqual([
    2, 3, 3, 4, 4, 5, 5,
  ]);
  expect([jar.cache.statistics.loads, jar.loads]).toEqual([151, 1]);
});

test('one sibling alone, the same one twice, or some in no order load nothing else', () => {
  const { jar, root } = family(10, 3);
  const children = root.children;
  const loaded = (): number => jar.cache.statistics.loads - 11;
  expect(names(children[0]!.children)).toEqual(['0.0', '0.1', '0.2']);
  expect(names(children[0]!.children)).toEqual(['0.0', '0.1', '0.2']);
  expect(loaded()).toBe(3);
  for (const i of [5, 3, 9, 7]) expect(children[i]!.children.length).toBe(3);
  expect(loaded()).toBe(15);
});

test('fields are told apart', () => {
  const records = new Records();
  const first = new MapJar(records);
  const few = (): Node[] => [new Node('a'), new Node('b')];
  const made = Array.from({ length: 10 }, () => Object.assign(new Node('', few()), { others: few() }));
  const oid = first.cache.add(new Node('root', made));
  first.commit();
  const { cache } = new MapJar(records);
  const { children } = cache.get(oid) as Node;
  expect(names(children[0]!.children)).toEqual(['a', 'b']);
  expect(names(children[1]!.others)).toEqual(['a', 'b']);
  expect(cache.statistics.loads).toBe(11 + 4);
  expect(names(children[2]!.others)).toEqual(['a', 'b']);
  expect(cache.statistics.loads).toBe(11 + 4 + 16);
});

test('generation after generation', () => {
  const records = new Records();
  const first = new MapJar(records);
  const tree = (depth: number): Node =>
    new Node(`${depth}`, depth === 0 ? [] : Array.from({ length: 4 }, () => tree(depth - 1)));
  const oid = first.cache.add(tree(4));
  first.commit();
  const jar = new MapJar(records);
  const count = (node: Node): number => node.children.reduce((sum, child) => sum + count(child), 1);
  expect(count(jar.cache.get(oid) as Node)).toBe(341);
  expect(jar.cache.statistics.loads).toBe(341);
  // 85 have children.
  expect(jar.batches).toBeLessThan(60);
});

test('what is loaded ahead fits into the cache, and stays below a megabyte', () => {
  const small = family(20, 4, { targetCount: 40 });
  for (const child of small.root.children.slice(0, 2)) expect(child.children.length).toBe(4);
  // 21 and 8, and of those ahead none: 32 more would be too many.
  expect(small.jar.cache.statistics.loads).toBe(29);
  const large = family(20, 4, {}, 'x'.repeat(200_000));
  for (const child of large.root.children.slice(0, 2)) expect(child.children.length).toBe(4);
  expect(large.jar.cache.statistics.loads).toBe(29);
});

test('a record that is missing is missed by whoever asks for it', () => {
  const { jar, root, records } = family(6, 2);
  const children = root.children;
  const lost = lastChildOid(jar, records, children[3]!);
  records.revisions.delete(lost);
  for (const i of [0, 1, 2]) expect(children[i]!.children.length).toBe(2);
  expect(() => children[3]!.children).toThrow(new POSKeyError(lost).message);
  expect(children[4]!.children.length).toBe(2);
});

/** The oid of the last of a node's children, without loading any. */
function lastChildOid(jar: MapJar, records: Records, node: Node): Oid {
  const before = jar.cache.statistics.loads;
  const scratch = new MapJar(records);
  const oid = oidOf((scratch.cache.get(oidOf(node)!) as Node).children.at(-1)!)!;
  expect(jar.cache.statistics.loads).toBe(before);
  return oid;
}

test('nothing is remembered across transactions, nor when the cache is emptied', () => {
  const { jar, root } = family(10, 2);
  const children = root.children;
  expect(children[0]!.children.length).toBe(2);
  jar.commit();
  expect(children[1]!.children.length).toBe(2);
  jar.cache.minimize();
  expect(statusOf(children[1]!)).toBe('ghost');
  expect(jar.cache.statistics.loads).toBe(15);
});

/** Two groups of children after each other: reads those of the first, then says what a read of the first ones of the second costs. */
function second(
  read: (first: Node[]) => void,
  size = 10,
): { loads: number; batches: number; rest: () => number } {
  const records = new Records();
  const first = new MapJar(records);
  const list = (count: number): Node[] => Array.from({ length: count }, (_, i) => new Node(`${i}`));
  const groups = [size, 10].map(
    (count) =>
      new Node(
        'group',
        list(count).map(() => new Node('', list(3))),
      ),
  );
  const oids = groups.map((group) => first.cache.add(group));
  first.commit();
  const jar = new MapJar(records);
  read((jar.cache.get(oids[0]!) as Node).children);
  const { children } = jar.cache.get(oids[1]!) as Node;
  const { loads } = jar.cache.statistics;
  const { batches } = jar;
  expect(names(children[0]!.children)).toEqual(['0', '1', '2']);
  return {
    loads: jar.cache.statistics.loads - loads,
    batches: jar.batches - batches,
    rest: () => {
      for (const child of children) expect(names(child.children)).toEqual(['0', '1', '2']);
      return jar.batches - batches;
    },
  };
}

test('after a group that was followed to its end, the next one comes in one batch', () => {
  const { loads, batches, rest } = second((children) => {
    for (const child of children) expect(child.children.length).toBe(3);
  });
  expect([loads, batches, rest()]).toEqual([30, 1, 1]);
});

test('but no more of it than the one before had, and nothing when that was followed otherwise or not to its end', () => {
  const all = (children: Node[]): void => {
    for (const child of children) expect(child.children.length).toBe(3);
  };
  expect(second(all, 4).loads).toBe(12);
  expect(second((children) => all(children.slice(0, 9))).loads).toBe(3);
  expect(second((children) => all(children.slice(1))).loads).toBe(3);
  expect(second((children) => children.forEach((child) => child.others.length)).loads).toBe(3);
});

test('what was expected and not asked for is not expected again', () => {
  const records = new Records();
  const first = new MapJar(records);
  const list = (count: number): Node[] => Array.from({ length: count }, () => new Node(''));
  const oids = [0, 1, 2].map(() =>
    first.cache.add(
      new Node(
        'group',
        list(5).map(() => new Node('', list(3))),
      ),
    ),
  );
  first.commit();
  const { cache } = new MapJar(records);
  const [whole, ...others] = oids.map((oid) => cache.get(oid) as Node);
  for (const child of whole!.children) expect(child.children.length).toBe(3);
  const loads = others.map(({ children }) => {
    const before = cache.statistics.loads;
    expect(children[0]!.children.length).toBe(3);
    return cache.statistics.loads - before;
  });
  expect(loads).toEqual([15, 3]);
});
