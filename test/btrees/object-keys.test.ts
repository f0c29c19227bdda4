import { DB } from '../../src/database/index';
import { InvalidKeyError, OOBTree, OOTreeSet } from '../../src/btrees/index';
import { Decimal, Fraction, PyDate, PyDateTime, PyFloat, PyTimeDelta, UUID } from '../../src/pickle/index';
import { value } from '../../src/persistence/index';
import { readJsonLines } from '../fixtures';
import { valueOf } from './notation';

interface Line {
  label: string;
  op: string;
  args?: unknown[];
  ret?: unknown;
  err?: [string, string];
}

const groups = new Map<string, Line[]>();
for (const line of readJsonLines('btrees', 'object-keys.jsonl') as Line[]) {
  groups.set(line.label, [...(groups.get(line.label) ?? []), line]);
}

/** Keys that the fixture could not write down, by label. */
const odd: Record<string, unknown> = {
  'plain object': {},
  'class without comparison': new (class Odd {})(),
  dict: { a: 1 },
};
const big = 2n ** 63n;

describe('object keys', () => {
  // Python stores sets, which have no total order; here they are refused (below).
  it.each([...groups].filter(([label]) => label !== 'set'))('%s: as in Python', (label, lines) => {
    const tree = new OOBTree<unknown, unknown>();
    if (label in odd) tree.set('a', 0);
    for (const { op, args = [], ret, err } of lines) {
      const [key, second] = (label in odd ? [odd[label]] : args.map(valueOf)) as [unknown, unknown];
      const run = (): unknown => {
        switch (op) {
          case 'setitem':
            return void tree.set(key, second ?? 0);
          case 'keys':
            return [...tree.keys()];
          case 'contains':
            return tree.has(key);
          case 'get':
            return tree.get(key, null);
          case 'pop':
            return tree.pop(key, 'absent');
          case 'delitem':
            return tree.delete(key);
        }
        throw new Error(`Unknown operation ${op}`);
      };
      if (err?.[0] === 'TypeError') expect(run).toThrow(InvalidKeyError);
      else if (err) expect(run()).toBe('absent');
      else expect([op, args, run() ?? null]).toEqual([op, args, valueOf(ret ?? null)]);
    }
  });

  it.each([
    ['NaN', NaN],
    ['a tuple with NaN', Object.freeze([1, NaN])],
    ['undefined', undefined],
    ['a plain object', { a: 1 }],
    ['a Map', new Map()],
    ['a Set', new Set([1])],
    ['a function', () => 0],
    ['a symbol', Symbol('s')],
    ['an invalid Date', new Date(NaN)],
    ['a class without order', new (class Odd {})()],
    ['another type than the others', 'text'],
    ['bytes among numbers', Uint8Array.of(1)],
  ])('%s is refused, and the tree stays as it was', (_name, key) => {
    const tree = new OOBTree<unknown, number>([
      [1, 1],
      [2, 2],
    ]);
    const before = JSON.stringify(tree);
    expect(() => tree.set(key, 3)).toThrow(InvalidKeyError);
    expect(() => tree.insert(key, 3)).toThrow(InvalidKeyError);
    expect(() => tree.setDefault(key, 3)).toThrow(InvalidKeyError);
    expect(() => new OOTreeSet<unknown>([1]).add(key)).toThrow(InvalidKeyError);
    expect(JSON.stringify(tree)).toBe(before);
  });

  it('is refused in an empty tree too, when it has no order at all', () => {
    expect(() => new OOBTree<unknown, number>().set({}, 1)).toThrow("{} can't be a key: it has no order");
    expect(() => new OOBTree<unknown, number>().set(NaN, 1)).toThrow("NaN can't be a key");
  });

  it('orders numbers of all types together, exactly', () => {
    const tree = new OOTreeSet<unknown>([
      2 ** 53,
      2n ** 53n + 1n,
      -0.5,
      big,
      -big,
      2n ** 53n - 1n,
      1.5,
      Infinity,
      -Infinity,
      10n,
    ]);
    expect([...tree]).toEqual([
      -Infinity,
      -big,
      -0.5,
      1.5,
      10n,
      2n ** 53n - 1n,
      2 ** 53,
      2n ** 53n + 1n,
      big,
      Infinity,
    ]);
    expect([tree.has(10), tree.has(true), tree.has(2n ** 53n)]).toEqual([true, false, true]);
  });

  it("orders Python's decimals and fractions among numbers, exactly", () => {
    const dec = (text: string): Decimal => new Decimal(text);
    const third = new Fraction(1, 3);
    const keys = [
      dec('-Infinity'),
      dec('-1E+999999999'),
      dec('-2.50'),
      -2,
      dec('-1E-999999999'),
      0,
      dec('1E-999999999'),
      dec('0.1'),
      0.1,
      dec('0.3333333333333333333333333333'),
      third,
      dec('0.3333333333333333333333333334'),
      0.5,
      new Fraction(2n ** 80n + 1n, 2n ** 80n),
      new PyFloat(2),
      dec('9007199254740993'),
      2n ** 53n + 2n,
      dec('1E+30'),
      10n ** 30n + 1n,
      dec('1E+999999998'),
      dec('1.1E+999999998'),
      Infinity,
    ];
    const tree = new OOTreeSet<unknown>([...keys].reverse());
    expect([...tree]).toEqual(keys);
    for (const key of keys) expect([key, tree.has(key)]).toEqual([key, true]);
    expect([tree.has(-2.5), tree.has(dec('0.50')), tree.has(new Fraction(1, 2)), tree.has(false)]).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect([tree.has(dec('0.25')), tree.has(10n ** 30n), tree.has(dec('Inf')), tree.has(2)]).toEqual([
      false,
      true,
      true,
      true,
    ]);
    expect([...tree.keys({ min: dec('0.2'), max: third })]).toEqual([keys[9], third]);
    for (const nan of ['NaN', 'sNaN', '-NaN12']) expect(() => tree.add(dec(nan))).toThrow(InvalidKeyError);
    expect(() => tree.add('1')).toThrow("'1' (string) can't be compared with the key");
    expect(() => new OOTreeSet<unknown>(['a']).add(dec('1'))).toThrow(InvalidKeyError);
  });

  it('takes true for 1 and -0 for 0, keeping the key that was there', () => {
    const tree = new OOBTree<unknown, string>([
      [true, 'true'],
      [0, 'zero'],
    ]);
    tree.set(1, 'one').set(-0, 'minus zero').set(1n, 'big one');
    expect([...tree]).toEqual([
      [0, 'minus zero'],
      [true, 'big one'],
    ]);
  });

  it('orders strings by code point, lone surrogates too', () => {
    const keys = [
      '\ud83d',
      '\ud83d\ude00',
      '\ud83da',
      '\uffff',
      '\ue000',
      'z',
      '\ude00',
      'a\ud83d\ude00',
      'a\uffff',
      '',
    ];
    const codes = (text: string): number[] => Array.from(text, (c) => c.codePointAt(0)!);
    const byCodePoint = [...keys].sort((a, b) => {
      const [x, y] = [codes(a), codes(b)];
      const at = x.findIndex((c, i) => c !== y[i]);
      return at < 0 ? x.length - y.length : at >= y.length ? 1 : x[at]! - y[at]!;
    });
    const tree = new OOTreeSet<string>(keys);
    expect([...tree]).toEqual(byCodePoint);
    for (const key of keys) expect(tree.has(key)).toBe(true);
  });

  it('orders dates, times, durations and UUIDs', () => {
    const moments = [
      new PyDateTime({ year: 2026, month: 1, day: 1, microsecond: 1001, tz: null }),
      new PyDateTime({ year: 2026, month: 1, day: 1, microsecond: 1000, tz: null }),
    ];
    expect([...new OOTreeSet<Date>(moments)].map((m) => (m as PyDateTime).microsecond)).toEqual([1000, 1001]);
    expect(() => new OOTreeSet<unknown>([...moments, new Date()])).toThrow(InvalidKeyError);
    expect([...new OOTreeSet([new Date(5), new Date(3)])]).toEqual([new Date(3), new Date(5)]);
    const days = new OOTreeSet([new PyDate(2026, 2, 1), new PyDate(2025, 12, 31)]);
    expect([...days].map(String)).toEqual(['2025-12-31', '2026-02-01']);
    const spans = new OOTreeSet([new PyTimeDelta(1), new PyTimeDelta(-1), new PyTimeDelta(0, 1)]);
    expect([...spans].map((span) => span.days)).toEqual([-1, 0, 1]);
    const [one, two] = [
      new UUID('00000000-0000-0000-0000-000000000001'),
      new UUID('ffffffff-0000-0000-0000-000000000000'),
    ];
    expect([...new OOTreeSet([two, one])]).toEqual([one, two]);
  });

  it('uses compareTo of value classes', () => {
    @value('fixture.Money')
    class Money {
      constructor(readonly cents: number) {}
      compareTo(other: Money): number {
        return this.cents - other.cents;
      }
    }
    const tree = new OOBTree([
      [new Money(500), 'b'],
      [new Money(100), 'a'],
    ]);
    expect([...tree.values()]).toEqual(['a', 'b']);
    expect(tree.get(new Money(500))).toBe('b');
    expect(() => tree.set(5 as never, 'x')).toThrow(InvalidKeyError);
    class Broken {
      compareTo(): number {
        return NaN;
      }
    }
    expect(() => new OOTreeSet([new Broken(), new Broken()])).toThrow('compareTo of Broken answered NaN');
  });

  it('keeps its keys to itself: what callers hold can not reorder them', () => {
    const bytes = Uint8Array.of(1, 2);
    const list = [1];
    const date = new Date(1000);
    const tree = new OOTreeSet<unknown>([bytes, Uint8Array.of(9)]);
    bytes[0] = 200;
    expect([...tree]).toEqual([Uint8Array.of(1, 2), Uint8Array.of(9)]);
    ([...tree][0] as Uint8Array)[0] = 100;
    expect(tree.has(Uint8Array.of(1, 2))).toBe(true);
    const lists = new OOTreeSet<unknown>([list, [5]]);
    list[0] = 7;
    ([...lists][0] as number[])[0] = 8;
    expect([...lists]).toEqual([[1], [5]]);
    const dates = new OOTreeSet<Date>([date]);
    date.setTime(0);
    [...dates][0]!.setTime(5);
    expect([...dates]).toEqual([new Date(1000)]);
  });

  it('stores and finds keys of all types', () => {
    const groupsOfKeys: unknown[][] = [
      [null, 'a', 'é', '😀'],
      [null, -1.5, 0, 7, 2n ** 70n],
      [Object.freeze(['a']), Object.freeze(['a', 1]), Object.freeze(['b', null])],
      [Uint8Array.of(), Uint8Array.of(0), Uint8Array.of(255)],
      [new Date(1), new Date(2)],
    ];
    const db = new DB(null, { root: { tree: () => new OOBTree<unknown, number>() } });
    for (const keys of groupsOfKeys) {
      db.transaction((root) => {
        root.tree.clear();
        keys.toReversed().forEach((key, i) => root.tree.set(key, i));
      });
      db.transaction((root) => {
        expect([...root.tree.keys()]).toEqual(keys);
        keys.forEach((key, i) => expect(root.tree.get(key)).toBe(keys.length - 1 - i));
      });
    }
    db.close();
  });
});
