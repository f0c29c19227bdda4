/**
 * BTrees of Python, alive: random trees cross over in both directions, Python's own checks pass on ours, and trees of tiny nodes
 * go through the same long history on both sides. Needs a Python (`PYTHON`) with `persistent`, `BTrees` and `zodbpickle`.
 */
import { createHash } from 'node:crypto';
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import * as path from 'node:path';
import * as readline from 'node:readline';
import { check, families, OOBTree } from '../../src/btrees/index';
import { ROOT_OID } from '../../src/ids';
import { Decimal, Fraction } from '../../src/pickle/index';
import { oidOf, PersistentMapping, registry, type AnyClass } from '../../src/persistence/index';
import { classOf, type AnyCollection, type AnyMapping, type AnySet, type Kind } from '../btrees/collections';
import { valueOf } from '../btrees/notation';
import { hexOfOid, jarOf, oidOfHex, recordsOf } from '../btrees/stored';
import { MapJar, Records } from '../persistence/map-jar';

const SCALE = Number(process.env.ZODB_SOAK ?? 1);
const python = process.env.PYTHON ?? '/usr/bin/python3';
const needed = 'persistent, BTrees.check, BTrees.OOBTree, zodbpickle';

const probe = `
import ${needed}, importlib, json
def has(name):
    try:
        importlib.import_module('BTrees.%sBTree' % name)
        return True
    except ImportError:
        return False
print(json.dumps([name for name in '${Object.keys(families).join(' ')}'.split() if has(name)]))`;

/** The families that this Python has (older ones lack U and Q), or in one line why it can't be used. */
function found(): string[] | string {
  const { error, status, stdout, stderr } = spawnSync(python, ['-c', probe], { encoding: 'utf8' });
  if (error !== undefined) return `${python}: ${error.message}`;
  if (status === 0) return JSON.parse(stdout) as string[];
  return `${python} has not ${needed}: ${stderr.trim().split('\n').at(-1)}`;
}

class Oracle {
  readonly #process: ChildProcessWithoutNullStreams = spawn(python, [
    path.join(__dirname, 'btrees_oracle.py'),
  ]);
  readonly #waiting: ((line: string) => void)[] = [];

  constructor() {
    readline.createInterface(this.#process.stdout).on('line', (line) => this.#waiting.shift()?.(line));
    this.#process.once('exit', () =>
      this.#waiting.splice(0).forEach((answer) => answer('{"error":"Python ended"}')),
    );
  }

  async call<Answer>(name: string, ...args: unknown[]): Promise<Answer> {
    const line = await new Promise<string>((resolve) => {
      this.#waiting.push(resolve);
      this.#process.stdin.write(`${JSON.stringify([name, ...args])}\n`);
    });
    const answer = JSON.parse(line) as { ok: Answer } | { error: string };
    if ('error' in answer) throw new Error(`${name}: ${answer.error}`);
    return answer.ok;
  }

  end(): void {
    this.#process.stdin.end();
  }
}

/** A generator of numbers from a seed (mulberry32), so that a failure can be run again. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

function encode(value: unknown): unknown {
  if (typeof value === 'bigint') return { $int: String(value) };
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('hex') };
  if (value instanceof Decimal) return { $decimal: value.text };
  if (value instanceof Fraction) return { $fraction: value.toString() };
  if (typeof value === 'number' && !Number.isInteger(value)) return { $float: String(value) };
  return value;
}

/** A number of one of Python's types, of which many are near each other or equal. */
function exactNumber(random: (below: number) => number): unknown {
  const n = random(40) - 20;
  switch (random(6)) {
    case 0:
      return n;
    case 1:
      return n / 8 + 0.1;
    case 2:
      return 2n ** 70n + BigInt(n);
    case 3:
      return new Fraction(n, random(9) + 1);
    case 4:
      return new Decimal(`${n}.${random(1000)}`);
    default:
      return new Decimal(`${n}E+${random(60) - 20}`.replace('+-', '-'));
  }
}

/** A key or value of a type, by number. */
function sample(letter: string, i: number): unknown {
  switch (letter) {
    case 'O':
      return i % 3 === 0 ? `é${i}😀` : `k${i}`;
    case 'I':
      return i % 2 === 0 ? i : -i * 1000;
    case 'U':
      return 2 ** 31 + i;
    case 'L':
      return i % 2 === 0 ? i * 1e10 : -(2n ** 62n) - BigInt(i);
    case 'Q':
      return i % 2 === 0 ? i : 2n ** 63n + BigInt(i);
    case 'F':
      return i / 8;
    case 'f':
      return Uint8Array.of(i >> 8, i & 0xff);
    default:
      return Uint8Array.of(1, 2, 3, 4, i >> 8, i & 0xff);
  }
}

/** Random operations: `[key]` removes, `[key, value]` puts. */
function operations(family: string, random: (below: number) => number, count: number): unknown[][] {
  return Array.from({ length: count }, () => {
    const key = sample(family[0]!, random(count));
    return random(4) === 0 ? [key] : [key, sample(family[1]!, random(1000))];
  });
}

function apply(tree: AnyCollection, [key, ...value]: unknown[]): void {
  if (value.length === 0) tree.delete(key);
  else if ('get' in tree) tree.set(key, value[0]);
  else (tree as AnySet).insert(key);
}

/** What a collection holds, as the oracle lists it. */
function content(tree: AnyCollection, family: string): unknown[] {
  if (!('get' in tree)) return [...(tree as AnySet)].map(encode);
  const float = (value: unknown): unknown =>
    family.endsWith('F')
      ? { $float: Number.isInteger(value) ? `${String(value)}.0` : String(value) }
      : encode(value);
  return [...(tree as AnyMapping)].map(([key, value]) => ({ $tuple: [encode(key), float(value)] }));
}

const known = found();
const names = typeof known === 'string' ? [] : known;

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);

if (typeof known === 'string') {
  it(`is not run: ${known}`, () => expect(names).toEqual([]));
} else {
  describe(`Python's BTrees (seed ${seed})`, suite);
}

function suite(): void {
  let oracle: Oracle;
  beforeAll(() => {
    oracle = new Oracle();
  });
  afterAll(() => {
    oracle.end();
  });

  const kinds: Kind[] = ['BTree', 'TreeSet', 'Bucket', 'Set'];

  it.each(names)('opens and checks our trees: %s', async (family) => {
    const random = randomFrom(seed);
    for (const kind of kinds) {
      const records = new Records();
      const jar = new MapJar(records);
      jar.root(() => new PersistentMapping());
      const tree = new (classOf(family, kind))();
      const oid = jar.cache.add(tree);
      const leaf = kind === 'Bucket' || kind === 'Set';
      for (const operation of operations(family, random, leaf ? 40 : 1500)) {
        apply(tree, operation);
        if (random(200) === 0) jar.commit();
      }
      jar.commit();
      const stored = Object.fromEntries(
        [...records.revisions]
          .filter(([key]) => key !== ROOT_OID)
          .map(([key, list]) => [hexOfOid(key), Buffer.from(list.at(-1)!.data).toString('base64')]),
      );
      const answer = await oracle.call<{ class: string; content: unknown[]; length: number }>(
        'read',
        hexOfOid(oid),
        stored,
      );
      expect([kind, answer.class, answer.length]).toEqual([kind, `${family}${kind}`, tree.size]);
      expect(answer.content).toEqual(content(tree, family));
    }
  });

  it.each(names)('makes trees that we open and check: %s', async (family) => {
    const random = randomFrom(seed + 1);
    for (const kind of kinds) {
      const leaf = kind === 'Bucket' || kind === 'Set';
      const done = operations(family, random, leaf ? 40 : 1500);
      const commits = done.map((_, i) => i).filter(() => random(200) === 0);
      const encoded = done.map((operation) => operation.map(encode));
      const answer = await oracle.call<{ root: string; records: Record<string, string>; content: unknown[] }>(
        'write',
        family,
        kind,
        encoded,
        commits,
      );
      const jar = jarOf(
        recordsOf(
          Object.entries(answer.records).map(
            ([oid, data]) => [oidOfHex(oid), Buffer.from(data, 'base64')] as const,
          ),
        ),
      );
      const tree = jar.cache.get(oidOfHex(answer.root)) as AnyCollection;
      expect(content(tree, family)).toEqual(answer.content);
      check(tree);

      // The same operations here give the same tree.
      const ours = new (classOf(family, kind))();
      for (const operation of done) apply(ours, operation);
      expect(shape(ours)).toEqual(shape(tree));
      expect([...ours.keys()].map(encode)).toEqual(
        answer.content.map((item) => ('get' in ours ? (item as { $tuple: unknown[] }).$tuple[0] : item)),
      );
    }
  });

  it('has decimals and fractions in the same order', async () => {
    const random = randomFrom(seed + 3);
    const steps = Array.from({ length: 600 }, (_, i) => {
      const key = exactNumber(random);
      return random(4) === 0 ? [key] : [key, i];
    });
    const ours = new OOBTree<unknown, number>() as unknown as AnyMapping;
    for (const step of steps) apply(ours, step);
    const answer = await oracle.call<{ root: string; records: Record<string, string>; content: unknown[] }>(
      'write',
      'OO',
      'BTree',
      steps.map((step) => step.map(encode)),
      [100, 300],
    );
    const jar = jarOf(
      recordsOf(
        Object.entries(answer.records).map(
          ([oid, data]) => [oidOfHex(oid), Buffer.from(data, 'base64')] as const,
        ),
      ),
    );
    const theirs = jar.cache.get(oidOfHex(answer.root)) as AnyMapping;
    check(theirs);
    expect(shape(ours)).toEqual(shape(theirs));
    // Python writes a Decimal's text its own way.
    const numbers = (tree: AnyMapping): [number, unknown][] =>
      [...tree].map(([key, value]) => [Number(key), value]);
    expect(numbers(ours)).toEqual(numbers(theirs));
    for (const [key, value] of ours) expect(theirs.get(key)).toBe(value);
  });

  it.each([
    ['OO', 'BTree', 2, 2],
    ['II', 'TreeSet', 2, 2],
    ['II', 'BTree', 2, 3],
  ] as const)('goes through the same history: %s%s of %i and %i', async (family, kind, leaf, inner) => {
    const random = randomFrom(seed + 2);
    const total = Math.max(2000, Math.round((100_000 * SCALE) / 20));
    await oracle.call('tiny_start', family, kind, leaf, inner);
    const type = classOf(family, kind, leaf, inner);
    registry.replace(`test.tiny${leaf}${inner}`, `${family}${kind}`, type as unknown as AnyClass);
    const jar = new MapJar(new Records(), { targetCount: 50 });
    jar.root(() => new PersistentMapping());
    const tree = new type();
    jar.cache.add(tree);
    jar.commit();
    for (let done = 0; done < total; done += 500) {
      // Growing and shrinking in turn.
      const growing = Math.floor(done / 2500) % 2 === 0 ? 3 : 1;
      const steps = Array.from({ length: 500 }, () => {
        const key = random(400);
        return random(4) < growing ? [key, random(1000)] : [key];
      });
      for (const step of steps) {
        apply(tree, step);
        if (random(60) === 0) jar.commit();
        if (random(100) === 0) jar.cache.minimize();
      }
      const digest = createHash('sha256')
        .update(JSON.stringify(structure(tree)))
        .digest('hex');
      expect([done, digest]).toEqual([done, await oracle.call<string>('tiny_run', steps)]);
      check(tree);
    }
    jar.commit();
    expect(oidOf(tree)).toBeDefined();
  });
}

interface Inside {
  content: { leaf: boolean; keys: ArrayLike<unknown>; slots: Inside[]; length: number } | undefined;
  load(): NonNullable<Inside['content']>;
  child(content: unknown, index: number): Inside;
}

/** The nodes of a tree, as the oracle's function of this name gives them. */
function structure(tree: object): unknown {
  const node = tree as Inside;
  const content = node.content ?? node.load();
  const { keys, slots, length } = content;
  if (content.leaf) {
    return Array.from({ length }, (_, i) => (slots.length > 0 ? [keys[i], slots[i]] : [keys[i]])).flat();
  }
  if (length === 0) return null;
  return Array.from({ length }, (_, i) => {
    const child = structure(node.child(content, i));
    return i === 0 ? [child] : [keys[i - 1], child];
  }).flat(1);
}

/** Numbers of items and children, node by node. */
function shape(tree: object): unknown {
  const node = tree as Inside;
  const content = node.content ?? node.load();
  if (content.leaf) return content.length;
  return Array.from({ length: content.length }, (_, i) => shape(node.child(content, i)));
}

it('has a value notation', () => {
  expect(valueOf(encode(2n ** 70n))).toBe(2n ** 70n);
});
