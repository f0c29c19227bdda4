/** Trees larger than memory. `ZODB_SOAK=50` builds the ten million keys. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { DB } from '../../src/database/index';
import { check, IOBTree, OOBTree, type BTree } from '../../src/btrees/index';

const SCALE = Number(process.env.ZODB_SOAK ?? 1);
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'zodb-large-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

interface Node {
  content: { leaf: boolean; length: number } | undefined;
  load(): NonNullable<Node['content']>;
  child(content: unknown, index: number): Node;
}

function height(tree: object): number {
  let levels = 1;
  for (let node = tree as Node; !(node.content ?? node.load()).leaf; levels++)
    node = node.child(node.content ?? node.load(), 0);
  return levels;
}

it('loads no more nodes than its height to find one key', () => {
  const count = Math.min(1_000_000, 100_000 * SCALE);
  const open = (): DB<{ tree: () => BTree<number, string> }> =>
    new DB(join(directory, 'data.sqlite'), { root: { tree: () => new IOBTree<string>() } });
  const db = open();
  db.transaction((root) => {
    for (let i = 0; i < count; i++) root.tree.set(i, 'x');
  });
  const levels = db.transaction((root) => height(root.tree));
  db.close();
  expect(levels).toBe(3);
  for (const key of [0, 1, count >> 1, count - 1]) {
    const fresh = open();
    const connection = fresh.open();
    const { tree } = connection.root;
    const before = connection.cacheStatistics.loads;
    expect(tree.get(key)).toBe('x');
    expect(connection.cacheStatistics.loads - before).toBeLessThanOrEqual(levels);
    fresh.close();
  }
});

it('reads ahead in batches along a scan, and little for a short range', () => {
  const open = (): DB<{ tree: () => BTree<number, number> }> =>
    new DB(join(directory, 'data.sqlite'), { root: { tree: () => new OOBTree<number, number>() } });
  const db = open();
  db.transaction((root) => {
    for (let i = 0; i < 20_000; i++) root.tree.set(i, i);
  });
  db.close();
  for (const reverse of [false, true]) {
    const fresh = open();
    const connection = fresh.open();
    const { tree } = connection.root;
    const before = connection.cacheStatistics.loads;
    expect([...tree.keys({ min: 5_000, max: 5_020, reverse })].length).toBe(21);
    expect(connection.cacheStatistics.loads - before).toBeLessThanOrEqual(8);
    expect([...tree.keys({ reverse })].length).toBe(20_000);
    fresh.close();
  }
});

it('holds a scan of a tree larger than memory, forwards and back', () => {
  const count = SCALE >= 50 ? 10_000_000 : 100_000 * SCALE;
  const memory = count >= 10_000_000 ? 256 : 64;
  // Beside node_modules, where the bundle finds what it needs.
  const cache = join(__dirname, '../../node_modules/.cache/zodb-tests');
  mkdirSync(cache, { recursive: true });
  const bundle = join(cache, `large-${process.pid}.cjs`);
  buildSync({
    entryPoints: [join(__dirname, 'large-child.ts')],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    target: 'node20',
    packages: 'external',
    logLevel: 'error',
  });
  const output = execFileSync(
    process.execPath,
    [`--max-old-space-size=${memory}`, bundle, join(directory, 'large.sqlite'), String(count)],
    { encoding: 'utf8', maxBuffer: 1e6 },
  );
  rmSync(bundle);
  const { seen, sum, back, peak } = JSON.parse(output) as Record<'seen' | 'sum' | 'back' | 'peak', number>;
  const half = count >> 1;
  const values = (count / 1000) * ((999 * 1000) / 2);
  expect([seen, sum]).toEqual([count, (count * (count - 1)) / 2 - values]);
  expect(back).toBe(20_001 * (half + 10_000));
  expect(peak).toBeLessThan((memory + 256) * 2 ** 20);
}, 3_600_000);

it('stays right under a cache of a few objects', () => {
  const db = new DB(join(directory, 'data.sqlite'), {
    cacheSize: 10,
    cacheSizeBytes: 20_000,
    root: { tree: () => new OOBTree<string, { n: number }>() },
  });
  const keys = Array.from({ length: 3_000 }, (_, i) => `k${(i * 7919) % 3_000}`);
  db.transaction((root) => {
    for (const key of keys) root.tree.set(key, { n: 0 });
  });
  db.transaction((root) => {
    for (const key of keys) root.tree.get(key)!.n += 1;
    for (const key of keys.slice(0, 1_000)) root.tree.delete(key);
  });
  db.transaction((root) => {
    expect([...root.tree.values()].every(({ n }) => n === 1)).toBe(true);
    expect([...root.tree.keys()]).toEqual(keys.slice(1_000).sort());
    check(root.tree);
  });
  db.close();
});
