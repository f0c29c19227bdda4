/** Plain values that are proxies, as libraries for observable state make them: they are stored as what they show, changes through them are found, and nothing freezes them. */
import { persistent, StaleValueError, statusOf } from '../../src/persistence/index';
import { MapJar, Records } from './map-jar';

@persistent('proxies.Box')
class Box {
  value: unknown;
  n = 0;
  constructor(value: unknown) {
    this.value = value;
  }
}

/** As Vue's `reactive`: what is inside is handed out as proxies, always the same ones. */
const reactives = new WeakMap<object, object>();
function reactive<T extends object>(target: T): T {
  const known =
    reactives.get(target) ??
    new Proxy(target, {
      get(from, key, receiver) {
        const value: unknown = Reflect.get(from, key, receiver);
        return typeof value === 'object' && value !== null ? reactive(value) : value;
      },
    });
  reactives.set(target, known);
  return known as T;
}

/** As MobX's observable arrays: they refuse to be frozen. */
function unfreezable<T extends object>(target: T): T {
  return new Proxy(target, {
    preventExtensions() {
      throw new Error('observable arrays cannot be frozen');
    },
  });
}

const makers: [string, <T extends object>(target: T) => T][] = [
  ['a bare proxy', (target) => new Proxy(target, {})],
  ['a reactive proxy', reactive],
  ['a proxy that refuses to be frozen', unfreezable],
];

describe.each(makers)('%s', (_name, wrap) => {
  function setup(make: () => object) {
    const records = new Records();
    const jar = new MapJar(records);
    const held = wrap(make());
    const box = new Box(held);
    const oid = jar.cache.add(box);
    jar.commit();
    return { held, box, jar, again: () => new MapJar(records).cache.get(oid) as Box };
  }
  const make = (): { a: number[]; b: { c: number } } => ({ a: [1], b: { c: 1 } });

  test('is stored as what it shows', () => {
    expect(setup(make).again().value).toEqual(make());
    expect(setup(() => [1, { c: 1 }]).again().value).toEqual([1, { c: 1 }]);
    expect(Object.isFrozen(setup(() => [1]).again().value)).toBe(false);
  });

  test('a change through it is found', () => {
    const { held, jar, again } = setup(make) as unknown as {
      held: ReturnType<typeof make>;
      jar: MapJar;
      again: () => Box;
    };
    held.a.push(2);
    held.b.c = 5;
    jar.commit();
    expect(again().value).toEqual({ a: [1, 2], b: { c: 5 } });
  });

  test.each<[string, (jar: MapJar, box: Box) => void]>([
    ['eviction', (jar) => jar.cache.minimize()],
    [
      'abort',
      (jar, box) => {
        box.n = 1;
        jar.abort();
      },
    ],
  ])('after an %s it works still; a change through it is an error at the next commit', (_how, drop) => {
    const { held, box, jar, again } = setup(() => [1]) as unknown as {
      held: number[];
      box: Box;
      jar: MapJar;
      again: () => Box;
    };
    drop(jar, box);
    jar.commit();
    expect([...held]).toEqual([1]);
    held.push(2);
    expect(() => jar.commit()).toThrow(StaleValueError);
    jar.commit();
    expect([again().value, box.value]).toEqual([[1], [1]]);
  });

  test('when it is watched no more, its object is dropped', () => {
    const { held, box, jar } = setup(() => [1]) as unknown as { held: number[]; box: Box; jar: MapJar };
    jar.cache.targetCount = 1;
    jar.commit();
    // Nor can this one get a copy of its value and stay.
    const other = new Box([[2]]);
    jar.cache.add(other);
    jar.commit();
    jar.commit();
    expect(statusOf(box)).toBe('ghost');
    expect([...held]).toEqual([1]);
    expect(box.value).toEqual([1]);
  });
});
