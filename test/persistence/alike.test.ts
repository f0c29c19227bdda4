import { persistent, statusOf } from '../../src/persistence/index';
import { MapJar, Records } from './map-jar';

@persistent('alike.Item')
class Item {
  n = 0;
  name: unknown = 'a';
}

@persistent('alike.Holder')
class Holder {
  items: object[];
  constructor(items: object[]) {
    this.items = items;
  }
}

/** Saves an object of the usual fields, so that the next one is expected to have them, too; then another one. */
function saveAfterUsual(jar: MapJar, object: object): void {
  jar.cache.add(new Holder([new Item(), new Item()]));
  jar.commit();
  jar.cache.add(new Holder([object]));
  jar.commit();
}

/** What another connection finds in the second holder. */
function stored(records: Records): object {
  const oid = [...records.revisions.keys()].at(-1)!;
  return { ...new MapJar(records).cache.get(oid) };
}

describe('an object whose class has saved others before', () => {
  test.each<[string, () => object, object]>([
    ['the same fields', () => Object.assign(new Item(), { n: 7 }), { n: 7, name: 'a' }],
    ['one field more', () => Object.assign(new Item(), { more: 1 }), { n: 0, name: 'a', more: 1 }],
    [
      'one field less',
      () => {
        const item = new Item();
        Reflect.deleteProperty(item, 'name');
        return item;
      },
      { n: 0 },
    ],
    [
      'another order',
      () => {
        const item = new Item();
        Reflect.deleteProperty(item, 'n');
        return Object.assign(item, { n: 2 });
      },
      { name: 'a', n: 2 },
    ],
    [
      'as many fields, and one that is not saved',
      () => {
        const item = new Item();
        Reflect.deleteProperty(item, 'name');
        return Object.assign(item, { _v_name: 'b' });
      },
      { n: 0 },
    ],
    [
      'a property that is not enumerable',
      () => Object.defineProperty(new Item(), 'name', { enumerable: false }),
      { n: 0 },
    ],
  ])('with %s', (_, make, expected) => {
    const records = new Records();
    const jar = new MapJar(records);
    const object = make();
    saveAfterUsual(jar, object);
    expect(stored(records)).toEqual(expected);
    expect(Object.keys(stored(records))).toEqual(Object.keys(expected));
    (object as Item).n = 9;
    expect(statusOf(object)).toBe('changed');
  });

  test.each<[string, () => object, string]>([
    ['is frozen', () => Object.freeze(new Item()), 'frozen, sealed or made non-extensible'],
    [
      'has an accessor of its own',
      () => Object.defineProperty(new Item(), 'name', { get: () => 1, set: () => undefined }),
      'Item.name: an accessor of the object itself',
    ],
    [
      'has a field that cannot be redefined',
      () => Object.defineProperty(new Item(), 'name', { configurable: false }),
      "Item.name: a field that can't be redefined",
    ],
  ])('that %s is refused, and stays as it is', (_, make, message) => {
    const jar = new MapJar();
    const object = make();
    const before = Object.getOwnPropertyDescriptors(object);
    expect(() => {
      saveAfterUsual(jar, object);
    }).toThrow(message);
    expect(Object.getOwnPropertyDescriptors(object)).toEqual(before);
    expect(statusOf(object)).toBe('unsaved');
  });

  test('what a commit that failed had reached is as new as before, and saved by the next one', () => {
    const records = new Records();
    const jar = new MapJar(records);
    const item = new Item();
    const holder = new Holder([item, Object.freeze(new Item())]);
    jar.cache.add(holder);
    expect(() => {
      jar.commit();
    }).toThrow('frozen');
    jar.cache.abort();
    expect([statusOf(item), { ...item }]).toEqual(['unsaved', { n: 0, name: 'a' }]);
    item.n = 3;
    item.name = [1];
    const again = new Holder([item]);
    jar.cache.add(again);
    jar.commit();
    expect(stored(records)).toEqual({ n: 3, name: [1] });
  });
});
