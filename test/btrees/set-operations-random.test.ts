/** Set operations on random keys of every key type, against JavaScript's sets; leaves so small that inputs come in many runs. */
import fc from 'fast-check';
import { difference, families, intersection, multiunion, union } from '../../src/btrees/index';
import { classOf, type AnySet, type Kind } from './collections';

const WIDE = 2n ** 60n;
/** Few enough different keys that inputs overlap; in the 64-bit families some that only a bigint holds. */
const keysOf: Record<string, fc.Arbitrary<number | bigint | string>> = {
  OO: fc.integer({ min: 0, max: 80 }).map((i) => `k${i}`),
  II: fc.integer({ min: -60, max: 60 }),
  UU: fc.integer({ min: 2 ** 32 - 80, max: 2 ** 32 - 1 }),
  LL: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: -60, max: 60 }) },
    fc.constantFrom(-3n, -2n, -1n, 1n, 2n, 3n).map((i) => i * WIDE + 1n),
  ),
  QQ: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 60 }) },
    fc.constantFrom(1n, 2n, 3n).map((i) => i * WIDE + 1n),
  ),
};

type Key = number | bigint | string;
const inOrder = (keys: Iterable<Key>): Key[] =>
  [...new Set(keys)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));

describe.each(Object.keys(keysOf))('set operations of %s', (family) => {
  const kinds = fc.constantFrom<Kind | 'array'>('TreeSet', 'Set', 'array');
  const operand = fc.tuple(kinds, fc.array(keysOf[family]!, { maxLength: 90 }));
  const made = (kind: Kind | 'array', keys: Key[]): AnySet | Key[] =>
    kind === 'array' ? keys : (new (classOf(family, kind, 4, 4))(keys) as AnySet);

  it('agree with sets', () => {
    fc.assert(
      fc.property(fc.array(keysOf[family]!, { maxLength: 90 }), operand, (first, [kind, second]) => {
        const a = made('TreeSet', first);
        const b = made(kind, second);
        const [left, right] = [new Set(first), new Set(second)];
        expect([...union(a, b)]).toEqual(inOrder([...first, ...second]));
        expect([...intersection(a, b)]).toEqual(inOrder(first.filter((key) => right.has(key))));
        expect([...intersection(b, a)]).toEqual(inOrder(first.filter((key) => right.has(key))));
        expect([...difference(a as AnySet, b)]).toEqual(inOrder(first.filter((key) => !right.has(key))));
        const either = (a as AnySet).symmetricDifference(b as AnySet);
        expect([...either]).toEqual(
          inOrder([...first, ...second].filter((key) => left.has(key) !== right.has(key))),
        );
      }),
      { numRuns: 150 },
    );
  });

  if (family === 'OO') return;
  it('unite few and many', () => {
    fc.assert(
      fc.property(fc.array(operand, { minLength: 1, maxLength: 60 }), (operands) => {
        const all = operands.map(([kind, keys]) => made(kind, keys));
        const empty = new families[family]!.Set() as unknown as AnySet;
        expect([...multiunion([empty, ...all])]).toEqual(inOrder(operands.flatMap(([, keys]) => keys)));
      }),
      { numRuns: 80 },
    );
  });
});

describe('the result of a set operation', () => {
  it('can be changed, and leaves its inputs as they were', () => {
    const { Set: IISet } = families.II!;
    const [a, b] = [new IISet([1, 3] as never), new IISet([2, 3] as never)] as unknown as [AnySet, AnySet];
    const all = union(a, b) as unknown as AnySet;
    for (let key = 10; key < 40; key++) all.add(key);
    all.delete(3);
    expect([[...a], [...b], [...all].slice(0, 3), all.size]).toEqual([[1, 3], [2, 3], [1, 2, 10], 32]);
  });
});
