import { setImmediate as nextTurn } from 'node:timers/promises';
import { InvalidObjectReference, POSKeyError } from '../../src/errors';
import type { Oid } from '../../src/ids';
import {
  createBudget,
  createCache,
  deactivate,
  invalidate,
  isPersistent,
  jarOf,
  markChanged,
  oidOf,
  persistent,
  Persistent,
  Registry,
  removeField,
  serialOf,
  statusOf,
} from '../../src/persistence/index';
import { MapJar, Records } from './map-jar';

@persistent('cache.Item')
class Item {
  n = 0;
  next: Item | null = null;
  items: Item[] = [];
  constructor(n = 0) {
    this.n = n;
  }
}

/** A chain of stored items, and a fresh jar on them. */
function chain(
  length: number,
  options: ConstructorParameters<typeof MapJar>[1] = {},
): { jar: MapJar; records: Records; oids: Oid[] } {
  const records = new Records();
  const first = new MapJar(records);
  const items = Array.from({ length }, (_, i) => new Item(i));
  items.forEach((item, i) => (item.next = items[i + 1] ?? null));
  const oids = items.map((item) => first.cache.add(item));
  first.commit();
  return { jar: new MapJar(records, options), records, oids };
}

describe('identity', () => {
  test('one oid is one object, however it is reached', () => {
    const { jar, oids } = chain(3);
    const first = jar.cache.get(oids[0]!) as Item;
    const second = jar.cache.get(oids[1]!);
    expect(first.next).toBe(second);
    expect(jar.cache.getMany(oids)).toEqual([first, second, (second as Item).next]);
    expect(jar.cache.peek(oids[2]!)).toBe((second as Item).next);
  });

  test('it stays the same one after eviction, for as long as anyone holds it', async () => {
    const { jar, oids } = chain(10, { targetCount: 0 });
    const held = jar.cache.get(oids[0]!) as Item;
    jar.commit();
    await nextTurn();
    expect(statusOf(held)).toBe('ghost');
    expect(jar.cache.get(oids[0]!)).toBe(held);
    expect(statusOf(held)).toBe('saved');
  });

  test('cycles', () => {
    const records = new Records();
    const jar = new MapJar(records);
    const [a, b] = [new Item(1), new Item(2)];
    a.next = b;
    b.next = a;
    a.items = [a, b];
    const oid = jar.cache.add(a);
    jar.commit();
    const again = new MapJar(records).cache.get(oid) as Item;
    expect(again.next!.next).toBe(again);
    expect(again.items).toEqual([again, again.next]);
    expect(again.items[0]).toBe(again);
  });
});

describe('references', () => {
  test('following one loads one; a container of them is one batch', () => {
    const { jar, oids, records } = chain(20);
    const first = jar.cache.get(oids[0]!) as Item;
    expect(jar.loads).toBe(1);
    expect(first.next!.n).toBe(1);
    expect(jar.loads).toBe(2);
    const writer = new MapJar(records);
    const all = writer.cache.getMany(oids) as Item[];
    all[0]!.items = all.slice(1);
    writer.commit();
    const reader = new MapJar(records);
    const { items } = reader.cache.get(oids[0]!) as Item;
    expect(items.map((item) => item.n)).toEqual(Array.from({ length: 19 }, (_, i) => i + 1));
    expect([reader.loads, reader.batches]).toBe;
    expect(reader.batches).toBe(1);
  });

  test('a container of very many references is worth a warning', () => {
    const records = new Records();
    const writer = new MapJar(records);
    const item = new Item();
    item.items = Array.from({ length: 10_001 }, () => new Item());
    const oid = writer.cache.add(item);
    writer.commit();
    const reader = new MapJar(records);
    expect((reader.cache.get(oid) as Item).items.length).toBe(10_001);
    expect(reader.warnings).toEqual([expect.stringContaining('Item.items holds 10001 references')]);
  });

  test('a reference to what does not exist is an error when it is followed, not before', () => {
    const { jar, oids, records } = chain(2);
    records.revisions.delete(oids[1]!);
    const first = jar.cache.get(oids[0]!) as Item;
    expect(first.n).toBe(0);
    expect(() => first.next).toThrow(POSKeyError);
    expect(() => jar.cache.getMany(oids)).toThrow(POSKeyError);
    jar.cache.prefetch(oids);
    first.n = 5;
    jar.commit();
    expect(() => (new MapJar(records).cache.get(oids[0]!) as Item).next).toThrow(POSKeyError);
  });

  test('inside Maps, Sets, tuples and as keys', () => {
    const records = new Records();
    const jar = new MapJar(records);
    const [a, b] = [new Item(1), new Item(2)];
    const holder = Object.assign(new Item(), {
      map: new Map<unknown, unknown>([
        [a, 'a'],
        ['b', b],
      ]),
      set: new Set([a, b]),
      tuple: Object.freeze([a, Object.freeze([b])]),
      object: { deep: [{ a }] },
    });
    const oid = jar.cache.add(holder);
    jar.commit();
    const again = new MapJar(records).cache.get(oid) as typeof holder;
    const [a2] = again.tuple as unknown as [Item, [Item]];
    const b2 = (again.tuple as unknown as [Item, [Item]])[1][0];
    expect([a2.n, b2.n]).toEqual([1, 2]);
    expect([...again.map]).toEqual([
      [a2, 'a'],
      ['b', b2],
    ]);
    expect([...again.map.keys()][0]).toBe(a2);
    expect(again.set.has(a2) && again.set.has(b2)).toBe(true);
    expect(again.object.deep[0]!.a).toBe(a2);
    expect(Object.isFrozen(again.tuple) && Object.isFrozen(again.tuple[1])).toBe(true);
  });

  test('an object of another connection of the same database is refused', () => {
    const { jar, oids, records } = chain(2);
    const other = new MapJar(records);
    (jar.cache.get(oids[0]!) as Item).next = other.cache.get(oids[1]!) as Item;
    expect(() => jar.commit()).toThrow(InvalidObjectReference);
    expect(() => jar.cache.add(other.cache.get(oids[1]!))).toThrow(InvalidObjectReference);
  });

  test('an object of a sibling database is a foreign reference', () => {
    const [here, there] = [
      new MapJar(new Records(), { databaseName: 'here' }),
      new MapJar(new Records(), { databaseName: 'there' }),
    ];
    here.siblings.set('there', there);
    there.siblings.set('here', here);
    const far = new Item(7);
    there.cache.add(far);
    there.commit();
    const near = new Item(1);
    near.next = far;
    near.items = [far];
    const oid = here.cache.add(near);
    here.commit();
    expect([...here.cache.serializeChanged()]).toEqual([]);
    here.cache.minimize();
    expect((here.cache.get(oid) as Item).next).toBe(far);
    expect((here.cache.get(oid) as Item).items[0]).toBe(far);
  });
});

describe('size', () => {
  test('a boundary brings the cache down, and only what is untouched goes', () => {
    const { jar, oids } = chain(1000, { targetCount: 100 });
    for (const oid of oids) void (jar.cache.get(oid) as Item).n;
    expect(jar.cache.statistics.loaded).toBeLessThanOrEqual(100 + 2 * 64);
    jar.commit();
    jar.commit();
    expect(jar.cache.statistics.loaded).toBeLessThanOrEqual(164);
    expect(jar.cache.statistics.evictions).toBeGreaterThan(800);
  });

  test('what is used again and again stays', () => {
    const { jar, oids } = chain(2000, { targetCount: 200 });
    const favourites = oids.slice(0, 20).map((oid) => jar.cache.get(oid) as Item);
    for (const oid of oids) {
      void (jar.cache.get(oid) as Item).n;
      for (const favourite of favourites) void favourite.n;
    }
    const loads = jar.loads;
    for (const favourite of favourites) void favourite.n;
    expect(jar.loads).toBe(loads);
    expect(loads).toBe(2000);
  });

  test('changed objects and those whose values are out are never dropped in a transaction', () => {
    const { jar, oids } = chain(2000, { targetCount: 50 });
    const changed = oids.slice(0, 300).map((oid) => jar.cache.get(oid) as Item);
    changed.forEach((item) => (item.n += 1000));
    const exposed = oids.slice(300, 500).map((oid) => (jar.cache.get(oid) as Item).items);
    for (const oid of oids) jar.cache.get(oid);
    exposed.forEach((items) => items.push(changed[0]!));
    jar.commit();
    expect(changed.map((item) => item.n)).toEqual(changed.map((_, i) => i + 1000));
    const again = new MapJar(jar['records' as never] ?? undefined);
    void again;
    expect((jar.cache.get(oids[301]!) as Item).items).toEqual([changed[0]]);
  });

  test('bytes are limited by a budget that connections share', () => {
    const budget = createBudget(200_000);
    const records = new Records();
    const writer = new MapJar(records);
    const oids = Array.from({ length: 400 }, () =>
      writer.cache.add(Object.assign(new Item(), { text: 'x'.repeat(1000) })),
    );
    writer.commit();
    const [a, b] = [new MapJar(records, { budget }), new MapJar(records, { budget })];
    for (const oid of oids) void (a.cache.get(oid) as Item).n;
    expect(budget.used).toBeLessThan(300_000);
    for (const oid of oids) void (b.cache.get(oid) as Item).n;
    expect(budget.used).toBeLessThan(300_000);
    expect(a.cache.statistics.bytes + b.cache.statistics.bytes).toBe(budget.used);
    a.cache.clear();
    b.cache.clear();
    expect(budget.used).toBe(0);
    expect(() => createBudget(-1)).toThrow('bytes');
  });

  test('minimize drops everything clean; details tell what is there', () => {
    const { jar, oids } = chain(5);
    const items = jar.cache.getMany(oids) as Item[];
    items[1]!.n = 9;
    jar.cache.minimize();
    expect(items.map((item) => statusOf(item))).toEqual(['ghost', 'changed', 'ghost', 'ghost', 'ghost']);
    expect(
      [...jar.cache.details()].map(({ oid, status, className }) => [oid, status, className]).sort(),
    ).toEqual(oids.map((oid, i) => [oid, i === 1 ? 'changed' : 'ghost', 'cache.Item']));
    expect(jar.cache.statistics).toMatchObject({ loaded: 1, changed: 1, targetCount: 10_000 });
  });

  test('a cache that is cleared lets go of its objects', () => {
    const { jar, oids } = chain(2);
    const [a, b] = jar.cache.getMany(oids) as [Item, Item];
    deactivate(b);
    jar.cache.clear();
    expect([statusOf(a), a.n]).toEqual(['unsaved', 0]);
    expect(() => b.n).toThrow('lost its connection');
    expect(jar.cache.get(oids[0]!)).not.toBe(a);
  });

  test('objects whose states went otherwise than by eviction are let go of', () => {
    const { jar, oids } = chain(200);
    for (let round = 0; round < 60; round++) {
      for (const oid of oids) jar.cache.get(oid);
      jar.cache.minimize();
    }
    const { loaded, ghosts } = jar.cache.statistics;
    expect([loaded, ghosts]).toEqual([0, 200]);
    jar.cache.getMany(oids);
    expect(jar.cache.statistics.loaded).toBe(200);
  });

  test('targets are checked', () => {
    expect(() => createCache(new MapJar(), { targetCount: -1 })).toThrow('number of objects');
    expect(() => (new MapJar().cache.targetCount = 1.5)).toThrow('number of objects');
  });
});

describe('the protocol', () => {
  test('a fresh object has no jar, and its changes go unnoticed', () => {
    const item = new Item() as Item & Persistent;
    expect([
      item._p_oid,
      item._p_jar,
      item._p_changed,
      item._p_serial,
      item._p_mtime,
      item._p_status,
    ]).toEqual([undefined, undefined, false, 0n, undefined, 'unsaved']);
    item._p_changed = true;
    expect(item._p_changed).toBe(false);
    item._p_deactivate();
    item._p_invalidate();
    expect(item.n).toBe(0);
  });

  test('words and setters of _p_changed', () => {
    const { jar, oids } = chain(1);
    const item = jar.cache.get(oids[0]!) as Item & Persistent;
    expect([item._p_changed, item._p_status, item._p_oid, item._p_jar, item._p_serial]).toEqual([
      false,
      'saved',
      oids[0],
      jar,
      1n,
    ]);
    item._p_changed = null;
    expect([item._p_changed, item._p_status]).toEqual([null, 'ghost']);
    item._p_changed = true;
    expect([item._p_changed, item.n, jar.joined]).toEqual([true, 0, 1]);
    item._p_changed = null;
    expect(item._p_changed).toBe(true);
    item._p_changed = false;
    expect([item._p_changed, jar.cache.changedObjects()]).toEqual([false, []]);
    item.n = 5;
    item._p_invalidate();
    expect([item._p_changed, item.n]).toEqual([null, 0]);
    item._p_deactivate();
    item._p_activate();
    expect(item._p_status).toBe('saved');
    expect(item._p_estimatedSize).toBeGreaterThan(30);
  });

  test('the functions do the same for any class', () => {
    const { jar, oids } = chain(1);
    const item = jar.cache.get(oids[0]!) as Item;
    expect([oidOf(item), serialOf(item), statusOf(item), jarOf(item)]).toEqual([oids[0], 1n, 'saved', jar]);
    markChanged(item);
    expect(statusOf(item)).toBe('changed');
    deactivate(item);
    expect(statusOf(item)).toBe('changed');
    invalidate(item);
    expect(statusOf(item)).toBe('ghost');
    expect([oidOf(new Item()), serialOf(new Item()), jarOf(new Item())]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(() => oidOf({})).toThrow('no object of a persistent class');
    expect([isPersistent({}), isPersistent(null), isPersistent(5), isPersistent(new Item())]).toEqual([
      false,
      false,
      false,
      true,
    ]);
  });

  test('the jar joins before anything is different', () => {
    const { jar, oids } = chain(2);
    const item = jar.cache.get(oids[0]!) as Item & { fresh?: number };
    jar.readOnly = true;
    expect(() => (item.n = 5)).toThrow('read-only');
    expect(() => (item.fresh = 5)).toThrow('read-only');
    expect([item.n, 'fresh' in item, statusOf(item)]).toEqual([0, false, 'saved']);
    item.items.push(item);
    expect(() => jar.cache.flushExposed()).toThrow('read-only');
    expect(item.items).toEqual([]);
    expect(() => jar.cache.add(new Item())).toThrow('read-only');
  });

  test('one join a transaction', () => {
    const { jar, oids } = chain(3);
    const items = jar.cache.getMany(oids) as Item[];
    items.forEach((item) => (item.n = 9));
    expect(jar.joined).toBe(1);
    jar.commit();
    items[0]!.n = 1;
    expect(jar.joined).toBe(2);
  });

  test('removing a field', () => {
    const { jar, oids, records } = chain(1);
    const item = jar.cache.get(oids[0]!) as Item;
    removeField(item, 'n');
    expect([item.n, statusOf(item)]).toEqual([undefined, 'changed']);
    jar.commit();
    expect(Object.keys(new MapJar(records).cache.get(oids[0]!))).toEqual(['next', 'items']);
    item.n = 4;
    jar.commit();
    expect((new MapJar(records).cache.get(oids[0]!) as Item).n).toBe(4);
    const fresh = new Item();
    removeField(fresh, 'n');
    expect('n' in fresh).toBe(false);
  });

  test('a field that another process removes reads undefined and is not written back', () => {
    const { jar, oids, records } = chain(1);
    const item = jar.cache.get(oids[0]!) as Item;
    const other = new MapJar(records);
    removeField(other.cache.get(oids[0]!), 'n');
    other.commit();
    jar.newSnapshot();
    expect(item.n).toBe(undefined);
    item.items = [item];
    jar.commit();
    expect(Object.keys(new MapJar(records).cache.get(oids[0]!))).toEqual(['next', 'items']);
  });
});

describe('what can not be saved', () => {
  test.each<[string, unknown, RegExp]>([
    [
      'function',
      { history: [1, 2, 3, { callback: () => 1 }] },
      /^cache\.Bad\.x\.history\[3\]\.callback: functions.*@transient/,
    ],
    ['symbol', Symbol('s'), /^cache\.Bad\.x: /],
    ['promise', [Promise.resolve()], /^cache\.Bad\.x\[0\]: /],
    ['WeakMap', new WeakMap(), /^cache\.Bad\.x: /],
    [
      'accessor in a plain object',
      { a: Object.defineProperty({}, 'b', { get: () => 1, enumerable: true }) },
      /^cache\.Bad\.x\.a\.b: /,
    ],
    ['own property of an array', Object.assign([1], { extra: 1 }), /^cache\.Bad\.x/],
  ])('%s', (_name, x, message) => {
    @persistent({ name: 'cache.Bad', replace: true })
    class Bad {
      x = x;
    }
    const records = new Records();
    const jar = new MapJar(records);
    const bad = new Bad();
    jar.cache.add(bad);
    expect(() => jar.commit()).toThrow(message);
    expect(records.revisions.size).toBe(0);
    expect([statusOf(bad), bad.x === x]).toEqual(['unsaved', true]);
    (bad as { x: unknown }).x = 1;
    jar.cache.add(bad);
    jar.commit();
    expect(records.revisions.size).toBe(1);
  });

  test('frozen, sealed, and objects with accessors of their own: nothing is done to them', () => {
    const jar = new MapJar();
    const frozen = Object.freeze(new Item(3));
    jar.cache.add(frozen);
    expect(() => jar.commit()).toThrow('frozen, sealed or made non-extensible');
    const closed = Object.preventExtensions(new Item(4));
    jar.cache.add(closed);
    expect(() => jar.commit()).toThrow('non-extensible');
    expect({ ...closed }).toMatchObject({ n: 4 });
    const odd = Object.defineProperty(new Item(5), 'n', {
      get: () => 5,
      enumerable: true,
      configurable: true,
    });
    jar.cache.add(odd);
    expect(() => jar.commit()).toThrow('Item.n: an accessor of the object itself');
    expect([odd.n, Object.keys(odd)]).toEqual([5, ['n', 'next', 'items']]);
  });

  test('an object without a registry entry, or none at all', () => {
    const jar = new MapJar(new Records(), { registry: new Registry() });
    expect(() => jar.cache.add(new Item())).toThrow('not registered');
    expect(() => jar.cache.add({})).toThrow('no persistent class');
    expect(() => jar.cache.add(new Map())).toThrow('Map is no persistent class');
  });

  test('a failed commit leaves others as they were, and can be repeated', () => {
    const { jar, oids, records } = chain(2);
    const [a, b] = jar.cache.getMany(oids) as [Item, Item];
    a.n = 100;
    (b as { n: unknown }).n = () => 1;
    const fresh = new Item(5);
    a.next = fresh;
    expect(() => jar.commit()).toThrow('cache.Item.n');
    expect([a.n, b.n, a.next, statusOf(fresh), oidOf(fresh)]).toEqual([0, 1, b, 'unsaved', undefined]);
    a.next = fresh;
    jar.commit();
    expect((new MapJar(records).cache.get(oids[0]!) as Item).next!.n).toBe(5);
  });
});

test('properties that appear after the first save are saved at the next', () => {
  const jar = new MapJar();
  class Late extends Item {
    constructor() {
      super(1);
      jar.cache.add(this);
      jar.commit();
    }
    later = [2];
  }
  const own = jar.registry;
  own.register('cache', 'Late', Late);
  const late = new Late();
  late.n = 5;
  jar.commit();
  late.later.push(3);
  jar.commit();
  jar.cache.minimize();
  expect({ ...late }).toMatchObject({ n: 5, later: [2, 3] });
});

describe('savepoints', () => {
  test('rollback returns to the state at the savepoint, abort to the committed one', () => {
    const { jar, oids } = chain(1);
    const item = jar.cache.get(oids[0]!) as Item & { extra?: number };
    item.n = 1;
    const first = jar.savepoint();
    item.n = 2;
    item.extra = 5;
    const made = new Item(50);
    item.next = made;
    const second = jar.savepoint();
    item.n = 3;
    jar.rollback(second);
    expect([item.n, item.extra, item.next]).toEqual([2, 5, made]);
    jar.rollback(first);
    expect([item.n, 'extra' in item, item.next, statusOf(made), made.n]).toEqual([
      1,
      false,
      null,
      'unsaved',
      50,
    ]);
    expect(() => jar.rollback(second)).toThrow('not of the transaction');
    jar.abort();
    expect(item.n).toBe(0);
  });

  test('a field added before a savepoint goes with an abort, though a new object leads back to its holder', () => {
    const { jar, oids } = chain(1);
    const item = jar.cache.get(oids[0]!) as Item & { extra?: number };
    item.extra = 1;
    const made = Object.assign(new Item(7), { items: [item], more: undefined as number | undefined });
    item.next = made;
    jar.savepoint();
    (made as Item & { late?: number }).late = 5;
    jar.cache.minimize();
    jar.abort();
    expect(['extra' in item, (made as Item & { late?: number }).late, made.items[0]]).toEqual([
      false,
      5,
      item,
    ]);
  });

  test('a new object that was evicted after a savepoint is set free with its fields', () => {
    const { jar, oids } = chain(1);
    const item = jar.cache.get(oids[0]!) as Item;
    const made = Object.assign(new Item(7), { items: [item] });
    item.next = made;
    jar.savepoint();
    jar.cache.minimize();
    expect(statusOf(made)).toBe('ghost');
    jar.abort();
    expect([statusOf(made), made.n, made.items[0]]).toEqual(['unsaved', 7, item]);
    item.next = made;
    jar.commit();
    expect(statusOf(made)).toBe('saved');
  });
});
