import { ClassRegistrationError } from '../../src/persistence/errors';
import {
  Broken,
  BrokenModified,
  field,
  oidOf,
  persistent,
  Registry,
  registry,
  removeField,
  statusOf,
  transient,
  value,
} from '../../src/persistence/index';
import { InvalidArgumentError } from '../../src/errors';
import { readClass } from '../../src/record/index';
import { MapJar, Records } from './map-jar';

function save(records: Records, object: object, reg?: Registry): number {
  const jar = new MapJar(records, reg ? { registry: reg } : {});
  const oid = jar.cache.add(object);
  jar.commit();
  return oid;
}

function load<T>(records: Records, oid: number, reg?: Registry): T {
  return new MapJar(records, reg ? { registry: reg } : {}).cache.get(oid as never) as T;
}

describe('names', () => {
  test('a dotted name is module and class; the bare form is in __main__', () => {
    const own = new Registry();
    @persistent({ name: 'a.b.C', registry: own })
    class C {}
    @persistent({ registry: own })
    class Bare {}
    expect(own.find('a.b', 'C')!.ctor).toBe(C);
    expect(own.find('__main__', 'Bare')!.ctor).toBe(Bare);
    expect(registry.find('a.b', 'C')).toBe(undefined);
  });

  test('what is stored is the name', () => {
    @persistent('names.Stored')
    class Whatever {}
    const records = new Records();
    const oid = save(records, new Whatever());
    expect(readClass(records.revisions.get(oid as never)![0]!.data).toString()).toBe('names.Stored');
  });

  test('one name for two classes is an error, and replace takes it over', () => {
    const own = new Registry();
    class A {}
    class B {}
    own.register('m', 'X', A);
    expect(() => own.register('m', 'X', B)).toThrow(ClassRegistrationError);
    expect(() => own.register('m', 'X', B)).toThrow('m.X already belongs to another class');
    own.replace('m', 'X', B);
    expect(own.find('m', 'X')!.ctor).toBe(B);
    expect(own.entryOf(A)).toBe(undefined);
  });

  test('one class under two names is an error; aliases are read, the name is written', () => {
    const own = new Registry();
    class A {
      n = 1;
    }
    own.register('old', 'Name', A);
    expect(() => own.register('new', 'Name', A)).toThrow('already registered');
    const records = new Records();
    const oid = save(records, new A(), own);
    const later = new Registry();
    class Renamed {
      n = 0;
    }
    later.register('new', 'Name', Renamed, { aliases: ['old.Name'] });
    const jar = new MapJar(records, { registry: later });
    const object = jar.cache.get(oid as never) as Renamed;
    expect(object).toBeInstanceOf(Renamed);
    expect(object.n).toBe(1);
    object.n = 2;
    jar.commit();
    expect(readClass(records.revisions.get(oid as never)!.at(-1)!.data).toString()).toBe('new.Name');
  });

  test('bad names and things that are no classes are refused', () => {
    const own = new Registry();
    expect(() => own.register('m', 'a\nb', class {})).toThrow(ClassRegistrationError);
    expect(() => own.register('', 'b', class {})).toThrow(ClassRegistrationError);
    expect(() => own.register('m', 'b', (() => 1) as never)).toThrow(InvalidArgumentError);
    expect(() => persistent()(class {} as never)).toThrow('without a name');
    expect(() => persistent({ nmae: 'x' } as never)).toThrow('no option nmae');
    expect(() => persistent(5 as never)).toThrow('@persistent takes a name or options, not number.');
    expect(() => field('flaot' as never)).toThrow('there is no such type');
  });

  test('onMissing is asked once, and may import lazily', () => {
    class Late {
      n = 1;
    }
    const writer = new Registry();
    writer.register('late', 'Late', Late);
    const records = new Records();
    const oid = save(records, new Late(), writer);
    const reader = new Registry();
    const asked: string[] = [];
    class LateAgain {}
    reader.onMissing = (module, name) => {
      asked.push(`${module}.${name}`);
      return LateAgain;
    };
    expect(load(records, oid, reader)).toBeInstanceOf(LateAgain);
    expect(load(records, oid, reader)).toBeInstanceOf(LateAgain);
    expect(asked).toEqual(['late.Late']);
  });

  test('an object of a registry that the database does not use is refused', () => {
    const own = new Registry();
    @persistent({ name: 'm.Own', registry: own })
    class Own {}
    expect(() => save(new Records(), new Own())).toThrow("not registered in this database's registry");
  });

  test('an undecorated subclass of a persistent class is refused by name', () => {
    @persistent('names.Base')
    class Base {}
    class Derived extends Base {}
    expect(() => save(new Records(), new Derived())).toThrow(
      'The class Derived is not registered, only its base Base is',
    );
  });
});

describe('a class that is missing', () => {
  const own = new Registry();
  class Gone {
    n = 1.0;
    list = [1, { two: 2 }];
    other: object | null = null;
  }
  own.register('gone', 'Gone', Gone);

  test('becomes a Broken object that shows its state and survives a rewrite', () => {
    const records = new Records();
    const gone = new Gone();
    gone.other = new Gone();
    const oid = save(records, gone, own);
    const jar = new MapJar(records);
    const broken = jar.cache.get(oid as never) as Broken;
    expect(broken).toBeInstanceOf(Broken);
    expect(broken.className).toBe('gone.Gone');
    expect(broken.state).toMatchObject({ n: 1, list: [1, { two: 2 }] });
    expect(() => {
      (broken as unknown as Gone).n = 2;
    }).toThrow(new BrokenModified('gone.Gone', 'n'));
    expect([Object.keys(broken), statusOf(broken)]).toEqual([[], 'saved']);
    const before = records.revisions.get(oid as never)![0]!.data;
    (broken as unknown as { _p_changed: boolean })._p_changed = true;
    expect(statusOf(broken)).toBe('changed');
    jar.commit();
    const after = records.revisions.get(oid as never)![1]!.data;
    expect(Buffer.compare(before, after)).toBe(0);
    expect(load<Gone>(records, oid, own)).toEqual(gone);
  });

  test('a reference to it keeps its name', () => {
    @persistent('names.Keeper')
    class Keeper {
      it: unknown = null;
    }
    const both = new Registry();
    both.register('gone', 'Gone', Gone);
    both.register('names', 'Keeper', Keeper);
    const records = new Records();
    const keeper = new Keeper();
    keeper.it = new Gone();
    const oid = save(records, keeper, both);
    const jar = new MapJar(records);
    const again = jar.cache.get(oid as never) as Keeper & { n?: number };
    expect(again.it).toBeInstanceOf(Broken);
    again.n = 1;
    jar.commit();
    expect(load<Keeper>(records, oid, both).it).toBeInstanceOf(Gone);
  });
});

describe('states of older records', () => {
  test('defaults fill what is missing, without marking anything changed', () => {
    const before = new Registry();
    class V0 {
      a = 1;
    }
    before.register('v', 'V', V0);
    const records = new Records();
    const oid = save(records, new V0(), before);
    const after = new Registry();
    class V1 {
      a = 0;
      b!: string;
      list!: number[];
    }
    after.register('v', 'V', V1, { defaults: () => ({ a: 9, b: 'new', list: [] }) });
    const object = load<V1>(records, oid, after);
    expect({ ...object }).toEqual({ a: 1, b: 'new', list: [] });
    expect(statusOf(object)).toBe('saved');
    expect(load<V1>(records, oid, after).list).not.toBe(object.list);
  });

  test('upgrade turns an old state into a new one; the version is stored and is no field', () => {
    const before = new Registry();
    class Person {
      name = 'Ada Lovelace';
      friend: Person | null = null;
    }
    before.register('v', 'Person', Person);
    const records = new Records();
    const ada = new Person();
    ada.friend = new Person();
    const oid = save(records, ada, before);
    const after = new Registry();
    const seen: number[] = [];
    class Person2 {
      first = '';
      last = '';
      friend: Person2 | null = null;
    }
    after.register('v', 'Person', Person2, {
      version: 2,
      upgrade: (state, from) => {
        seen.push(from);
        const [first, last] = String(state['name']).split(' ');
        return { first, last, friend: state['friend'] };
      },
    });
    const jar = new MapJar(records, { registry: after });
    const person = jar.cache.get(oid as never) as Person2;
    expect(person.last).toBe('Lovelace');
    expect(person.friend!.first).toBe('Ada');
    expect(statusOf(person)).toBe('saved');
    person.first = 'Augusta';
    jar.commit();
    const again = load<Person2>(records, oid, after);
    expect(Object.keys(again)).toEqual(['first', 'last', 'friend']);
    expect(again.first).toBe('Augusta');
    expect(seen).toEqual([0, 0]);
    expect(() => load(records, oid, before)).not.toThrow();
    const older = new Registry();
    older.register('v', 'Person', class Old {}, { version: 1 });
    expect(() => load(records, oid, older)).toThrow('has version 2');
  });
});

describe('declared fields', () => {
  test('types decide how a field is written, and come back', () => {
    @persistent('fields.Typed')
    class Typed {
      @field('float') price = 2;
      @field('bigint') big = 5n;
      @field('map') map = new Map<string, number>([['a', 1]]);
      @field('tuple') pair = [1, 2];
      @field('list') list = Object.freeze([1]);
      @field('bytearray') bytes = Uint8Array.of(1);
      @transient() gone = 1;
    }
    const records = new Records();
    const object = load<Typed>(records, save(records, new Typed()));
    expect(object.big).toBe(5n);
    expect(object.map).toEqual(new Map([['a', 1]]));
    expect(object.map).toBeInstanceOf(Map);
    expect([Object.isFrozen(object.pair), Object.isFrozen(object.list)]).toEqual([true, false]);
    expect(Object.keys(object)).not.toContain('gone');
    const text = Buffer.from(records.revisions.get(oidOf(object)!)![0]!.data).toString('latin1');
    expect(text).toContain('G@');
  });

  test('a field read as float is written as float again, though integral', () => {
    @persistent('fields.Floats')
    class Floats {
      x = 1.5;
      n = 1;
    }
    const records = new Records();
    const oid = save(records, new Floats());
    const jar = new MapJar(records);
    const object = jar.cache.get(oid as never) as Floats;
    object.x = 2;
    jar.commit();
    const text = Buffer.from(records.revisions.get(oid as never)![1]!.data).toString('latin1');
    expect(text).toContain('G@\0\0\0\0\0\0\0');
  });
});

describe('hostile names of fields', () => {
  test.each([
    "x']+(globalThis.pwned=1)+this['y",
    '__proto__',
    'constructor',
    '_p_oid',
    'toString',
    'a\nb',
    '',
    '💥',
  ])('%j is only a name', (name) => {
    @persistent({ name: 'hostile.Object', replace: true })
    class Hostile {
      ok = 1;
    }
    const holder = new Hostile();
    Object.defineProperty(holder, name, { value: 5, writable: true, enumerable: true, configurable: true });
    const records = new Records();
    const oid = save(records, holder);
    const again = load<Record<string, unknown>>(records, oid);
    expect(again['ok']).toBe(1);
    expect(again).toBeInstanceOf(Hostile);
    expect((globalThis as { pwned?: number }).pwned).toBe(undefined);
    if (!/^(__proto__|_p_)/.test(name)) {
      expect(again[name]).toBe(5);
      again[name] = 6;
      expect(again[name]).toBe(6);
    }
  });

  test('ten thousand different names make no ten thousand functions, and all are kept', () => {
    @persistent('hostile.Many')
    class Many {
      [name: string]: number;
    }
    const records = new Records();
    const oids = Array.from({ length: 100 }, (_, k) => {
      const many = new Many();
      for (let i = 0; i < 100; i++) many[`f${k * 100 + i}`] = i;
      return save(records, many);
    });
    const jar = new MapJar(records);
    for (const oid of oids) {
      const many = jar.cache.get(oid as never) as Many;
      expect(Object.values(many)).toEqual(Array.from({ length: 100 }, (_, i) => i));
      many[Object.keys(many)[3]!] = 77;
      many['fresh'] = 1;
    }
    jar.commit();
    const again = load<Many>(records, oids[99]!);
    expect(Object.values(again)[3]).toBe(77);
    expect(again['fresh']).toBe(1);
    expect(Object.keys(again).length).toBe(101);
  });

  test('thousands of fields of one object are kept, those it had and those it gets one by one', () => {
    @persistent('hostile.Wide')
    class Wide {
      [name: string]: unknown;
      @transient() gone: unknown;
      get computed(): string {
        return 'computed';
      }
    }
    const names = Array.from({ length: 3000 }, (_, i) => `f${i}`);
    const wide = new Wide();
    for (const [i, name] of names.entries()) wide[name] = i + 0.5;
    const records = new Records();
    const oid = save(records, wide);
    const jar = new MapJar(records);
    const object = jar.cache.get(oid as never) as Wide;
    for (const [i, name] of names.entries()) {
      object[`more-${name}`] = i;
      if (i % 1000 === 999) jar.commit();
    }
    object.gone = 1;
    removeField(object, 'f2999');
    removeField(object, 'more-f1500');
    object.f7 = 8;
    object['last'] = 'last';
    jar.commit();
    const again = load<Wide>(records, oid);
    const expected: Record<string, unknown> = {};
    for (const [i, name] of names.entries()) expected[name] = i + 0.5;
    for (const [i, name] of names.entries()) expected[`more-${name}`] = i;
    delete expected.f2999;
    delete expected['more-f1500'];
    expected.f7 = 8;
    expected.last = 'last';
    expect(Object.entries(again)).toEqual(Object.entries(expected));
    expect([again.computed, again.gone]).toEqual(['computed', undefined]);
    expect(Object.entries(object).filter(([name, value]) => name !== 'gone' && value !== undefined)).toEqual(
      Object.entries(expected),
    );
  });

  test.each([0, 100, 200])(
    'a field is taken out, and others stay what they are, in a class of %i other fields',
    (count) => {
      @persistent({ name: 'hostile.Removed', replace: true })
      class Removed {
        [name: string]: unknown;
      }
      const records = new Records();
      const others = new Removed();
      for (let i = 0; i < count; i++) others[`other${i}`] = i;
      save(records, others);
      const made = new Removed();
      for (const name of ['a', 'b', 'c', 'd', 'e']) made[name] = [name];
      const oid = save(records, made);
      const jar = new MapJar(records);
      const object = jar.cache.get(oid as never) as Removed;
      const stored = (): unknown => ({ ...load<Removed>(records, oid) });

      (object.d as string[]).push('changed');
      removeField(object, 'b');
      expect([object.a, object.b, object.c, object.d]).toEqual([['a'], undefined, ['c'], ['d', 'changed']]);
      (object.e as string[]).push('changed');
      object.f = ['f'];
      object.g = ['g'];
      object.h = ['h'];
      delete object.g;
      jar.commit();
      const rest = { a: ['a'], c: ['c'], d: ['d', 'changed'], e: ['e', 'changed'], f: ['f'], h: ['h'] };
      expect(stored()).toEqual(rest);

      (object.h as string[]).push('changed');
      jar.commit();
      expect(stored()).toEqual({ ...rest, h: ['h', 'changed'] });
      removeField(object, 'h');
      object.b = ['again'];
      object.i = ['i'];
      (object.c as string[]).push('changed');
      jar.commit();
      const { h: _, ...left } = rest;
      expect(stored()).toEqual({ ...left, c: ['c', 'changed'], b: ['again'], i: ['i'] });
      jar.cache.minimize();
      expect([object.i, object.b, object.e]).toEqual([['i'], ['again'], ['e', 'changed']]);
      removeField(object, 'a');
      jar.abort();
      expect([object.a, object.c]).toEqual([['a'], ['c', 'changed']]);
    },
  );
});

test('a stored field named like an accessor of the class is kept, and the class wins', () => {
  const before = new Registry();
  class Was {
    size = 5;
    other = 1;
  }
  before.register('acc', 'A', Was);
  const records = new Records();
  const oid = save(records, new Was(), before);
  const after = new Registry();
  class Is {
    other = 0;
    get size(): string {
      return 'computed';
    }
  }
  after.register('acc', 'A', Is);
  const jar = new MapJar(records, { registry: after });
  const object = jar.cache.get(oid as never) as Is;
  expect([object.size, Object.keys(object)]).toEqual(['computed', ['other']]);
  object.other = 2;
  jar.commit();
  expect(load<Was>(records, oid, before)).toMatchObject({ size: 5, other: 2 });
});

test('value classes', () => {
  @value('vals.Price')
  class Price {
    constructor(
      public amount: number,
      public currency: string,
    ) {}
    twice(): number {
      return this.amount * 2;
    }
  }
  @persistent('vals.Item')
  class Item {
    price = new Price(2, 'EUR');
  }
  const records = new Records();
  const item = load<Item>(records, save(records, new Item()));
  expect(item.price).toBeInstanceOf(Price);
  expect(item.price.twice()).toBe(4);
  class Unregistered {
    x = 1;
  }
  const jar = new MapJar(records);
  const bad = new Item();
  (bad as { price: unknown }).price = [1, { in: new Unregistered() }];
  jar.cache.add(bad);
  expect(() => jar.commit()).toThrow(/vals\.Item\.price\[1\]\.in: .*Unregistered/);
});
