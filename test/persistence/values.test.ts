/** Plain values inside persistent objects: changes in them are found, and those that can't be saved any more fail. */
import { createContext, runInContext } from 'node:vm';
import { ConflictError } from '../../src/errors';
import { oidOf, persistent, StaleValueError, statusOf, value } from '../../src/persistence/index';
import { collectGarbage } from '../garbage';
import { MapJar, Records } from './map-jar';

@value('values.Money')
class Money {
  constructor(
    public amount: number,
    public notes: string[] = [],
  ) {}
}

@persistent('values.Box')
class Box {
  a: unknown;
  b: unknown;
  other: Box | null = null;
  constructor(a?: unknown, b?: unknown) {
    this.a = a;
    this.b = b;
  }
}

@persistent('values.Paired')
class Paired extends Box {
  __getstate__(): unknown {
    return { pair: [this.a, this.b] };
  }

  __setstate__({ pair }: { pair: [unknown, unknown] }): void {
    [this.a, this.b] = pair;
  }
}

/** A stored box with `a`, loaded by a fresh jar. */
function stored(a: unknown, b?: unknown): { box: Box; jar: MapJar; records: Records; again: () => Box } {
  const records = new Records();
  const first = new MapJar(records);
  const oid = first.cache.add(new Box(a, b));
  first.commit();
  const jar = new MapJar(records);
  return {
    box: jar.cache.get(oid) as Box,
    jar,
    records,
    again: () => new MapJar(records).cache.get(oid) as Box,
  };
}

const cyclic: unknown[] = [1];
cyclic.push(cyclic);

const changes: [name: string, make: () => unknown, change: (value: never) => void][] = [
  ['array', () => [1], (v: number[]) => void v.push(2)],
  ['array element', () => [1, 2], (v: number[]) => void (v[0] = 5)],
  ['array order', () => [1, 2], (v: number[]) => void v.reverse()],
  ['nested array', () => [[1]], (v: number[][]) => void v[0]!.push(2)],
  ['cyclic array', () => cyclic.slice(0, 1).concat([cyclic]), (v: unknown[]) => void v.push(3)],
  ['object', () => ({ n: 1 }), (v: { n: number }) => void (v.n = 2)],
  ['object, new key', () => ({}), (v: { n?: number }) => void (v.n = 2)],
  ['object, key deleted', () => ({ n: 1 }), (v: { n?: number }) => void delete v.n],
  ['deep object', () => ({ a: { b: { c: [1] } } }), (v: { a: { b: { c: number[] } } }) => void v.a.b.c.pop()],
  ['Map', () => new Map([[1, 'a']]), (v: Map<number, string>) => void v.set(1, 'b')],
  [
    'Map with object keys',
    () => new Map([[{ k: 1 }, 'a']]),
    (v: Map<{ k: number }, string>) => void ([...v.keys()][0]!.k = 2),
  ],
  [
    'Map order',
    () =>
      new Map([
        [1, 1],
        [2, 2],
      ]),
    (v: Map<number, number>) => void (v.delete(1), v.set(1, 1)),
  ],
  ['Set', () => new Set([1]), (v: Set<number>) => void v.add(2)],
  ['Date', () => new Date(1), (v: Date) => void v.setTime(2)],
  ['bytes', () => Uint8Array.of(1, 2), (v: Uint8Array) => void (v[1] = 9)],
  ['Buffer', () => Buffer.from('ab'), (v: Buffer) => void v.write('c')],
  ['Float64Array', () => Float64Array.of(1.5), (v: Float64Array) => void (v[0] = 2.5)],
  ['value class', () => new Money(1), (v: Money) => void (v.amount = 2)],
  ['inside a value class', () => new Money(1), (v: Money) => void v.notes.push('x')],
  ['array frozen later', () => [1], (v: number[]) => void Object.freeze(v)],
  ['NaN', () => [Number.NaN], (v: number[]) => void (v[0] = 0)],
  ['minus zero', () => [-0], (v: number[]) => void (v[0] = 0)],
  ['an alias lost', () => twice([1]), (v: number[][]) => void (v[1] = [1])],
];

function twice(item: unknown): unknown[] {
  return [item, item];
}

describe('a change inside a plain value is found', () => {
  test.each(changes)('%s', (_name, make, change) => {
    const { box, jar, again } = stored(make());
    const held = box.a;
    jar.cache.flushExposed();
    expect(statusOf(box)).toBe('saved');
    change(held as never);
    expect(statusOf(box)).toBe('saved');
    jar.cache.flushExposed();
    expect(statusOf(box)).toBe('changed');
    jar.commit();
    expect(again().a).toEqual(box.a);
    expect(
      Object.is((again().a as number[])[0], (held as number[])[0]) ||
        typeof (held as number[])[0] === 'object',
    ).toBe(true);
  });

  test.each(changes)('%s, in a value from before the object was saved', (_name, make, change) => {
    const records = new Records();
    const jar = new MapJar(records);
    const mine = make();
    const oid = jar.cache.add(new Box(mine));
    jar.commit();
    jar.commit();
    expect(records.revisions.get(oid)!.length).toBe(1);
    change(mine as never);
    jar.commit();
    expect(records.revisions.get(oid)!.length).toBe(2);
    expect((new MapJar(records).cache.get(oid) as Box).a).toEqual(mine);
  });

  test.each(changes)('%s, not in sight of a read alone', (_name, make) => {
    const { box, jar, records } = stored(make());
    void JSON.stringify([box.b]);
    void box.a;
    jar.commit();
    expect(records.log.length).toBe(1);
  });
});

test('destructuring, for…of and held handles over commits are no way round', () => {
  const { box, jar, again } = stored([[1], [2]], { list: [1] });
  const { a, b } = box as { a: number[][]; b: { list: number[] } };
  for (const inner of a) inner.push(0);
  b.list.push(2);
  jar.commit();
  expect(again()).toMatchObject({
    a: [
      [1, 0],
      [2, 0],
    ],
    b: { list: [1, 2] },
  });
  b.list.push(3);
  jar.commit();
  jar.commit();
  b.list.push(4);
  jar.commit();
  expect(again().b).toEqual({ list: [1, 2, 3, 4] });
});

test('a value shared within one object stays shared', () => {
  const list = [1];
  const { box, jar, again } = stored(list, { list });
  expect((box.b as { list: number[] }).list).toBe(box.a);
  (box.a as number[]).push(2);
  jar.commit();
  const back = again();
  expect((back.b as { list: number[] }).list).toBe(back.a);
  expect(back.a).toEqual([1, 2]);
});

test('a value 20,000 deep is read and compared without a stack overflow', () => {
  let deep: unknown[] = [];
  for (let i = 0; i < 8000; i++) deep = [deep];
  const { box, jar } = stored(deep);
  let at = box.a as unknown[][];
  let depth = 0;
  for (; at.length > 0; at = at[0] as unknown[][]) depth += 1;
  expect(depth).toBe(8000);
  (at as unknown[]).push(1);
  jar.cache.flushExposed();
  expect(statusOf(box)).toBe('changed');
  for (let i = 0; i < 20_000; i++) deep = [deep];
  box.a = deep;
  expect(() => jar.commit()).toThrow(/values\.Box\.a/);
});

test('values of another realm are plain values', () => {
  const make = (): { list: number[]; map: Map<number, { n: number }>; date: Date } =>
    runInContext('({ list: [1], map: new Map([[1, { n: 1 }]]), date: new Date(5) })', createContext({}));
  const foreign = make();
  const { box, jar, again } = stored(make());
  expect(again().a).toEqual({ list: [1], map: new Map([[1, { n: 1 }]]), date: new Date(5) });
  box.a = foreign;
  jar.commit();
  foreign.map.get(1)!.n = 2;
  foreign.list.push(3);
  jar.commit();
  expect(again().a).toMatchObject({ list: [1, 3], map: new Map([[1, { n: 2 }]]) });
});

describe('a plain value belongs to one object', () => {
  test('saved under a second one, that one gets its own copy at once', () => {
    const { box, jar } = stored([1]);
    const second = new Box(box.a);
    box.other = second;
    jar.commit();
    expect(second.a).not.toBe(box.a);
    (box.a as number[]).push(2);
    expect([box.a, second.a]).toEqual([[1, 2], [1]]);
    (second.a as number[]).push(3);
    jar.commit();
    expect([box.a, second.a]).toEqual([
      [1, 2],
      [1, 3],
    ]);
  });

  test('deep inside, only the part that belongs to another is copied', () => {
    const { box, jar } = stored({ list: [1] });
    const mine = { own: [9], theirs: (box.a as { list: number[] }).list };
    box.other = new Box(mine);
    jar.commit();
    expect(box.other.a).toBe(mine);
    expect(mine.theirs).not.toBe((box.a as { list: number[] }).list);
    mine.own.push(8);
    jar.commit();
    expect(box.other.a).toEqual({ own: [9, 8], theirs: [1] });
  });

  test('moved from one to another, it stays itself', () => {
    const { box, jar, again } = stored([1]);
    const moved = box.a as number[];
    box.other = new Box(moved);
    box.a = [];
    jar.commit();
    moved.push(2);
    jar.commit();
    expect(again().other!.a).toEqual([1, 2]);
  });

  test('one array given to two new objects', () => {
    const shared = [1];
    const { box, jar, again } = stored(null);
    box.other = new Box(shared);
    box.other.other = new Box(shared);
    jar.commit();
    (again().other!.a as number[]).push(2);
    expect(box.other.a).not.toBe(box.other.other.a);
    expect(again().other!.other!.a).toEqual([1]);
  });
});

describe('a plain value belongs to one object, whatever its connection', () => {
  /** Two boxes of one database, each in a connection of its own, and the list that the first one gave. */
  function two() {
    const records = new Records();
    const writer = new MapJar(records);
    const oids = [writer.cache.add(new Box([1])), writer.cache.add(new Box(null))];
    writer.commit();
    const [left, right] = [new MapJar(records), new MapJar(records)];
    const [a, b] = [left.cache.get(oids[0]!) as Box, right.cache.get(oids[1]!) as Box];
    const stored = () => (new MapJar(records).cache.getMany(oids) as Box[]).map((box) => box.a);
    return { left, right, a, b, held: a.a as number[], stored };
  }

  test('one that stands in another connection is copied', () => {
    const { right, a, b, held, stored } = two();
    b.a = held;
    right.commit();
    expect(b.a).not.toBe(held);
    (b.a as number[]).push(2);
    right.commit();
    expect([a.a, stored()]).toEqual([[1], [[1], [1, 2]]]);
  });

  test('one that was given up in the meantime is taken as it is, and copied when it goes back', () => {
    const { left, right, a, b, held, stored } = two();
    a.a = null;
    left.commit();
    b.a = held;
    right.commit();
    expect(b.a).toBe(held);
    a.a = held;
    left.commit();
    expect(a.a).not.toBe(held);
    held.push(2);
    right.commit();
    expect([a.a, stored()]).toEqual([[1], [[1], [1, 2]]]);
  });

  test('many connections know of each other', () => {
    const others = Array.from({ length: 20 }, () => two());
    for (const { a } of others) void a.a;
    for (const { right, b } of others) {
      b.a = others.map(({ held }) => held);
      right.commit();
      expect((b.a as number[][]).some((list, i) => list === others[i]!.held)).toBe(false);
    }
  });

  test("one of a connection that let go of its objects is nobody's", () => {
    const { left, right, a, b, held } = two();
    left.cache.clear();
    expect(a.a).toBe(held);
    b.a = held;
    right.commit();
    expect(b.a).toBe(held);
  });
});

describe('what a dropped state reached', () => {
  const mutations: [name: string, make: () => unknown, change: (value: never) => void][] = [
    ['array', () => [1], (v: number[]) => void v.push(2)],
    ['nested array', () => ({ x: [1] }), (v: { x: number[] }) => void v.x.push(2)],
    ['object', () => ({ n: 1 }), (v: { n: number }) => void (v.n = 2)],
    ['Map', () => new Map([[1, 1]]), (v: Map<number, number>) => void v.set(2, 2)],
    ['Map clear', () => new Map([[1, 1]]), (v: Map<number, number>) => void v.clear()],
    ['Set', () => new Set([1]), (v: Set<number>) => void v.add(2)],
    ['Set delete', () => new Set([1]), (v: Set<number>) => void v.delete(1)],
    ['Date', () => new Date(1), (v: Date) => void v.setTime(2)],
    ['Date setUTCFullYear', () => new Date(1), (v: Date) => void v.setUTCFullYear(1999)],
    ['value class', () => new Money(1), (v: Money) => void (v.amount = 2)],
  ];

  test.each(mutations)('%s: refuses changes after an abort', (_name, make, change) => {
    const { box, jar } = stored(make());
    const held = box.a;
    box.b = 1;
    jar.abort();
    expect(() => change(held as never)).toThrow();
    expect(box.a).toEqual(make());
    expect(box.a).not.toBe(held);
    change(box.a as never);
    jar.commit();
    expect(box.a).not.toEqual(make());
  });

  test.each(mutations)('%s: refuses changes after an eviction', (_name, make, change) => {
    const { box, jar } = stored(make());
    const held = box.a;
    jar.cache.minimize();
    expect(statusOf(box)).toBe('ghost');
    expect(() => change(held as never)).toThrow();
    expect(held).toEqual(make());
  });

  test.each<[string, () => object, (held: never) => void]>([
    ['bytes', () => Buffer.of(1, 2), (held: Buffer) => void (held[0] = 7)],
    ['floats', () => new Float64Array(2), (held: Float64Array) => void (held[0] = 7)],
    ['a buffer', () => new ArrayBuffer(2), (held: ArrayBuffer) => void (new Uint8Array(held)[0] = 7)],
    ['a URL', () => new URL('http://a.example/'), (held: URL) => void (held.pathname = '/b')],
  ])(
    '%s changed afterwards are noticed at the next commit, were it in an hour',
    async (_name, make, change) => {
      const { box, jar } = stored({ inside: make() });
      const held = (box.a as { inside: object }).inside;
      jar.cache.minimize();
      // What weak references lead to stays until the end of the task.
      await new Promise(setImmediate);
      collectGarbage();
      jar.commit();
      change(held as never);
      expect(() => jar.commit()).toThrow(StaleValueError);
      expect(box.a).toEqual({ inside: make() });
      jar.commit();
    },
  );

  test('putting it back after an eviction stores a copy that can be changed', () => {
    const { box, jar, again } = stored([1, [2]], new Map([[1, new Date(3)]]));
    const [a, b] = [box.a, box.b];
    jar.cache.minimize();
    box.other = new Box(a, b);
    jar.commit();
    const copy = box.other.a as unknown[];
    copy.push(4);
    (box.other.b as Map<number, Date>).get(1)!.setTime(9);
    jar.commit();
    expect(again().other).toMatchObject({ a: [1, [2], 4], b: new Map([[1, new Date(9)]]) });
    expect(again().a).toEqual([1, [2]]);
  });

  test('an unsaved object that holds it is saved with a list, not a tuple', () => {
    const { box, jar, again } = stored([1]);
    const waiting = new Box(box.a);
    jar.cache.minimize();
    box.other = waiting;
    jar.commit();
    expect(Object.isFrozen(again().other!.a)).toBe(false);
    expect(again().other!.a).toEqual([1]);
  });

  test.each(['abort', 'invalidation'])('putting it back after an %s is an error that says so', (reason) => {
    const { box, jar, records } = stored([1]);
    const held = box.a;
    const nested = { inside: [held] };
    if (reason === 'abort') {
      box.b = 1;
      jar.abort();
    } else {
      const other = new MapJar(records);
      (other.cache.get(oidOf(box)!) as Box).b = 5;
      other.commit();
      jar.newSnapshot();
    }
    expect(() => (box.a = held)).toThrow(new RegExp(`Box\\.a: this value .*${reason}`));
    box.b = nested;
    expect(() => jar.commit()).toThrow(StaleValueError);
    jar.abort();
    box.a = structuredClone(held);
    jar.commit();
    expect(box.a).toEqual([1]);
  });

  test('a tuple stays a tuple, a list a list', () => {
    const { box, jar, again } = stored(Object.freeze([1, 2]), [1]);
    expect([Object.isFrozen(box.a), Object.isFrozen(box.b)]).toEqual([true, false]);
    const [a, b] = [box.a, box.b];
    jar.cache.minimize();
    box.other = new Box(a, b);
    jar.commit();
    expect([Object.isFrozen(again().other!.a), Object.isFrozen(again().other!.b)]).toEqual([true, false]);
  });

  test.each([
    ['a list', () => [1], (held: object) => held],
    ['a list inside of one', () => [[1]], (held: object) => (held as object[])[0]!],
    ['a value inside a new one', () => [1], (held: object) => ({ held })],
    ['an instance', () => new Money(1), (held: object) => held],
  ])("%s of another object, that was put into it, stays that object's", (_name, make, part) => {
    const { box, jar, again } = stored(make(), 0);
    const other = new Box();
    box.other = other;
    jar.commit();
    other.b = part(box.a as object);
    jar.abort();
    const list = ('notes' in (box.a as object) ? (box.a as Money).notes : box.a) as unknown[];
    list.push('changed');
    box.b = 1;
    other.b = part(box.a as object);
    jar.commit();
    expect([box.a, box.b, again().a, again().b]).toEqual([again().a, 1, box.a, 1]);
    expect(JSON.stringify(again().a)).toContain('changed');
    expect(again().other!.b).toEqual(part(box.a as object));
    list.push('still found');
    jar.commit();
    expect(JSON.stringify(again().a)).toContain('still found');
  });

  test('an object with a state of its own saves a copy of an evicted value, as what it was', () => {
    const { box, jar, again } = stored([1, Object.freeze([2])], new Map([[1, new Date(3)]]));
    const [a, b] = [box.a, box.b];
    jar.cache.minimize();
    box.other = new Paired(a, b);
    jar.commit();
    expect([box.other.a, box.other.b]).toEqual([a, b]);
    (box.other.a as number[]).push(5);
    (box.other.b as Map<number, Date>).get(1)!.setTime(9);
    jar.commit();
    expect([again().other!.a, again().other!.b]).toEqual([[1, [2], 5], new Map([[1, new Date(9)]])]);
    expect(again().a).toEqual([1, [2]]);
  });

  test('a value that another object gave up goes with it', () => {
    const { box, jar } = stored([1]);
    const held = box.a as number[];
    box.other = new Box();
    box.a = null;
    jar.commit();
    box.other.b = held;
    jar.abort();
    expect(() => held.push(2)).toThrow(TypeError);
  });

  test('an empty tuple, of which there is only one, does not become stale with an object that held it', () => {
    const { box, jar, again } = stored(Object.freeze([]));
    void box.a;
    box.b = 1;
    jar.abort();
    box.b = box.a;
    jar.commit();
    expect([again().a, again().b, Object.isFrozen(again().b)]).toEqual([[], [], true]);
  });
});

describe('two connections', () => {
  test('a change inside a value that meets another commit is a conflict, not a loss', () => {
    const { box, jar, records } = stored([1]);
    (box.a as number[]).push(2);
    const other = new MapJar(records);
    (other.cache.get(oidOf(box)!) as Box).b = 'theirs';
    other.commit();
    jar.newSnapshot();
    expect(statusOf(box)).toBe('changed');
    expect(() => jar.commit()).toThrow(ConflictError);
    expect(box).toMatchObject({ a: [1], b: 'theirs' });
  });

  test('an untouched value is simply the new one', () => {
    const { box, jar, records } = stored([1]);
    void box.a;
    const other = new MapJar(records);
    ((other.cache.get(oidOf(box)!) as Box).a as number[]).push(2);
    other.commit();
    jar.newSnapshot();
    expect([box.a, statusOf(box)]).toEqual([[1, 2], 'saved']);
  });
});

test('no more than a thousand objects are watched across a boundary, and nothing is lost', () => {
  const records = new Records();
  const first = new MapJar(records);
  const oids = Array.from({ length: 1500 }, (_, i) => first.cache.add(new Box([i])));
  first.commit();
  expect(first.cache.statistics.exposed).toBeLessThanOrEqual(1000);
  const jar = new MapJar(records);
  const boxes = jar.cache.getMany(oids) as Box[];
  const held = boxes.map((box) => box.a as number[]);
  jar.commit();
  expect(jar.cache.statistics.exposed).toBe(1000);
  let refused = 0;
  held.forEach((list) => {
    try {
      list.push(-1);
    } catch {
      refused += 1;
    }
  });
  jar.commit();
  expect(refused).toBe(500);
  const lengths = (new MapJar(records).cache.getMany(oids) as Box[]).map((box) => (box.a as number[]).length);
  expect(lengths.filter((length) => length === 2).length).toBe(1000);
});

describe('of the objects that are too many to be watched', () => {
  /** A cache with many boxes that were just read, and the lists that they gave. */
  function read(count: number) {
    const records = new Records();
    const first = new MapJar(records);
    const oids = Array.from({ length: count }, (_, i) => first.cache.add(new Box([i])));
    first.commit();
    const jar = new MapJar(records);
    const boxes = jar.cache.getMany(oids) as Box[];
    const held = boxes.map((box) => box.a as number[]);
    const again = () => (new MapJar(records).cache.getMany(oids) as Box[]).map((box) => box.a);
    return { jar, boxes, held, again };
  }

  function isSealed(list: number[]): boolean {
    return Object.isFrozen(list);
  }

  test('those read again stay, and the longest unread go', () => {
    const { jar, boxes, held, again } = read(1500);
    jar.commit();
    expect(jar.cache.statistics.exposed).toBe(1000);
    void boxes[500]!.a;
    void boxes[0]!.a;
    jar.commit();
    // A quarter of what is beyond a hundred: 1,001 with the first box, whose list is a new one.
    expect(jar.cache.statistics.exposed).toBe(775);
    expect(held.map(isSealed)).toEqual(held.map((_, i) => i < 500 || (i > 500 && i <= 726)));
    held[500]!.push(-1);
    expect(() => held[501]!.push(-1)).toThrow(TypeError);
    held[727]!.push(-1);
    jar.commit();
    expect([500, 501, 727].map((i) => again()[i])).toEqual([[500, -1], [501], [727, -1]]);
  });

  test('a hundred stay for as long as it takes', () => {
    const { jar, held, again } = read(100);
    for (let i = 0; i < 300; i++) jar.commit();
    expect(jar.cache.statistics.exposed).toBe(100);
    held.forEach((list) => list.push(-1));
    jar.commit();
    expect(again()).toEqual(held.map((_, i) => [i, -1]));
  });

  test('those beyond a hundred go one after the other, unless they are used, and none is loaded again for it', () => {
    const { jar, boxes, held, again } = read(500);
    const { loads } = jar.cache.statistics;
    for (let i = 0; i < 100; i++) {
      for (let n = 0; n < 20; n++) void boxes[n]!.a;
      held[20]!.push(i); // was read long ago
      jar.commit();
      if (i === 0) expect(jar.cache.statistics.exposed).toBe(500);
    }
    expect(jar.cache.statistics.exposed).toBe(100);
    expect(held.filter(isSealed).length).toBe(400);
    expect(held.slice(0, 21).filter(isSealed)).toEqual([]);
    expect(jar.cache.statistics.loads).toBe(loads);
    expect(boxes.map((box) => box.a)).toEqual(again());
    expect(again()[20]).toEqual([20, ...Array.from({ length: 100 }, (_, i) => i)]);
  });
});

describe('an object that is watched no more', () => {
  /** Two boxes of which only one can be watched: the first ends it for the second. */
  function ended(a: unknown, b: unknown, look: (box: Box) => unknown = (box) => box.a) {
    const { box, jar, again, records } = stored(a, b);
    box.other = new Box([0]);
    jar.commit();
    jar.cache.minimize();
    jar.cache.targetCount = 1;
    const held = look(box);
    jar.commit();
    void box.other.a;
    jar.commit();
    expect(jar.cache.statistics.exposed).toBe(1);
    jar.cache.targetCount = 1000;
    return { box, jar, again, records, held };
  }

  test.each<[string, () => unknown]>([
    ['a list', () => [1, 'two', null]],
    ['a list of references', () => [new Box(1), new Box(2)]],
    ['an empty list', () => []],
    ['a plain object', () => ({ n: 1, ['__proto__x']: 2 })],
  ])('gets %s anew, and is not loaded again', (_name, make) => {
    const { box, jar, again, held } = ended(make(), 'text');
    const { loads } = jar;
    expect(statusOf(box)).toBe('saved');
    expect(box.a).not.toBe(held);
    expect(box.a).toEqual(held);
    expect(Object.isFrozen(box.a)).toBe(false);
    expect(jar.loads).toBe(loads);
    expect(() => ((held as { n: number }).n = 5)).toThrow(TypeError);
    if (Array.isArray(box.a)) box.a.push(5);
    else (box.a as { n: number }).n = 5;
    jar.commit();
    expect(again().a).toEqual(box.a);
    expect(again().a).not.toEqual(held);
  });

  test('has what was held stored as a copy when it is put back', () => {
    const { box, jar, again, held } = ended([1], null);
    box.b = held;
    jar.commit();
    (box.b as number[]).push(2);
    (box.a as number[]).push(3);
    jar.commit();
    expect([again().a, again().b]).toEqual([
      [1, 3],
      [1, 2],
    ]);
  });

  test.each<[string, (list: number[]) => unknown, (box: Box) => unknown]>([
    ['one value in two fields', (list) => list, (box) => [box.a, box.b]],
    ['one value in two fields, one of them read', (list) => list, (box) => box.a],
    ['a value inside another', (list) => ({ list }), (box) => [box.a, box.b]],
    ['a value inside another, one of them read', (list) => ({ list }), (box) => box.b],
  ])('keeps its aliases: %s', (_name, makeA, look) => {
    const list = [1];
    const { box, jar, again } = ended(makeA(list), list, look);
    const inA = (of: Box): unknown => (Array.isArray(of.a) ? of.a : (of.a as { list: unknown }).list);
    expect(inA(box)).toBe(box.b);
    (box.b as number[]).push(2);
    jar.commit();
    const fresh = again();
    expect(inA(fresh)).toBe(fresh.b);
    expect(fresh.b).toEqual([1, 2]);
  });

  test.each<[string, () => unknown]>([
    ['nested', () => [[1]]],
    ['a Map', () => new Map([[1, 2]])],
    ['a tuple', () => Object.freeze([1])],
    ['bytes', () => Uint8Array.of(1)],
    ['a date', () => new Date(1)],
  ])('is dropped when its value is more than a list: %s', (_name, make) => {
    const { box, again } = ended(make(), null);
    expect(box.a).toEqual(make());
    expect(again().a).toEqual(make());
  });
});

test('an object changed inside while its watching ends stays watched, and is saved by the next commit', () => {
  const records = new Records();
  const first = new MapJar(records);
  const oids = Array.from({ length: 1100 }, (_, i) => first.cache.add(new Box([i])));
  first.commit();
  const jar = new MapJar(records);
  const held = (jar.cache.getMany(oids) as Box[]).map((box) => box.a as number[]);
  jar.cache.flushExposed();
  held[0]!.push(-1); // as something may that runs between the steps of a commit
  jar.cache.boundary();
  jar.commit();
  const again = new MapJar(records).cache.getMany(oids) as Box[];
  expect([again[0]!.a, again[1]!.a]).toEqual([[0, -1], [1]]);
});

test('a value put in and out again and again does not fill the list of what is watched', () => {
  const { box, jar, again } = stored([1], [2]);
  for (let i = 0; i < 50; i++) {
    box.a = i % 2 === 0 ? null : [i];
    box.b = i % 2 === 0 ? [i] : null;
    jar.commit();
    expect(jar.cache.statistics.exposed).toBe(1);
  }
  (box.a as number[]).push(-1);
  jar.commit();
  expect(again()).toMatchObject({ a: [49, -1], b: null });
});

test.each<[string, unknown[], (list: unknown[]) => void]>([
  ['a smaller object', [{ n: 1 }], (list) => void delete (list[0] as { n?: number }).n],
  ['another object, equal', [{ n: 1 }], (list) => void (list[0] = { n: 1 })],
  ['a number for an object', [{ n: 1 }, { n: 2 }], (list) => void (list[1] = 7)],
  ['undefined for an object', [{ n: 1 }, { n: 2 }], (list) => void (list[1] = undefined)],
  ['null for an object', [{ n: 1 }], (list) => void (list[0] = null)],
  ['frozen', [{ n: 1 }], (list) => void Object.freeze(list)],
  ['frozen inside', [{ n: 1 }], (list) => void Object.freeze(list[0])],
  ['a tuple inside replaced', [Object.freeze([1])], (list) => void (list[0] = Object.freeze([1, 2]))],
  ['a list in a tuple', [Object.freeze([[1]])], (list) => void (list as number[][][])[0]![0]!.push(2)],
])('in an array of objects: %s', (_, list, change) => {
  const { box, jar, again } = stored(list);
  change(box.a as unknown[]);
  jar.commit();
  expect(again().a).toEqual(box.a);
  expect(jar.cache.statistics.changed).toBe(0);
});

test('a session that only reads writes nothing, however often values are read', () => {
  const { box, jar, records } = stored(
    { a: [1, new Date(1), new Map([[1, new Set([2])]])] },
    Uint8Array.of(1),
  );
  for (let i = 0; i < 5; i++) {
    void JSON.stringify(box);
    void structuredClone({ ...box });
    jar.commit();
  }
  expect(records.log.length).toBe(1);
});

test('the owner of a value in a savepoint is the same', () => {
  const { box, jar, again } = stored([1]);
  const list = box.a as number[];
  list.push(2);
  const savepoint = jar.savepoint();
  list.push(3);
  jar.rollback(savepoint);
  expect(box.a).toEqual([1, 2]);
  expect(() => list.push(4)).toThrow();
  (box.a as number[]).push(5);
  jar.commit();
  expect(again().a).toEqual([1, 2, 5]);
});

test('a change that the connection can not take is an error once, and given up', () => {
  const { box, jar } = stored([1], [2]);
  const [a, b] = [box.a, box.b] as [number[], number[]];
  a.push(2);
  jar.readOnly = true;
  expect(() => jar.cache.flushExposed()).toThrow('read-only');
  jar.cache.flushExposed();
  expect([box.a, box.b, statusOf(box)]).toEqual([[1], [2], 'saved']);
  expect(() => a.push(3)).toThrow();
  expect(() => b.push(3)).toThrow();
});
