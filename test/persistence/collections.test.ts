import * as fc from 'fast-check';
import { inspect } from 'node:util';
import {
  oidOf,
  persistent,
  PersistentList,
  PersistentMapping,
  PersistentWeakKeyDictionary,
  statusOf,
  WeakRef,
  isPersistent,
} from '../../src/persistence/index';
import { readClass } from '../../src/record/index';
import { MapJar, Records } from './map-jar';

@persistent('collections.Item')
class Item {
  constructor(public n = 0) {}
}

@persistent('collections.Titled')
class Titled extends PersistentMapping<string, unknown> {
  title = 'none';
  tags: string[] = [];
}

@persistent('collections.Playlist')
class Playlist extends (PersistentList as new (items?: Iterable<Item>) => Item[]) {
  owner = 'me';
}

function store<T extends object>(
  object: T,
): { jar: MapJar; records: Records; object: T; again: () => T; oid: number } {
  const records = new Records();
  const first = new MapJar(records);
  const oid = first.cache.add(object);
  first.commit();
  const jar = new MapJar(records);
  return {
    jar,
    records,
    oid,
    object: jar.cache.get(oid) as T,
    again: () => new MapJar(records).cache.get(oid) as T,
  };
}

describe('PersistentMapping', () => {
  test('is a Map to its users, stored and new', () => {
    const fresh = new PersistentMapping<unknown, unknown>([
      ['a', 1],
      [2, 'two'],
    ]);
    const { object, jar } = store(fresh);
    for (const mapping of [fresh, object]) {
      expect([...mapping]).toEqual([
        ['a', 1],
        [2, 'two'],
      ]);
      expect([
        mapping.size,
        mapping.get('a'),
        mapping.get('x'),
        mapping.has(2),
        [...mapping.keys()],
        [...mapping.values()],
      ]).toEqual([2, 1, undefined, true, ['a', 2], [1, 'two']]);
      const seen: unknown[] = [];
      mapping.forEach((value, key, self) => seen.push([key, value, self === mapping]));
      expect(seen).toEqual([
        ['a', 1, true],
        [2, 'two', true],
      ]);
      expect(new Map(mapping)).toEqual(
        new Map<unknown, unknown>([
          ['a', 1],
          [2, 'two'],
        ]),
      );
      expect(Object.keys(mapping)).toEqual([]);
      expect(JSON.stringify(mapping)).toBe('{"2":"two","a":1}');
    }
    expect(statusOf(object)).toBe('saved');
    expect(inspect(object)).toBe("PersistentMapping Map(2) { 'a' => 1, 2 => 'two' }");
    jar.cache.minimize();
    expect(object.get('a')).toBe(1);
  });

  describe('with persistent objects as keys', () => {
    const make = (): ReturnType<typeof store<PersistentMapping<unknown, unknown>>> & { keys: Item[] } => {
      const keys = [new Item(1), new Item(2)];
      const entries: [unknown, unknown][] = [
        [keys[0], 'one'],
        ['items', keys],
        [keys[1], 'two'],
        [Object.freeze(['pair', keys[0]]), 'tuple'],
      ];
      const stored = store(new PersistentMapping<unknown, unknown>(entries));
      return { ...stored, keys: keys.map((key) => stored.jar.cache.get(oidOf(key)!) as Item) };
    };

    test('finds them', () => {
      const { object, keys } = make();
      expect([object.get(keys[0]), object.has(keys[1]), object.has(new Item(1))]).toEqual([
        'one',
        true,
        false,
      ]);
      expect(statusOf(object)).toBe('saved');
    });

    test('gives them, in their order, with those in tuples', () => {
      const { object, keys } = make();
      const found = [...object.keys()];
      expect([found[0] === keys[0], found[1], found[2] === keys[1]]).toEqual([true, 'items', true]);
      expect((found[3] as unknown[])[1]).toBe(keys[0]);
      expect(Object.isFrozen(found[3])).toBe(true);
    });

    test('replaces and removes their entries', () => {
      const { object, keys, jar, again } = make();
      object.set(keys[0], 'changed');
      expect([object.delete(keys[1]), object.delete(keys[1])]).toEqual([true, false]);
      expect(object.size).toBe(3);
      jar.commit();
      expect([...again().values()].filter((value) => typeof value === 'string')).toEqual([
        'changed',
        'tuple',
      ]);
    });

    test('loads none for a key that is no object, nor to be saved', () => {
      const { object, jar, again } = make();
      jar.loads = jar.batches = 0;
      expect([object.get('pair'), object.size]).toEqual([undefined, 4]);
      object.set('more', 1);
      jar.commit();
      expect([jar.loads, jar.batches]).toEqual([0, 0]);
      expect([...again().keys()].map((key) => (key instanceof Item ? key.n : key))).toEqual([
        1,
        'items',
        2,
        ['pair', expect.objectContaining({ n: 1 })],
        'more',
      ]);
    });

    test('finds them after each load', () => {
      const { object, keys, jar } = make();
      for (let i = 0; i < 3; i++) {
        expect(object.get(keys[1])).toBe('two');
        jar.cache.minimize();
      }
    });
  });

  test('each mutator marks it, but not when nothing changes', () => {
    const { object, jar } = store(new PersistentMapping([['a', 1]]));
    const check = (expected: string): void => {
      expect(statusOf(object)).toBe(expected);
      jar.abort();
    };
    expect(object.delete('x')).toBe(false);
    expect(object.setDefault('a', 5)).toBe(1);
    expect(object.pop('x', 7)).toBe(7);
    check('saved');
    object.set('a', 1);
    check('changed');
    expect(object.delete('a')).toBe(true);
    check('changed');
    object.clear();
    check('changed');
    expect(object.setDefault('b', 5)).toBe(5);
    check('changed');
    expect(object.pop('a')).toBe(1);
    check('changed');
    object.update({ z: 1 });
    object.update([['y', 2]]);
    expect([...object.keys()]).toEqual(['a', 'z', 'y']);
    check('changed');
    expect([...object]).toEqual([['a', 1]]);
  });

  test('changes inside its values are found', () => {
    const { object, jar, again } = store(
      new PersistentMapping<string, unknown>([
        ['list', [1]],
        ['deep', { a: new Map([[1, [1]]]) }],
      ]),
    );
    const list = object.get('list') as number[];
    jar.cache.flushExposed();
    expect(statusOf(object)).toBe('saved');
    list.push(2);
    (object.get('deep') as { a: Map<number, number[]> }).a.get(1)!.push(2);
    jar.commit();
    list.push(3);
    jar.commit();
    expect(new Map(again())).toEqual(
      new Map<string, unknown>([
        ['list', [1, 2, 3]],
        ['deep', { a: new Map([[1, [1, 2]]]) }],
      ]),
    );
    const put = [9];
    object.set('put', put);
    jar.commit();
    put.push(10);
    jar.commit();
    expect(again().get('put')).toEqual([9, 10]);
  });

  test('its values are loaded one by one, iteration takes them in one batch', () => {
    const { jar, object } = store(
      new PersistentMapping(Array.from({ length: 30 }, (_, i) => [`k${i}`, new Item(i)] as const)),
    );
    expect(jar.loads).toBe(1);
    expect(object.get('k3')!.n).toBe(3);
    expect(jar.loads).toBe(2);
    expect([...object.values()].map((item) => item.n)).toEqual(Array.from({ length: 30 }, (_, i) => i));
    expect([jar.loads, jar.batches]).toEqual([2, 1]);
  });

  test('fields of a subclass are tracked beside the entries', () => {
    const { object, jar, again } = store(new Titled([['a', 1]]));
    expect([object.title, object.size, Object.keys(object)]).toEqual(['none', 1, ['title', 'tags']]);
    object.title = 'some';
    object.tags.push('x');
    jar.commit();
    expect([again().title, again().tags, again().get('a')]).toEqual(['some', ['x'], 1]);
    object.title = 'other';
    object.set('b', 2);
    jar.abort();
    expect([object.title, object.size]).toEqual(['some', 1]);
    (object as Titled & { extra?: number }).extra = 5;
    jar.commit();
    expect((again() as Titled & { extra?: number }).extra).toBe(5);
  });

  test("is stored as Python's", () => {
    const { records, oid } = store(new PersistentMapping([['a', 1]]));
    const { data } = records.revisions.get(oid as never)![0]!;
    expect(readClass(data).toString()).toBe('persistent.mapping.PersistentMapping');
    expect(Buffer.from(data).toString('latin1')).toContain('X\x04\0\0\0data');
  });

  test('against a Map, at random', () => {
    const key = fc.oneof(fc.string({ maxLength: 2 }), fc.nat(3));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(5), key, fc.nat(9)), { maxLength: 40 }), (steps) => {
        const { object, jar, again } = store(new PersistentMapping<unknown, number>());
        const model = new Map<unknown, number>();
        for (const [kind, k, v] of steps) {
          if (kind <= 1) {
            object.set(k, v);
            model.set(k, v);
          } else if (kind === 2) expect(object.delete(k)).toBe(model.delete(k));
          else if (kind === 3) jar.commit();
          else if (kind === 4) jar.cache.minimize();
          else expect(object.get(k)).toBe(model.get(k));
        }
        expect(new Map(object)).toEqual(model);
        jar.commit();
        expect(new Map(again())).toEqual(model);
      }),
      { numRuns: 60 },
    );
  });
});

describe('PersistentList', () => {
  test('has the syntax and methods of an array', () => {
    const fresh = new PersistentList([3, 1, 2]);
    const { object } = store(fresh);
    for (const list of [fresh, object]) {
      expect([list[0], list[5], list.length, list.at(-1), 1 in list, 9 in list]).toEqual([
        3,
        undefined,
        3,
        2,
        true,
        false,
      ]);
      expect([...list]).toEqual([3, 1, 2]);
      expect(list.map((n) => n * 2)).toEqual([6, 2, 4]);
      expect([list.filter((n) => n > 1), list.find((n) => n < 3), list.findIndex((n) => n === 2)]).toEqual([
        [3, 2],
        1,
        2,
      ]);
      expect([list.indexOf(2), list.includes(9), list.join('-'), list.slice(1), list.concat([7])]).toEqual([
        2,
        false,
        '3-1-2',
        [1, 2],
        [3, 1, 2, 7],
      ]);
      expect([list.reduce((a, b) => a + b, 0), list.some((n) => n > 2), list.every((n) => n > 2)]).toEqual([
        6,
        true,
        false,
      ]);
      expect([
        list.toSorted(),
        list.toReversed(),
        list.with(0, 9),
        list.flatMap((n) => [n, n]).length,
      ]).toEqual([[1, 2, 3], [2, 1, 3], [9, 1, 2], 6]);
      expect([Object.keys(list), JSON.stringify({ list }), [0].concat(list)]).toEqual([
        ['0', '1', '2'],
        '{"list":[3,1,2]}',
        [0, 3, 1, 2],
      ]);
      expect(isPersistent(list)).toBe(true);
    }
    expect(statusOf(object)).toBe('saved');
    expect(inspect(object)).toBe('PersistentList [ 3, 1, 2 ]');
  });

  test('each mutator marks it and returns what an array does', () => {
    const { object, jar } = store(new PersistentList([1, 2, 3, 4]));
    const mutations: [(list: number[]) => unknown][] = [
      [(list) => list.push(5, 6)],
      [(list) => list.pop()],
      [(list) => list.shift()],
      [(list) => list.unshift(0)],
      [(list) => list.splice(1, 2, 9)],
      [(list) => list.splice(1)],
      [(list) => [...list.sort((a, b) => b - a)]],
      [(list) => [...list.reverse()]],
      [(list) => [...list.fill(7, 1, 3)]],
      [(list) => [...list.copyWithin(0, 2)]],
      [(list) => (list[0] = 8)],
      [(list) => (list.length = 1)],
      [(list) => (list[6] = 1)],
    ];
    for (const [mutate] of mutations) {
      const plain = [1, 2, 3, 4];
      expect(mutate(object)).toEqual(mutate(plain));
      expect([...object]).toEqual([...plain]);
      expect(statusOf(object)).toBe('changed');
      jar.abort();
    }
    expect(() => delete object[0]).toThrow(TypeError);
    expect(object.splice(1, 0)).toEqual([]);
    expect(object.push()).toBe(4);
    expect(statusOf(object)).toBe('saved');
  });

  test('its elements are loaded one by one, and found without loading any', () => {
    const items = Array.from({ length: 20 }, (_, i) => new Item(i));
    const { jar, object, again } = store(new PersistentList(items));
    expect(object[7]!.n).toBe(7);
    expect(jar.loads).toBe(2);
    expect([object.indexOf(object[7]!), object.includes(object[7]!), object.length]).toEqual([7, true, 20]);
    expect(jar.loads).toBe(2);
    const other = jar.cache.get(oidOf(again()[9]!)!) as Item;
    expect(object.indexOf(other)).toBe(9);
    expect(object.map((item) => item.n)).toEqual(items.map((item) => item.n));
    expect(jar.batches).toBe(1);
    object.sort((a, b) => b.n - a.n);
    jar.commit();
    expect(again()[0]!.n).toBe(19);
  });

  test('changes inside elements, and fields of a subclass', () => {
    const { object, jar, again } = store(new PersistentList<unknown>([[1], { a: 1 }]));
    (object[0] as number[]).push(2);
    (object[1] as { a: number }).a = 2;
    jar.commit();
    expect([...again()]).toEqual([[1, 2], { a: 2 }]);
    const playlist = store(new Playlist([new Item(1)]));
    playlist.object.owner = 'you';
    playlist.object.push(new Item(2));
    playlist.jar.commit();
    expect([playlist.again().owner, playlist.again().map((item) => item.n)]).toEqual(['you', [1, 2]]);
    expect(playlist.object).toBeInstanceOf(Playlist);
  });

  test('an object that holds a list shares it', () => {
    const list = new PersistentList<Item>();
    const { object, jar, again } = store(
      new PersistentMapping([
        ['a', list],
        ['b', list],
      ]),
    );
    expect(object.get('a')).toBe(object.get('b'));
    object.get('a')!.push(new Item(5));
    expect(statusOf(object)).toBe('saved');
    jar.commit();
    expect(again().get('b')![0]!.n).toBe(5);
  });

  test('against an array, at random', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(9), fc.integer({ min: -3, max: 6 }), fc.nat(9)), { maxLength: 40 }),
        (steps) => {
          const { object, jar, again } = store(new PersistentList<number>());
          const model: number[] = [];
          for (const [kind, at, v] of steps) {
            const both = (change: (list: number[]) => unknown): void => {
              expect(change(object)).toEqual(change(model));
            };
            if (kind <= 2) both((list) => list.push(v));
            else if (kind === 3) both((list) => list.splice(at, v % 3, v));
            else if (kind === 4) both((list) => list.pop());
            else if (kind === 5) both((list) => [list.at(at), list.lastIndexOf(v), list.indexOf(v, at)]);
            else if (kind === 6) jar.commit();
            else if (kind === 7) jar.cache.minimize();
            else if (kind === 8) both((list) => [...list.reverse()]);
            else both((list) => list.unshift(v));
          }
          expect([...object]).toEqual(model);
          jar.commit();
          expect([...again()]).toEqual(model);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('WeakRef', () => {
  @persistent('collections.Holder')
  class Holder {
    ref: WeakRef<Item> | null = null;
    refs: WeakRef<Item>[] = [];
    strong: Item | null = null;
  }

  test('stores its target in the same transaction, and finds it again', () => {
    const holder = new Holder();
    const item = new Item(4);
    holder.ref = new WeakRef(item);
    holder.refs = [new WeakRef(item)];
    expect([holder.ref.deref(), holder.ref.oid]).toEqual([item, undefined]);
    const { object, records } = store(holder);
    expect(holder.ref.oid).toBe(oidOf(item));
    expect(object.ref!.deref()!.n).toBe(4);
    expect(object.refs[0]!.deref()).toBe(object.ref!.deref());
    expect(object.ref!.equals(object.refs[0]!)).toBe(true);
    records.revisions.delete(oidOf(item)!);
    const later = new MapJar(records).cache.get(oidOf(object)!) as Holder;
    expect(later.ref!.deref()).toBe(undefined);
    expect(inspect(later.ref)).toBe(`<WeakRef to 0x${oidOf(item)!.toString(16)}>`);
  });

  test('is no strong reference', () => {
    const jar = new MapJar();
    const holder = new Holder();
    holder.ref = new WeakRef(new Item(1));
    jar.cache.add(holder);
    const [record, target] = [...jar.cache.serializeChanged()];
    expect([record!.references, target!.className.name]).toEqual([[], 'Item']);
  });

  test('only persistent objects can be targets', () => {
    expect(() => new WeakRef({})).toThrow('Only a persistent object');
  });

  test('PersistentWeakKeyDictionary finds by object, and forgets keys that are gone when it is loaded', () => {
    const [a, b] = [new Item(1), new Item(2)];
    const dictionary = new PersistentWeakKeyDictionary<Item, unknown>([
      [a, 'A'],
      [b, ['B']],
    ]);
    expect([dictionary.get(a), dictionary.has(new Item()), dictionary.size]).toEqual(['A', false, 2]);
    const { object, jar, records, again, oid } = store(dictionary);
    const [a2, b2] = [jar.cache.get(oidOf(a)!) as Item, jar.cache.get(oidOf(b)!) as Item];
    expect([object.get(a2), object.get(b2), [...object.keys()]]).toEqual(['A', ['B'], [a2, b2]]);
    (object.get(b2) as string[]).push('more');
    object.set(a2, 'AA');
    jar.commit();
    expect(again().size).toBe(2);
    records.revisions.delete(oidOf(a)!);
    const later = new MapJar(records).cache.get(oid as never) as typeof dictionary;
    expect([later.size, [...later.values()]]).toEqual([1, [['B', 'more']]]);
    expect(object.delete(b2)).toBe(true);
    expect(() => object.set({} as Item, 1)).toThrow('persistent objects');
  });
});
