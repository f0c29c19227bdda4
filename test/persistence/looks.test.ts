/** To everything that looks at objects, a persistent object is an ordinary one, in each of its states. */
import 'reflect-metadata';
import { strict as assert } from 'node:assert';
import { EventEmitter } from 'node:events';
import { inspect } from 'node:util';
import { instanceToPlain, plainToInstance } from 'class-transformer';
import {
  deactivate,
  invalidate,
  isPersistent,
  persistent,
  statusOf,
  transient,
} from '../../src/persistence/index';
import { MapJar, Records } from './map-jar';

/** The part of lodash that is used here; it has no types of its own. */
interface Lodash {
  cloneDeep<T>(value: T): T;
  isEqual(a: unknown, b: unknown): boolean;
  pick(object: object, ...names: string[]): object;
}
const lodash = jest.requireActual<Lodash>('lodash');

class PlainPoint {
  x = 1;
  label = 'p';
  tags = ['a', 'b'];
  when = new Date(5);
  nested = { deep: [1, { two: 2 }] };
  none: null = null;
  42 = 'numeric';
}

@persistent('looks.Point')
class Point {
  x = 1;
  label = 'p';
  tags = ['a', 'b'];
  when = new Date(5);
  nested = { deep: [1, { two: 2 }] };
  none: null = null;
  42 = 'numeric';
}

const prepare: Record<string, () => Point> = {
  'before saving': () => new Point(),
  'after saving': () => {
    const jar = new MapJar();
    const point = new Point();
    jar.cache.add(point);
    jar.commit();
    return point;
  },
  loaded: () => loaded().point,
  evicted: () => {
    const { point } = loaded();
    deactivate(point);
    expect(statusOf(point)).toBe('ghost');
    return point;
  },
  'evicted from a cache of nothing': () => {
    const records = new Records();
    const jar = new MapJar(records, { targetCount: 0 });
    const point = new Point();
    jar.cache.add(point);
    jar.commit();
    expect(statusOf(point)).toBe('ghost');
    return point;
  },
  invalidated: () => {
    const { point, jar, records } = loaded();
    const other = new MapJar(records);
    (other.cache.get(1 as never) as Point).x = 7;
    other.commit();
    (other.cache.get(1 as never) as Point).x = 1;
    other.commit();
    jar.newSnapshot();
    return point;
  },
  'invalidated by hand': () => {
    const { point } = loaded();
    point.x = 99;
    invalidate(point);
    return point;
  },
  aborted: () => {
    const { point, jar } = loaded();
    point.x = 2;
    point.tags.push('c');
    (point as Point & { nick?: string }).nick = 'n';
    jar.abort();
    return point;
  },
  'aborted before it was ever stored': () => {
    const jar = new MapJar();
    const point = new Point();
    jar.cache.add(point);
    jar.abort();
    expect(statusOf(point)).toBe('unsaved');
    return point;
  },
  'set free by a failed commit': () => {
    const jar = new MapJar();
    const point = new Point();
    const bad = new Point();
    (bad as Point & { f?: unknown }).f = () => 1;
    jar.cache.add(point);
    jar.cache.add(bad);
    expect(() => jar.commit()).toThrow('looks.Point.f');
    expect(statusOf(point)).toBe('unsaved');
    return point;
  },
};

function loaded(): { point: Point; jar: MapJar; records: Records } {
  const records = new Records();
  const first = new MapJar(records);
  records.nextOid = 1;
  first.cache.add(new Point());
  first.commit();
  const jar = new MapJar(records);
  return { point: jar.cache.get(1 as never) as Point, jar, records };
}

describe.each(Object.keys(prepare))('%s', (name) => {
  const make = prepare[name]!;
  const plain = new PlainPoint();

  test('keys, entries, in, hasOwnProperty, for…in, spread', () => {
    const point = make();
    expect(Object.keys(point)).toEqual(Object.keys(plain));
    expect(Object.entries(point)).toEqual(Object.entries(plain));
    expect(Reflect.ownKeys(point)).toEqual(Reflect.ownKeys(plain));
    expect('x' in point && 'toString' in point && !('y' in point)).toBe(true);
    expect(Object.hasOwn(point, 'tags') && Object.prototype.hasOwnProperty.call(point, 'tags')).toBe(true);
    expect(Reflect.apply(Object.prototype.hasOwnProperty, point, ['nope'])).toBe(false);
    expect(Reflect.apply(Object.prototype.propertyIsEnumerable, point, ['x'])).toBe(true);
    const seen: string[] = [];
    for (const key in point) seen.push(key);
    expect(seen).toEqual(Object.keys(plain));
    expect({ ...point }).toEqual({ ...plain });
    expect(Object.assign({}, point)).toEqual({ ...plain });
  });

  test('JSON.stringify, structuredClone', () => {
    expect(JSON.stringify(make())).toBe(JSON.stringify(plain));
    expect(structuredClone({ ...make() })).toEqual(structuredClone({ ...plain }));
    expect(structuredClone(make())).toEqual(structuredClone(plain));
  });

  test('identity of class', () => {
    const point = make();
    expect(point).toBeInstanceOf(Point);
    expect(point.constructor).toBe(Point);
    expect(Object.getPrototypeOf(point)).toBe(Point.prototype);
    expect(String(point)).toBe('[object Object]');
    expect(isPersistent(point) && !isPersistent(plain)).toBe(true);
  });

  test('deepStrictEqual and jest', () => {
    const point = make();
    assert.deepStrictEqual({ ...point }, { ...plain });
    assert.deepEqual(point, new Point());
    assert.deepStrictEqual(Object.keys(point), Object.keys(new Point()));
    expect(point).toEqual(new Point());
    expect(point).toStrictEqual(make());
    expect(point).toMatchObject({ x: 1, nested: { deep: [1, { two: 2 }] } });
    expect(point).toHaveProperty('nested.deep.1.two', 2);
    expect(point).not.toEqual(Object.assign(new Point(), { x: 2 }));
  });

  test('lodash and class-transformer', () => {
    const point = make();
    expect(lodash.cloneDeep({ ...point })).toEqual({ ...plain });
    expect(lodash.isEqual({ ...point }, { ...plain })).toBe(true);
    expect(lodash.isEqual(point, make())).toBe(true);
    expect(lodash.pick(point, 'x', 'label')).toEqual({ x: 1, label: 'p' });
    expect(JSON.stringify(instanceToPlain(point))).toBe(JSON.stringify(instanceToPlain(plain)));
    expect(plainToInstance(PlainPoint, instanceToPlain(point)).x).toBe(1);
  });

  test('util.inspect and console.table show fields, or a reference, and load nothing', () => {
    const point = make();
    const before = statusOf(point);
    const text = inspect(point);
    if (before === 'ghost') expect(text).toBe('<looks.Point 0x1>');
    else expect(text).toBe(inspect(plain).replace('PlainPoint', 'Point'));
    expect(statusOf(point)).toBe(before);
    expect(inspect({ inside: { it: point } }, { depth: 0 })).toBe('{ inside: [Object] }');
  });

  test('reads, writes, methods through it', () => {
    const point = make();
    expect(point.nested.deep[1]).toEqual({ two: 2 });
    point.x += 1;
    expect(point.x).toBe(2);
    point.tags.push('c');
    expect(point.tags).toEqual(['a', 'b', 'c']);
  });
});

describe('classes', () => {
  class Undecorated {
    get shout(): string {
      return `${(this as unknown as { name: string }).name}!`;
    }
    greet(): string {
      return `hello ${this.shout}`;
    }
    static count = 3;
  }

  @persistent('looks.Animal')
  class Animal extends Undecorated {
    #secret = 1;
    name = 'rex';
    private hidden = 0;
    static kinds = ['dog'];
    @transient<Animal>((self) => `cache of ${self.name}`) cache!: string;
    get level(): number {
      return this.hidden;
    }
    set level(value: number) {
      this.hidden = value;
    }
    override greet(): string {
      return `${super.greet()} (animal)`;
    }
    hasSecret(): boolean {
      return #secret in this;
    }
  }

  @persistent('looks.Dog')
  class Dog extends Animal {
    legs = 4;
    override greet(): string {
      return `${super.greet()} (dog)`;
    }
  }

  @persistent({ name: 'looks.Bus', transient: ['_events', '_eventsCount', '_maxListeners'] })
  class Bus extends EventEmitter {
    sent: number[] = [];
    send(n: number): void {
      this.sent.push(n);
      this.emit('sent', n);
    }
  }

  function reload<T extends object>(object: T): T {
    const records = new Records();
    const first = new MapJar(records);
    const oid = first.cache.add(object);
    first.commit();
    return new MapJar(records).cache.get(oid) as T;
  }

  test('inheritance, super, accessors, statics', () => {
    const dog = reload(new Dog());
    expect(dog).toBeInstanceOf(Undecorated);
    expect(dog.greet()).toBe('hello rex! (animal) (dog)');
    dog.level = 5;
    expect([dog.level, Object.keys(dog)]).toEqual([5, ['name', 'hidden', 'legs']]);
    expect([Dog.kinds, Dog.count, Animal.name]).toEqual([['dog'], 3, 'Animal']);
    expect(dog.hasSecret()).toBe(false);
    expect(new Dog().hasSecret()).toBe(true);
  });

  test('a transient field is made when it is read, and never saved', () => {
    const dog = reload(Object.assign(new Dog(), { cache: 'mine' }));
    expect(Object.keys(dog)).toEqual(['name', 'hidden', 'legs']);
    expect(dog.cache).toBe('cache of rex');
    expect(statusOf(dog)).toBe('saved');
    dog.cache = 'other';
    expect([dog.cache, statusOf(dog)]).toEqual(['other', 'saved']);
    deactivate(dog);
    expect(dog.cache).toBe('cache of rex');
  });

  test('an EventEmitter works before and after it is stored', () => {
    const bus = new Bus();
    const heard: number[] = [];
    bus.on('sent', (n: number) => heard.push(n));
    const stored = reload(bus);
    bus.send(1);
    stored.on('sent', (n: number) => heard.push(n * 10));
    stored.send(2);
    expect(heard).toEqual([1, 20]);
    expect(stored).toBeInstanceOf(EventEmitter);
    expect(stored.sent).toEqual([2]);
    expect(Object.keys(reload(new Bus()))).toEqual(['sent']);
  });

  test('toJSON of the class is used', () => {
    @persistent('looks.WithJson')
    class WithJson {
      a = 1;
      toJSON(): unknown {
        return { b: this.a };
      }
    }
    expect(JSON.stringify([reload(new WithJson())])).toBe('[{"b":1}]');
  });

  test('console.table sees the fields', () => {
    const lines: string[] = [];
    const { Console } = jest.requireActual<typeof import('node:console')>('node:console');
    const { Writable } = jest.requireActual<typeof import('node:stream')>('node:stream');
    const stream = new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk));
        done();
      },
    });
    new Console(stream).table([reload(new Dog())]);
    expect(lines.join('')).toContain("'rex'");
  });
});

describe('what could pass a tracked field by', () => {
  test('delete and defineProperty of a stored field throw; removing a new one works until the commit', () => {
    const { point, jar } = loaded();
    expect(() => delete (point as Partial<Point>).x).toThrow(TypeError);
    expect(() => Object.defineProperty(point, 'x', { value: 3 })).toThrow(TypeError);
    expect(Reflect.deleteProperty(point, 'x')).toBe(false);
    const open = point as Point & { nick?: string };
    open.nick = 'n';
    expect(delete open.nick).toBe(true);
    jar.commit();
    expect('nick' in point).toBe(false);
    open.nick = 'again';
    jar.commit();
    expect(() => delete open.nick).toThrow(TypeError);
    expect(Object.keys(point).at(-1)).toBe('nick');
  });

  test('a field set on a new name is saved, and an abort takes it away', () => {
    const { point, jar, records } = loaded();
    const open = point as Point & { nick?: string };
    open.nick = 'n';
    expect(statusOf(point)).toBe('changed');
    jar.abort();
    expect('nick' in point).toBe(false);
    open.nick = 'm';
    jar.commit();
    expect((new MapJar(records).cache.get(1 as never) as typeof open).nick).toBe('m');
  });

  test('a field that another process adds appears on the object that is held', () => {
    const { point, jar, records } = loaded();
    const other = new MapJar(records);
    (other.cache.get(1 as never) as Point & { added?: number }).added = 5;
    other.commit();
    jar.newSnapshot();
    expect(Object.keys(point).at(-1)).toBe('added');
    expect({ ...point }).toMatchObject({ added: 5 });
  });

  test('a proxy of the object writes through', () => {
    const { point } = loaded();
    const proxy = new Proxy(point, {}) as Point & { fresh?: number };
    expect(proxy.x).toBe(1);
    proxy.x = 10;
    proxy.fresh = 11;
    expect([point.x, (point as typeof proxy).fresh, statusOf(point)]).toEqual([10, 11, 'changed']);
    const twice = new Proxy(proxy, {});
    twice.x = 12;
    expect(point.x).toBe(12);
  });

  test('an heir made by Object.create has fields of its own', () => {
    const { point } = loaded();
    const heir = Object.create(point) as Point & { own?: number };
    expect(heir.x).toBe(1);
    heir.x = 9;
    heir.own = 1;
    expect([point.x, heir.x, Object.keys(heir), statusOf(point)]).toEqual([1, 9, ['x', 'own'], 'saved']);
  });

  test('a frozen object refuses writes', () => {
    const { point } = loaded();
    Object.freeze(point);
    expect(() => (point.x = 2)).toThrow(TypeError);
    expect(() => ((point as Point & { y?: number }).y = 2)).toThrow(TypeError);
    expect(statusOf(point)).toBe('saved');
  });

  test('a copy is no persistent object', () => {
    const { point } = loaded();
    for (const copy of [
      structuredClone(point),
      lodash.cloneDeep({ ...point }),
      JSON.parse(JSON.stringify(point)) as Point,
    ]) {
      copy.x = 77;
      copy.tags.push('z');
    }
    expect([point.x, point.tags, statusOf(point)]).toEqual([1, ['a', 'b'], 'saved']);
  });

  test('_v_ names and symbols are never saved, and changing them changes nothing', () => {
    const { point, jar, records } = loaded();
    const mark = Symbol('mark');
    const open = point as Point & { _v_cache?: number; [mark]?: number };
    open._v_cache = 1;
    open[mark] = 2;
    expect(statusOf(point)).toBe('saved');
    open.x = 3;
    jar.commit();
    expect([open._v_cache, open[mark]]).toEqual([1, 2]);
    const again = new MapJar(records).cache.get(1 as never) as typeof open;
    expect([again._v_cache, again[mark], again.x]).toEqual([undefined, undefined, 3]);
    deactivate(point);
    expect(open._v_cache).toBe(undefined);
  });

  test('_p_ names are refused, but for those that mean something', () => {
    const { point } = loaded();
    expect(() => ((point as unknown as Record<string, unknown>)['_p_mine'] = 1)).toThrow('reserved');
    expect(() => ((point as unknown as Record<string, unknown>)['_p_oid'] = 1)).toThrow('read-only');
    (point as unknown as { _p_changed: boolean })._p_changed = true;
    expect(statusOf(point)).toBe('changed');
  });
});
