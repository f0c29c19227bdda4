/** Values of which several objects hold one and the same: the reader of pickles gives it to them, or the program does. */
import { oidOf, persistent, toPlain } from '../../src/persistence/index';
import {
  ByteArray,
  Complex,
  Decimal,
  Fraction,
  FrozenSet,
  Global,
  PyDate,
  PyDateTime,
  PyDict,
  PyInstance,
  PyTime,
  PyTimeDelta,
  PyTimezone,
  UUID,
  dumps,
} from '../../src/pickle/index';
import { MapJar, Records } from './map-jar';

@persistent('shared.Box')
class Box {
  a: unknown;
  b: unknown;
  other: Box | null = null;
  constructor(a?: unknown, b?: unknown) {
    this.a = a;
    this.b = b;
  }
}

function member(name: string): PyInstance {
  return new PyInstance('call', Global.of('shared.enums', 'Colour'), [name]);
}

const zone = new PyTimezone(new PyTimeDelta(0, 3600), 'CET');
const values: [name: string, make: () => object][] = [
  ['a member of an enum', () => member('red')],
  ['a class', () => Global.of('shared.enums', 'Colour')],
  ['a UUID', () => new UUID('12345678-1234-5678-1234-567812345678')],
  ['a naive datetime', () => new PyDateTime({ year: 2026, month: 2, day: 3, microsecond: 4567 })],
  ['a datetime in a zone', () => new PyDateTime({ year: 1, month: 2, day: 3, hour: 4, tz: zone })],
  ['a datetime in UTC', () => new Date(5)],
  ['UTC', () => PyTimezone.utc],
  ['a zone', () => zone],
  ['a time in UTC', () => new PyTime(1, 2, 3, 4, PyTimezone.utc)],
  ['a date', () => new PyDate(2026, 2, 3)],
  ['a timedelta', () => new PyTimeDelta(1, 2, 3)],
  ['a Decimal', () => new Decimal('1.50')],
  ['a Fraction', () => new Fraction(1n, 3n)],
  ['a complex', () => new Complex(0.5, 2.5)],
  ['a frozenset', () => new FrozenSet([1, 'two'])],
  ['a bytearray', () => ByteArray.of(1, 2)],
  ['a dict with any keys', () => new PyDict<unknown, unknown>([[1, 'one']])],
  ['an error', () => Object.assign(new TypeError('wrong'), { stack: 'here' })],
  ['a regular expression', () => /a+/g],
  ['a URL', () => new URL('http://a.example/b')],
];

/** Two boxes that hold values made by `make`, loaded by a fresh jar. */
function storedTwo(make: (i: number) => unknown): {
  first: Box;
  second: Box;
  jar: MapJar;
  again: () => Box[];
} {
  const records = new Records();
  const writer = new MapJar(records);
  const oids = [0, 1].map((i) => writer.cache.add(new Box(make(i))));
  writer.commit();
  const all = (jar: MapJar): Box[] => oids.map((oid) => jar.cache.get(oid) as Box);
  const jar = new MapJar(records);
  const [first, second] = all(jar) as [Box, Box];
  return { first, second, jar, again: () => all(new MapJar(records)) };
}

function pickled(value: unknown): string {
  return dumps(value).toString('latin1');
}

describe.each(values)('%s', (_name, make) => {
  test('held by two new objects', () => {
    const shared = make();
    const box = new Box(shared, [shared]);
    box.other = new Box(shared, [shared]);
    const records = new Records();
    const writer = new MapJar(records);
    const oid = writer.cache.add(box);
    writer.commit();
    const back = new MapJar(records).cache.get(oid) as Box;
    for (const each of [box, back]) {
      expect([each.a, each.b, each.other!.a, each.other!.b].map(pickled)).toEqual(
        [shared, [shared], shared, [shared]].map(pickled),
      );
    }
  });

  test('read from two objects that are both changed', () => {
    const shared = make();
    const { first, second, jar, again } = storedTwo(() => [shared]);
    void [first.a, second.a];
    [first.b, second.b] = [1, 2];
    jar.commit();
    expect(again().map(({ a, b }) => [pickled(a), b])).toEqual([
      [pickled([shared]), 1],
      [pickled([shared]), 2],
    ]);
  });

  test('put into an object after the state of another that held it was aborted', () => {
    const shared = make();
    const { first, second, jar, again } = storedTwo(() => [shared]);
    void [first.a, second.a];
    [first.b, second.b] = [1, 2];
    jar.abort();
    first.a = [make()];
    second.b = 3;
    jar.commit();
    expect(again().map(({ a }) => pickled(a))).toEqual([pickled([shared]), pickled([shared])]);
  });

  test('put back after its state was evicted', () => {
    const shared = make();
    const { first, second, jar, again } = storedTwo(() => [shared]);
    const held = first.a as object[];
    jar.cache.minimize();
    second.b = held;
    jar.commit();
    expect(pickled(again()[1]!.b)).toBe(pickled([shared]));
  });
});

test('what stands twice in an object and belongs to another is one copy', () => {
  const { jar, first, second, again } = storedTwo(() => [1]);
  const shared = first.a as number[];
  const outer = [shared];
  first.b = outer;
  second.a = outer;
  second.b = { shared };
  jar.commit();
  (second.a as number[][])[0]!.push(2);
  jar.commit();
  for (const each of [second, again()[1]!]) {
    expect([each.a, each.b]).toEqual([[[1, 2]], { shared: [1, 2] }]);
    expect((each.b as { shared: unknown }).shared).toBe((each.a as unknown[])[0]);
  }
  expect([again()[0]!.a, again()[0]!.b]).toEqual([[1], [[1]]]);
});

test('a copy of a frozenset refuses changes, as the one that it was made of', () => {
  const shared = new FrozenSet([1]);
  const { jar, first, second } = storedTwo(() => null);
  first.a = second.a = shared;
  jar.commit();
  for (const each of [first.a, second.a] as Set<number>[]) {
    expect(() => each.add(2)).toThrow('A FrozenSet cannot be changed.');
    expect([...each]).toEqual([1]);
  }
});

test('reading an object with an instance that two of its values share changes nothing', () => {
  const shared = member('red');
  const tuple = Object.freeze([1, Object.freeze(['deep'])]);
  const records = new Records();
  const writer = new MapJar(records);
  const box = new Box([shared, tuple]);
  box.b = { shared, tuple, referring: Object.freeze([Object.freeze([new Box()]), tuple]), box: new Box() };
  const oid = writer.cache.add(box);
  writer.commit();
  const jar = new MapJar(records);
  const back = jar.cache.get(oid) as Box;
  const first = back.a as unknown[];
  const second = back.b as Record<string, unknown[]>;
  jar.commit();
  expect(records.revisions.get(oid)).toHaveLength(1);
  expect([second['shared'], second['tuple'], second['referring']![1]]).toEqual([...first, tuple]);
  expect(second['tuple']).toBe(first[1]);
  expect((second['referring']![0] as Box[])[0]).toBeInstanceOf(Box);
});

describe('toPlain', () => {
  test('shows values of Python as JSON.stringify does, and cuts references in instances of unknown classes', () => {
    const instance = member('red');
    const box = new Box(instance, [new UUID('12345678-1234-5678-1234-567812345678'), new Decimal('1.5')]);
    instance.state = { big: 2n ** 70n, box: new Box() };
    const records = new Records();
    const writer = new MapJar(records);
    const oid = writer.cache.add(box);
    writer.commit();
    const plain = toPlain(new MapJar(records).cache.get(oid));
    expect(plain).toEqual({
      a: {
        $class: 'shared.enums.Colour',
        args: ['red'],
        state: {
          big: '1180591620717411303424',
          box: {
            $ref: `0x${oidOf((instance.state as { box: Box }).box)!.toString(16)}`,
            $class: 'shared.Box',
          },
        },
      },
      b: ['12345678-1234-5678-1234-567812345678', '1.5'],
      other: null,
    });
  });

  test('refuses a value that contains itself, by name', () => {
    const list: unknown[] = [];
    list.push(list);
    expect(() => toPlain(new Box(list))).toThrow(
      'a value that contains itself is nothing that JSON can say.',
    );
    expect(toPlain([[1], [1]])).toEqual([[1], [1]]);
  });
});
