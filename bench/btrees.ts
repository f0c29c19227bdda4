/**
 * BTrees beside a `Map`, a sorted array and Python's C BTrees, in one run: nanoseconds an operation (range: a range), the best
 * of ten. Python is `PYTHON` (default `/usr/bin/python3`) with `BTrees`, and for cold scans ZODB on its `PYTHONPATH`.
 * Cold scans run in processes of their own, as a program that opens a database would. `BENCH_LARGEST` is the size of the largest tree
 * of the table of growth, 10^7 by default.
 */
import Table from 'cli-table3';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DB } from '../src/database/index';
import { IISet, IITreeSet, IOBTree, OOBTree, union, type BTree } from '../src/btrees/index';

const N = 100_000;
type Key = number | string;
type Tree = BTree<Key, Key>;

const numbers = Array.from({ length: N }, (_, i) => i);
const texts = numbers.map((i) => `key${String(i).padStart(8, '0')}`);
const shuffled = shuffle(numbers);
const starts = shuffled.filter((i) => i < N - 1000).slice(0, 100);

function shuffle(items: readonly number[]): number[] {
  const mixed = [...items];
  let state = 1;
  for (let i = mixed.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    const j = state % (i + 1);
    [mixed[i], mixed[j]] = [mixed[j]!, mixed[i]!];
  }
  return mixed;
}

function best<T>(ops: number, setup: () => T, work: (argument: T) => unknown, runs = 10): number {
  let least = Infinity;
  // What earlier measurements left is not this one's to collect.
  globalThis.gc?.();
  for (let run = 0; run < runs; run++) {
    const argument = setup();
    const start = process.hrtime.bigint();
    work(argument);
    least = Math.min(least, Number(process.hrtime.bigint() - start));
  }
  return least / ops;
}

const nothing = (): undefined => undefined;

function consume(items: Iterable<unknown>): number {
  let count = 0;
  for (const _ of items) count += 1;
  return count;
}

/** A sorted array with binary search: what one would do without a tree. */
class SortedArray {
  readonly keys: Key[] = [];
  readonly values: Key[] = [];

  set(key: Key, value: Key): void {
    const at = this.find(key);
    this.keys.splice(at, 0, key);
    this.values.splice(at, 0, value);
  }

  get(key: Key): Key | undefined {
    return this.values[this.find(key)];
  }

  find(key: Key): number {
    let low = 0;
    let high = this.keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

interface Filled {
  set(key: Key, value: Key): unknown;
  get(key: Key): unknown;
}

function inserting(keys: readonly Key[]): (target: Filled) => void {
  return (target) => {
    for (const key of keys) target.set(key, key);
  };
}

function getting(target: Filled, keys: readonly Key[]): () => number {
  return () => {
    let found = 0;
    for (const key of keys) if (target.get(key) !== undefined) found += 1;
    return found;
  };
}

interface Row {
  ours: number;
  map?: number;
  array?: number;
}

const rows = new Map<string, Row>();

function measure(name: string, make: () => Tree, ordered: readonly Key[]): void {
  const mixed = shuffled.map((i) => ordered[i]!);
  const fill = <T extends Filled>(target: T, keys = ordered): T => (inserting(keys)(target), target);
  const [tree, map, array] = [fill(make()), fill(new Map<Key, Key>()), fill(new SortedArray())];
  rows.set(`${name}: insert in order`, {
    ours: best(N, make, inserting(ordered)),
    map: best(N, () => new Map<Key, Key>(), inserting(ordered)),
    array: best(N, () => new SortedArray(), inserting(ordered)),
  });
  rows.set(`${name}: insert at random`, {
    ours: best(N, make, inserting(mixed)),
    map: best(N, () => new Map<Key, Key>(), inserting(mixed)),
    array: best(N, () => new SortedArray(), inserting(mixed), 1),
  });
  rows.set(`${name}: get`, {
    ours: best(N, nothing, getting(tree, mixed)),
    map: best(N, nothing, getting(map, mixed)),
    array: best(N, nothing, getting(array, mixed)),
  });
  rows.set(`${name}: iterate keys`, {
    ours: best(N, nothing, () => consume(tree.keys())),
    map: best(N, nothing, () => consume(map.keys())),
    array: best(N, nothing, () => consume(array.keys)),
  });
  rows.set(`${name}: iterate entries`, {
    ours: best(N, nothing, () => consume(tree)),
    map: best(N, nothing, () => consume(map)),
  });
  rows.set(`${name}: range of 1,000`, {
    ours: best(starts.length, nothing, () => {
      for (const i of starts) consume(tree.keys({ min: ordered[i]!, max: ordered[i + 999]! }));
    }),
    array: best(starts.length, nothing, () => {
      for (const i of starts)
        consume(array.keys.slice(array.find(ordered[i]!), array.find(ordered[i + 999]!) + 1));
    }),
  });
}

function measureUnions(): void {
  const [low, high] = [
    numbers.slice(0, 50_000).map((i) => i * 2),
    numbers.slice(0, 50_000).map((i) => i * 2 + 50_000),
  ];
  const plain = [new Set(low), new Set(high)] as const;
  for (const [name, type] of [
    ['IITreeSet', IITreeSet],
    ['IISet', IISet],
  ] as const) {
    const [a, b] = [new type(low), new type(high)];
    rows.set(`${name}: union of two of 50,000`, {
      ours: best(N, nothing, () => union(a, b)),
      map: best(N, nothing, () => new Set([...plain[0], ...plain[1]])),
    });
  }
}

/** What is read cold: names, trees, their keys. */
const cold: Record<string, [make: () => Tree, ordered: readonly Key[]]> = {
  IOBTree: [() => new IOBTree<Key>() as Tree, numbers],
  'OOBTree, strings': [() => new OOBTree<Key, Key>(), texts],
};

const files: Record<string, string> = { SQLite: 'data.sqlite', File: 'Data.fs' };

/** Nanoseconds an entry of a scan, and a look-up of 1,000 at random, of a tree that was just opened. */
function readCold(name: string, kind: string): { scan: number; get: number } {
  const directory = mkdtempSync(join(tmpdir(), 'zodb-bench-'));
  const [make, ordered] = cold[name]!;
  try {
    const path = join(directory, files[kind]!);
    const open = (): DB<{ tree: () => Tree }> => new DB(path, { cacheSize: 1_000_000, root: { tree: make } });
    const db = open();
    db.transaction((root) => {
      ordered.forEach((key, i) => root.tree.set(key, `value ${i}`));
    });
    db.close();
    let opened: ReturnType<typeof open> | undefined;
    const reopen = (): Tree => {
      opened?.close();
      opened = open();
      return opened.open().root.tree;
    };
    const probes = shuffled.slice(0, 1000).map((i) => ordered[i]!);
    const result = {
      scan: best(N, reopen, consume, 25),
      get: best(probes.length, reopen, (tree) => getting(tree, probes)(), 25),
    };
    opened?.close();
    return result;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function measureCold(): void {
  for (const name of Object.keys(cold)) {
    for (const kind of Object.keys(files)) {
      const child = spawnSync(process.execPath, [...process.execArgv, __filename, name, kind], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const { scan, get } = JSON.parse(child.stdout) as ReturnType<typeof readCold>;
      const suffix = kind === 'SQLite' ? '' : ` (${kind})`;
      rows.set(`${name}: cold scan${suffix}`, { ours: scan });
      rows.set(`${name}: cold get${suffix}`, { ours: get });
    }
  }
}

/** How the cost of an operation grows with the tree. */
function measureGrowth(): void {
  const table = new Table({
    style: { head: [], border: [] },
    head: ['keys', 'insert at random', 'get at random'],
    colAligns: ['right', 'right', 'right'],
  });
  const largest = Number(process.env.BENCH_LARGEST ?? 1e7);
  const sizes = [1e3, 1e4, 1e5, 1e6, 1e7].filter((size) => size <= largest);
  for (const size of sizes) {
    const keys = shuffle(Array.from({ length: size }, (_, i) => i));
    const repeats = Math.max(1, Math.round(1e5 / size));
    const insert = best(
      size * repeats,
      nothing,
      () => {
        for (let i = 0; i < repeats; i++) inserting(keys)(new IOBTree<Key>() as Tree);
      },
      size > 1e6 ? 1 : 3,
    );
    const tree = new IOBTree<Key>() as Tree;
    inserting(keys)(tree);
    const probes = keys.slice(0, 1e5);
    const get = best(
      probes.length * repeats,
      nothing,
      () => {
        for (let i = 0; i < repeats; i++) getting(tree, probes)();
      },
      3,
    );
    table.push([size.toExponential(0), insert.toFixed(0), get.toFixed(0)]);
  }
  process.stdout.write(`IOBTree, nanoseconds an operation\n${table.toString()}\n`);
}

function python(): Record<string, number> {
  const program = process.env.PYTHON ?? '/usr/bin/python3';
  const { status, stdout, stderr, error } = spawnSync(program, [join(__dirname, 'btrees.py'), String(N)], {
    encoding: 'utf8',
    maxBuffer: 1e8,
  });
  if (status === 0) return JSON.parse(stdout) as Record<string, number>;
  process.stdout.write(
    `Python's BTrees are left out: ${error?.message ?? stderr.trim().split('\n').at(-1)}\n`,
  );
  return {};
}

function compare(): void {
  const theirs = python();
  measure('IOBTree', () => new IOBTree<Key>() as Tree, numbers);
  measure('OOBTree, strings', () => new OOBTree<Key, Key>(), texts);
  measureUnions();
  measureCold();
  const table = new Table({
    style: { head: [], border: [] },
    head: ['ns an operation', 'here', "Python's C", 'here / C', 'Map or Set', 'sorted array'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right'],
  });
  const cell = (ns: number | undefined): string => (ns === undefined ? '' : ns.toFixed(ns < 100 ? 1 : 0));
  for (const [name, { ours, map, array }] of rows) {
    const c = theirs[name.replace(' (File)', '')];
    table.push([
      name,
      cell(ours),
      cell(c),
      c === undefined ? '' : (ours / c).toFixed(2),
      cell(map),
      cell(array),
    ]);
  }
  process.stdout.write(`${table.toString()}\n`);
}

const [, , coldName, coldKind] = process.argv;
if (coldName !== undefined && coldKind !== undefined) {
  process.stdout.write(JSON.stringify(readCold(coldName, coldKind)));
} else {
  compare();
  measureGrowth();
}
