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
