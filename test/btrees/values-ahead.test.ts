/** How many questions to the storage a walk over persistent values takes, and what it loads that nobody asks for. */
import { OOBTree, type BTree } from '../../src/btrees/index';
import { POSKeyError } from '../../src/errors';
import type { Oid } from '../../src/ids';
import { oidOf, persistent, type CacheOptions } from '../../src/persistence/index';
import { MapJar, Records } from '../persistence/map-jar';

@persistent('test.btrees.Article')
class Article {
  text: string;
  constructor(
    public n: number,
    size: number,
  ) {
    this.text = 'x'.repeat(size);
  }
}

type Articles = BTree<number, Article>;

/** A tree of so many articles, in leaves of 15, and a fresh connection to it. */
function stored(
  count: number,
  size = 10,
  options: CacheOptions = {},
): { tree: Articles; jar: MapJar; oids: Oid[]; records: Records } {
  const records = new Records();
  const first = new MapJar(records);
  const tree = new OOBTree<number, Article>();
  const all = Array.from({ length: count }, (_, n) => new Article(n, size));
  for (const article of all) tree.set(article.n, article);
  const oid = first.cache.add(tree);
  first.commit();
  const jar = new MapJar(records, { targetCount: 100_000, ...options });
  return { tree: jar.cache.get(oid) as Articles, jar, oids: all.map((article) => oidOf(article)!), records };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

it.each([false, true])('objects come in batches that double with the leaves (reverse: %s)', (reverse) => {
  const { tree, jar } = stored(3_000);
  const seen = [...tree.values({ reverse })].map(({ n }) => n);
  expect(reverse ? seen.reverse() : seen).toEqual(upTo(3_000));
  // 200 leaves: of 1, then 2, 4, 8, 16 and from then on 18, with their objects each.
  expect(jar.batches).toBeLessThan(45);
  expect(jar.cache.statistics.loads).toBeLessThan(3_000 + 200 + 10);
});

it('entries bring the objects, keys do not', () => {
  const { tree, jar } = stored(1_000);
  expect([...tree.keys()].length).toBe(1_000);
  const nodes = jar.cache.statistics.loads;
  expect(nodes).toBeLessThan(80);
  jar.cache.minimize();
  let sum = 0;
  for (const [, article] of tree) sum += article.n;
  expect(sum).toBe(499_500);
  expect(jar.cache.statistics.loads).toBeLessThanOrEqual(2 * nodes + 1_000);
});

it('a walk that ends early loads at most about as much again as it saw', () => {
  for (const wanted of [1, 20, 100, 400]) {
    const { tree, jar } = stored(3_000);
    let seen = 0;
    for (const { n } of tree.values()) if (n >= 0 && ++seen === wanted) break;
    expect(jar.cache.statistics.loads).toBeLessThan(3 * wanted + 60);
  }
});

it('large objects come leaf by leaf, and so do objects when there is no room for more', () => {
  const large = stored(100, 200_000);
  const iterator = large.tree.values();
  for (let i = 0; i < 16; i++) iterator.next();
  // The second leaf is begun: none beyond it.
  expect(large.jar.cache.statistics.bytes).toBeLessThan(31 * 2 * 210_000);
  const small = stored(1_000, 10, { targetCount: 100 });
  let most = 0;
  for (const { n } of small.tree.values())
    most = Math.max(most, n >= 0 ? small.jar.cache.statistics.loaded : 0);
  // Leaves come in batches of up to 64 all the same.
  expect(most).toBeLessThan(100 + 64 + 64 + 30);
});

it('an object that is missing is an error where the walk comes to it', () => {
  const { tree, oids, records } = stored(1_000);
  records.revisions.delete(oids[700]!);
  const seen: number[] = [];
  expect(() => {
    for (const { n } of tree.values()) seen.push(n);
  }).toThrow(POSKeyError);
  expect(seen.length).toBeGreaterThan(685);
  expect(seen).toEqual(upTo(seen.length));
  expect([...tree.values({ min: 701 })].length).toBe(299);
});

it('values that are no objects stay as they are', () => {
  const records = new Records();
  const first = new MapJar(records);
  const oid = first.cache.add(
    new OOBTree<number, unknown>(upTo(1_000).map((n) => [n, n % 2 ? [n] : 'text'])),
  );
  first.commit();
  const jar = new MapJar(records);
  const values = [...(jar.cache.get(oid) as BTree<number, unknown>).values()];
  expect(values).toEqual(upTo(1_000).map((n) => (n % 2 ? [n] : 'text')));
});
