/** Objects out as JSON and in again: `toPlain` and `assign`. */
import 'reflect-metadata';
import { Exclude, Expose, Transform, Type } from 'class-transformer';
import {
  assign,
  field,
  oidOf,
  persistent,
  PersistentMapping,
  statusOf,
  toPlain,
  value,
} from '../../src/persistence/index';
import { MapJar, Records } from './map-jar';

@value('assign.Money')
class Money {
  constructor(
    public amount: number,
    public since = new Date(0),
  ) {}
}

@persistent('assign.Item')
class Item {
  name: string;
  count = 0;
  big = 5n;
  @field('bigint') id: bigint | null = null;
  @field('map') prices: Map<string, number> | null = null;
  tags: string[] = [];
  tuple: readonly number[] = Object.freeze([1, 2]);
  when = new Date(1000);
  url = new URL('http://a.example/');
  bytes = Uint8Array.of(1, 2, 3);
  buffer = Buffer.from('abc');
  floats = Float64Array.of(1.5);
  set = new Set<unknown>([1n, 2n]);
  map = new Map<unknown, unknown>([['a', new Date(5)]]);
  byNumber = new Map<unknown, unknown>([[1, ['x']]]);
  money = new Money(5);
  info: Record<string, unknown> = { at: new Date(7), deep: { n: 1 } };
  next: Item | null = null;
  others: unknown[] = [];
  any: unknown = null;

  constructor(name: string) {
    this.name = name;
  }

  get label(): string {
    return this.name;
  }
}

@persistent('assign.Part')
class Part {
  n = 1;
}

@persistent('assign.User')
class User {
  @Exclude() password = 'secret';
  @Expose({ name: 'mail' }) email = 'a@b.example';
  @Transform(({ value: text }: { value: string }) => text.trim(), { toClassOnly: true }) name = 'n';
  @Type(() => Date) born: Date | null = null;
  @Type(() => Part) part: Part | null = null;
}

function stored<T extends object>(object: T): { object: T; jar: MapJar; again: () => T } {
  const records = new Records();
  const writer = new MapJar(records);
  const oid = writer.cache.add(object);
  writer.commit();
  const jar = new MapJar(records);
  return { object: jar.cache.get(oid) as T, jar, again: () => new MapJar(records).cache.get(oid) as T };
}

/** Through the wire. */
function json(plain: unknown): object {
  return JSON.parse(JSON.stringify(plain)) as object;
}

function other(): Item {
  return Object.assign(new Item('other'), {
    count: 7,
    big: 2n ** 70n,
    id: 9n,
    prices: new Map([['EUR', 1.5]]),
    tags: ['x', 'y'],
    tuple: Object.freeze([3]),
    when: new Date(2000),
    url: new URL('http://b.example/?q'),
    bytes: Uint8Array.of(250, 0),
    buffer: Buffer.from(''),
    floats: Float64Array.of(2.5, -0),
    set: new Set([3n]),
    map: new Map([['a', new Date(6)]]),
    byNumber: new Map<unknown, unknown>([
      [1, ['y']],
      [2, []],
    ]),
    money: new Money(8, new Date(9)),
    info: { at: new Date(8), deep: { n: 2, more: [1, { x: null }] } },
    any: { free: ['form', 1, true, null] },
  });
}

test('what went out comes in again, of the same types', () => {
  const { object, jar, again } = stored(new Item('one'));
  expect(assign(object, json(toPlain(other())))).toBe(object);
  jar.commit();
  const fields = (item: Item): object => ({ ...item });
  expect(fields(again())).toStrictEqual({ ...fields(other()), bytes: Buffer.of(250, 0) });
  expect([again().money, again().buffer]).toEqual([expect.any(Money), expect.any(Buffer)]);
  expect(Object.isFrozen(again().tuple)).toBe(true);
});

test('what is the same already is no change, and loads nothing', () => {
  const first = Object.assign(new Item('one'), { next: new Item('two'), others: [new Item('three')] });
  const { object, jar } = stored(first);
  const plain = json(toPlain(object));
  expect(plain).toMatchObject({ next: { $class: 'assign.Item' }, others: [{ $class: 'assign.Item' }] });
  assign(object, plain);
  expect([statusOf(object), object.when]).toEqual(['saved', new Date(1000)]);
  jar.commit();
  expect(jar.joined).toBe(0);
});

test('a part leaves the rest', () => {
  const { object } = stored(new Item('one'));
  assign(object, { count: 3, when: '1970-01-01T00:00:05.000Z' });
  expect([object.name, object.count, object.when.getTime()]).toEqual(['one', 3, 5000]);
});

test('a new object takes JSON too', () => {
  expect({ ...assign(new Item('x'), json(toPlain(other()))) }).toEqual({ ...other() });
});

describe('references', () => {
  test('{ $ref } is the object of the connection, alone, in lists and in Maps', () => {
    const two = new Item('two');
    const { object, jar, again } = stored(Object.assign(new Item('one'), { next: two }));
    const ref = { $ref: `0x${oidOf(two)!.toString(16)}`, $class: 'assign.Item' };
    assign(object, { next: null, others: [ref, 'x'], map: { a: ref }, any: { in: ref } });
    expect(object.next).toBeNull();
    jar.commit();
    const seen = again();
    expect((seen.others[0] as Item).name).toBe('two');
    expect([seen.map.get('a'), (seen.any as { in: unknown }).in]).toEqual([seen.others[0], seen.others[0]]);
  });

  test('what is shown in full is assigned to the object that stands there', () => {
    const two = Object.assign(new Item('two'), { next: new Item('three') });
    const { object, jar, again } = stored(Object.assign(new Item('one'), { next: two, others: [two, 1] }));
    const plain = json(toPlain(object, { depth: 1 })) as { next: { name: string; next: { $ref: string } } };
    plain.next.name = 'second';
    assign(object, { next: plain.next, others: [{ count: 5 }, 2] });
    jar.commit();
    const { next, others } = again();
    expect([next!.name, next!.count, next!.next!.name]).toEqual(['second', 5, 'three']);
    expect(others).toEqual([next, 2]);
  });

  test.each<[string, object, RegExp]>([
    [
      'of another class',
      { next: { $ref: '0x1', $class: 'assign.Part' } },
      /Item\.next: 0x1 is a assign\.Item/,
    ],
    ['to nothing', { next: { $ref: '0x77' } }, /0x77/],
    ['to a new object', { next: { $ref: null } }, /Item\.next: an oid as \$ref/],
    ['that is text', { others: [1, 'x'], next: 'two' }, /Item\.next: an object or \{ \$ref \}/],
  ])('one %s is refused', (_name, plain, message) => {
    const { object } = stored(Object.assign(new Item('one'), { next: new Item('two') }));
    expect(() => assign(object, plain)).toThrow(message);
    expect(statusOf(object)).toBe('saved');
  });

  test('a new object knows no database', () => {
    expect(() => assign(new Item('x'), { next: { $ref: '0x1' } })).toThrow(/add\(\) it/);
  });
});

test.each<[string, unknown, RegExp]>([
  ['an unknown name', { count: 1, surprise: 1 }, /^Item has no field surprise\.$/],
  ['a method of Object', { toString: 1 }, /no field toString/],
  ['a getter', { label: 'x' }, /no field label/],
  ['a reserved name', { _p_oid: 5 }, /no field _p_oid/],
  ['__proto__', JSON.parse('{"__proto__": {"admin": true}}'), /__proto__/],
  ['__proto__ inside', JSON.parse('{"any": [{"__proto__": {"admin": true}}]}'), /__proto__/],
  ['text for a number', { count: 'many' }, /^Item\.count: a number is wanted, not "many"\.$/],
  ['a number for text', { name: 5 }, /^Item\.name: text is wanted, not 5\.$/],
  ['no date', { count: 1, when: 'tomorrow' }, /^Item\.when: a date is wanted, not "tomorrow"\.$/],
  ['a number for a date', { when: 5 }, /Item\.when/],
  ['no base64', { bytes: 'ä' }, /Item\.bytes: base64/],
  ['half a number', { floats: 'AQI=' }, /Item\.floats: a multiple of 8 bytes/],
  ['no integer', { big: '1.5' }, /Item\.big: an integer/],
  ['a list for a Map of pairs', { byNumber: [1] }, /Item\.byNumber: a list/],
  ['text for a list', { tags: 'x' }, /Item\.tags: a list/],
  ['a list for an object', { info: [] }, /Item\.info: an object/],
  ['no URL', { url: 'x' }, /Item\.url: a URL/],
  ['deep inside', { info: { at: 'never' } }, /Item\.info\.at: a date/],
  ['a list as the whole', [], /an object with fields/],
])('%s is refused, and nothing is set', (_name, plain, message) => {
  const { object, jar } = stored(new Item('one'));
  expect(() => assign(object, plain as object)).toThrow(message);
  jar.commit();
  expect([object.count, jar.joined]).toEqual([0, 0]);
});

test('what has no fields is refused', () => {
  expect(() => assign(new PersistentMapping(), { a: 1 })).toThrow(/PersistentMapping has none/);
  expect(() => assign({}, { a: 1 })).toThrow(/Object has none/);
});

test("class-transformer's decorators hold in both directions", () => {
  const { object, jar, again } = stored(new User());
  expect(json(toPlain(object))).toEqual({ mail: 'a@b.example', name: 'n', born: null, part: null });
  assign(object, {
    mail: 'c@d.example',
    password: 'stolen',
    name: ' Ada ',
    born: '1815-12-10T00:00:00.000Z',
    part: { n: 2 },
  });
  jar.commit();
  const seen = again();
  expect(seen).toMatchObject({
    email: 'c@d.example',
    password: 'secret',
    name: 'Ada',
    born: new Date('1815-12-10'),
  });
  expect([seen.part instanceof Part, seen.part!.n]).toEqual([true, 2]);
  const part = oidOf(object.part!);
  assign(object, { part: { n: 3 } });
  jar.commit();
  expect([again().part!.n, oidOf(again().part!)]).toEqual([3, part]);
});
