import {
  difference,
  families,
  intersection,
  multiunion,
  union,
  weightedIntersection,
  weightedUnion,
} from '../../src/btrees/index';
import * as operations from '../../src/btrees/set-operations';
import { listFixtures, readJsonLines } from '../fixtures';
import { classOf, type AnyMapping, type AnySet, type Kind } from './collections';
import { familyOf, valueOf } from './notation';

interface Operand {
  kind: Kind | 'list' | 'tuple' | 'pyset' | 'keys' | 'key' | 'none' | 'raw' | 'tuple' | 'value';
  keys?: unknown[];
  items?: [unknown, unknown][];
  value?: unknown;
  values?: Operand[];
}
interface Case {
  label: string;
  op: string;
  args: Operand[];
  weights?: unknown[];
  result?: Operand;
  result_is_argument?: number;
  error?: { type: string };
}

function make(family: string, { kind, keys, items, value }: Operand): unknown {
  switch (kind) {
    case 'BTree':
    case 'Bucket':
    case 'TreeSet':
    case 'Set':
      return new (classOf(family, kind))((items ?? keys)!.map(valueOf) as Iterable<unknown>);
    case 'keys':
      return (
        new (classOf(family, 'BTree'))(keys!.map((k) => [valueOf(k), one(family)])) as AnyMapping
      ).keys();
    case 'none':
      return undefined;
    case 'key':
    case 'raw':
      return value === null ? null : valueOf(value);
    default:
      return new Set(keys!.map(valueOf)).size === keys!.length || kind !== 'pyset' ? keys!.map(valueOf) : [];
  }
}

/** Some value that the family takes. */
function one(family: string): unknown {
  return family === 'fs' ? new Uint8Array(6) : 1;
}

/** Operations by their names in Python, on arguments made from the fixture. */
function run(family: string, op: string, args: unknown[], weights: unknown[]): unknown {
  const [a, b] = args as [AnySet, AnySet];
  const module = families[family]!;
  switch (op) {
    case 'union':
    case 'or':
      return operations.union(module, a, b);
    case 'intersection':
    case 'and':
      return operations.intersection(module, a, b);
    case 'difference':
    case 'sub':
      return operations.difference(module, a, b);
    case 'xor':
      return a.symmetricDifference(b);
    case 'weightedUnion':
      return operations.weightedUnion(module, a, b, ...weights);
    case 'weightedIntersection':
      return operations.weightedIntersection(module, a, b, ...weights);
    case 'multiunion':
      return operations.multiunion(module, args);
    case 'isdisjoint':
      return a.isDisjointFrom(b);
    case 'ior':
      a.update(b);
      return a;
    case 'iand':
      return a.intersectionUpdate(b);
    case 'isub':
      return a.differenceUpdate(b);
    case 'ixor':
      return a.symmetricDifferenceUpdate(b);
  }
  throw new Error(`Unknown operation ${op}`);
}

/** A result as the fixture writes it. */
function written(result: unknown): unknown {
  if (result === undefined || typeof result !== 'object' || result === null)
    return { kind: 'value', value: result };
  if (Array.isArray(result)) return { kind: 'tuple', values: result.map(written) };
  const kind = result.constructor.name.slice(2);
  if ('get' in result) return { kind, items: [...(result as AnyMapping).entries()] };
  return { kind, keys: [...(result as AnySet)] };
}

/** Python's `^=` toggles a key as often as an iterable repeats it; here an iterable is taken as a set. */
function toggles({ op, args }: Case): boolean {
  const keys = args.at(-1)?.keys?.map((key) => JSON.stringify(key)) ?? [];
  return op === 'ixor' && new Set(keys).size < keys.length;
}

/** What the fixture expects. Python leaves repeated keys of iterables in; they are removed here. */
function expected(result: Operand): unknown {
  switch (result.kind) {
    case 'none':
      return { kind: 'value', value: undefined };
    case 'value':
      return { kind: 'value', value: result.value === null ? undefined : valueOf(result.value) };
    case 'tuple':
      return { kind: 'tuple', values: result.values!.map(expected) };
  }
  if (result.items) return { kind: result.kind, items: result.items.map(valueOf) };
  const keys = result.keys!.filter(
    (key, i) => i === 0 || JSON.stringify(key) !== JSON.stringify(result.keys![i - 1]),
  );
  return { kind: result.kind, keys: keys.map(valueOf) };
}

describe.each(listFixtures('btrees', '.jsonl').filter((name) => name.startsWith('setops-')))('%s', (file) => {
  const family = familyOf(file);
  const cases = readJsonLines('btrees', file) as Case[];

  it('gives what Python gives', () => {
    for (const { label, op, args, weights, result, result_is_argument: same } of cases.filter(
      (c) => c.result && !toggles(c),
    )) {
      const made = args.map((arg) => make(family, arg));
      const got = run(family, op, made, (weights ?? []).map(valueOf));
      if (same !== undefined) expect(got).toBe(made[same]);
      if (same === undefined || result!.kind !== 'value') {
        expect([label, written(got)]).toEqual([label, expected(result!)]);
      }
    }
  });

  it('refuses what Python refuses', () => {
    for (const { label, op, args, weights } of cases.filter((c) => c.error)) {
      const made = args.map((arg) => make(family, arg));
      let refused = false;
      try {
        run(family, op, made, (weights ?? []).map(valueOf));
      } catch {
        refused = true;
      }
      expect([label, refused]).toEqual([label, true]);
    }
  });
});

describe('set operations by name', () => {
  const II = families.II!;
  const set = (...keys: number[]): AnySet => new II.TreeSet(keys as never) as unknown as AnySet;
  const map = (...items: [number, number][]): AnyMapping =>
    new II.BTree(items as never) as unknown as AnyMapping;

  it('take the family of the first collection', () => {
    expect([...union(set(1, 3), [2, 3])]).toEqual([1, 2, 3]);
    expect([...union(7, set(1, 3))]).toEqual([1, 3, 7]);
    expect([...intersection(set(1, 3), set(3, 4))]).toEqual([3]);
    expect([...difference(map([1, 10], [2, 20]), [2])]).toEqual([[1, 10]]);
    expect([...multiunion([set(5, 1), 3, [4, 1]])]).toEqual([1, 3, 4, 5]);
    expect(union(set(1), undefined)).toBeInstanceOf(II.TreeSet);
  });

  it('weight values', () => {
    const [weight, result] = weightedUnion(map([1, 10], [2, 20]), set(2, 3), 2, 3);
    expect([weight, [...(result as AnyMapping)]]).toEqual([
      1,
      [
        [1, 20],
        [2, 43],
        [3, 3],
      ],
    ]);
    expect(weightedIntersection(set(1), set(1), 2, 5)[0]).toBe(7);
  });

  it('wrap and round as C does', () => {
    const max = 2 ** 31 - 1;
    expect([...(weightedUnion(map([1, max]), map([1, 1]))[1] as AnyMapping)]).toEqual([[1, -(2 ** 31)]]);
    const LQ = families.LQ!;
    const big = new LQ.BTree([[1, 2n ** 64n - 1n]] as never);
    const sum = weightedUnion(big as never, big as never)[1] as AnyMapping;
    expect([...sum]).toEqual([[1, 2n ** 64n - 2n]]);
    const IF = families.IF!;
    const tenth = new IF.BTree([[1, 0.1]] as never) as unknown as AnyMapping;
    const scaled = weightedUnion(tenth, tenth, 3, 0)[1] as AnyMapping;
    expect([...scaled]).toEqual([[1, Math.fround(Math.fround(0.1) * 3)]]);
  });

  it('take collections of another family as iterables of keys', () => {
    const other = new families.IO!.BTree([
      [1, 'x'],
      [4, 'y'],
    ] as never);
    expect([...union(set(1, 2), other as never)]).toEqual([1, 2, 4]);
    expect(() => difference(other as never, set(1))).not.toThrow();
  });

  it('refuse what has no family, or no arithmetic', () => {
    const other = new families.IO!.TreeSet([1] as never);
    expect(() => union([1], [2])).toThrow('needs a BTree, Bucket, TreeSet or Set among its arguments');
    expect(() => weightedUnion(other as never, other as never)).toThrow('IO has others');
  });
});
