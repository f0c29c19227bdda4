/** Nodes that no collection would write, and trees whose nodes are not there. */
import { DamagedTreeError, findProblems, OOBTree, type BTree } from '../../src/btrees/index';
import type { Oid, Tid } from '../../src/ids';
import { FieldList, RecordWriter, type ClassMeta } from '../../src/record/index';
import { ClassMeta as Meta } from '../../src/record/index';
import { ForeignRef, oidOf, PersistentMapping, Ref } from '../../src/persistence/index';
import { MapJar, Records } from '../persistence/map-jar';
import { classOf, type AnyMapping } from './collections';

const writer = new RecordWriter({
  reference: (object) => (object instanceof Ref || object instanceof ForeignRef ? object : undefined),
});
const tuple = (...items: unknown[]): readonly unknown[] => Object.freeze(items);
const tree: ClassMeta = Meta.of('BTrees.OOBTree', 'OOBTree');
const bucket: ClassMeta = Meta.of('BTrees.OOBTree', 'OOBucket');
const set: ClassMeta = Meta.of('BTrees.OOBTree', 'OOSet');
const to = (oid: number, cls = bucket): Ref => new Ref(oid as Oid, cls);

/** A jar over states: by oid, class and state. */
function jarOver(...entries: [oid: number, cls: ClassMeta, state: unknown][]): MapJar {
  const records = new Records();
  records.lastTid = 1n as Tid;
  records.nextOid = 100;
  for (const [oid, cls, state] of entries) {
    const data = Buffer.from(
      state === undefined ? writer.writeFields(cls, FieldList.empty, []) : writer.write(cls, state),
    );
    records.revisions.set(oid as Oid, [{ data, serial: 1n as Tid }]);
  }
  return new MapJar(records);
}

function load(jar: MapJar): BTree<unknown, unknown> {
  return jar.cache.get(1 as Oid) as BTree<unknown, unknown>;
}

describe('a damaged tree', () => {
  it.each([
    ['a list of fields', { a: 1 }],
    ['a tuple of three', tuple(tuple('a', 1), null, null)],
    ['a number', tuple(5)],
    ['an empty tuple', tuple()],
    ['children without keys between', tuple(tuple(to(2), 'k'), to(2))],
    ['a first leaf that is a string', tuple(tuple(to(2), 'k', to(3)), 'first')],
  ])('whose state is %s is refused by name', (_name, state) => {
    expect(() => [...load(jarOver([1, tree, state]))]).toThrow(DamagedTreeError);
  });

  it.each([
    ['a Bucket of a number', bucket, tuple(7)],
    ['a Set of a number', set, tuple(7)],
  ])('%s is refused', (_name, cls, state) => {
    expect(() => (jarOver([1, cls, state]).cache.get(1 as Oid) as AnyMapping).size).toThrow(DamagedTreeError);
  });

  it('with a key of a wrong type says which', () => {
    const cls = Meta.of('BTrees.IIBTree', 'IIBucket');
    const jar = jarOver([1, cls, tuple(tuple('text', 5))]);
    expect(() => (jar.cache.get(1 as Oid) as AnyMapping).get(1)).toThrow(
      "The stored state of IIBucket 0x1 does not fit its class: 'text' can't be a key: keys here are signed 32-bit integers",
    );
    const values = jarOver([1, cls, tuple(tuple(5, 'text'))]);
    expect(() => (values.cache.get(1 as Oid) as AnyMapping).get(1)).toThrow(
      "'text' can't be a value: values here are signed 32-bit integers",
    );
  });

  it('whose child is of another class says so', () => {
    const other = Meta.of('BTrees.IOBTree', 'IOBucket');
    const jar = jarOver(
      [1, tree, tuple(tuple(to(2), 'm', to(3, other)), to(2))],
      [2, bucket, tuple(tuple('a', 1))],
      [3, other, tuple(tuple(5, 1))],
    );
    expect(load(jar).get('a')).toBe(1);
    expect(() => load(jar).get('z')).toThrow(
      'Child 1 of OOBTree 0x1 is IOBucket 0x3, neither a OOBTree nor a OOBucket.',
    );
  });

  it('whose child does not exist says so', () => {
    const jar = jarOver([1, tree, tuple(tuple(to(2), 'm', to(3)), to(2))], [2, bucket, tuple(tuple('a', 1))]);
    expect(() => load(jar).get('z')).toThrow(/does not exist|No object has the oid 0x3/);
    expect(load(jar).get('a')).toBe(1);
  });

  it('whose next leaf does not exist, or is no leaf, says so', () => {
    const gone = jarOver(
      [1, tree, tuple(tuple(to(2), 'm', to(3)), to(2))],
      [2, bucket, tuple(tuple('a', 1), to(9))],
      [3, bucket, tuple(tuple('m', 1))],
    );
    expect(() => [...load(gone).keys()]).toThrow(/0x9/);
    const wrong = jarOver(
      [1, tree, tuple(tuple(to(2), 'm', to(3)), to(2))],
      [
        2,
        bucket,
        tuple(tuple('a', 1), new Ref(4 as Oid, Meta.of('persistent.mapping', 'PersistentMapping'))),
      ],
      [3, bucket, tuple(tuple('m', 1))],
      [4, Meta.of('persistent.mapping', 'PersistentMapping'), { data: {} }],
    );
    expect(() => [...load(wrong).keys()]).toThrow(
      'OOBucket 0x2 is linked to PersistentMapping 0x4, which is no leaf.',
    );
    expect(() => load(wrong).size).toThrow(DamagedTreeError);
  });

  it('is found by check, however the nodes contradict each other', () => {
    const jar = jarOver(
      [1, tree, tuple(tuple(to(2), 'm', to(3)), to(3))],
      [2, bucket, tuple(tuple('b', 1, 'a', 1))],
      [3, bucket, tuple(tuple('c', 1), to(2))],
    );
    expect(
      findProblems(load(jar))
        .map(({ message }) => message)
        .sort(),
    ).toEqual([
      'Bottom-level BTree node has inconsistent firstbucket belief',
      'Bucket next pointer is damaged',
      'Bucket next pointer is damaged',
      "key 'b' at index 0 >= key 'a' at index 1",
      "key 'c' < lower bound 'm' at index 0",
    ]);
  });
});

it('after a refusal the stored tree is the same to the byte', () => {
  const records = new Records();
  const jar = new MapJar(records);
  jar.root(() => new PersistentMapping());
  for (const family of ['OO', 'II', 'UU', 'LL', 'QQ', 'IF', 'fs']) {
    const fs = family === 'fs';
    const type = classOf(family, 'BTree');
    const mapping = new type([[fs ? new Uint8Array(2) : 1, fs ? new Uint8Array(6) : 1]]) as AnyMapping;
    jar.cache.add(mapping);
    jar.commit();
    const { lastTid } = records;
    const bytes = Buffer.from(records.revisions.get(oidOf(mapping)!)!.at(-1)!.data);
    const bad: [unknown, unknown][] = [
      [NaN, 1],
      [{}, 1],
      [undefined, 1],
      ['text', fs ? new Uint8Array(6) : 1],
      [2n ** 64n, family === 'OO' ? Symbol.iterator : 'x'],
      [-1, family === 'IF' ? 'x' : 2 ** 70],
      [1.5, -1],
      [new Uint8Array(3), new Uint8Array(5)],
      [Object.freeze([1, 2]), 1],
    ];
    for (const [key, value] of bad) {
      for (const change of [
        () => mapping.set(key, value),
        () => mapping.insert(key, value),
        () => mapping.update([[key, value]]),
      ]) {
        if (family === 'OO' && (key === 2n ** 64n || key === -1 || key === 1.5)) continue;
        expect(change).toThrow();
      }
    }
    jar.commit();
    expect(records.lastTid).toBe(lastTid);
    expect(Buffer.from(records.revisions.get(oidOf(mapping)!)!.at(-1)!.data).equals(bytes)).toBe(true);
    expect(mapping.size).toBe(1);
  }
});

it('persistent objects are no keys, but keys that Python made of them can be read', () => {
  expect(() => new OOBTree<unknown, number>().set(new PersistentMapping(), 1)).toThrow(
    "A persistent object (PersistentMapping) can't be a key",
  );
  const mapping = Meta.of('persistent.mapping', 'PersistentMapping');
  const jar = jarOver([1, bucket, tuple(tuple(new Ref(2 as Oid, mapping), 'x'))], [2, mapping, { data: {} }]);
  const [key] = [...(jar.cache.get(1 as Oid) as AnyMapping).keys()];
  expect(key).toBeInstanceOf(PersistentMapping);
  expect(() => (jar.cache.get(1 as Oid) as AnyMapping).get('a')).toThrow(
    'a reference to a persistent object',
  );
});

it('arguments are checked at the door', () => {
  const mapping = new OOBTree<string, number>();
  expect(() => mapping.update([['a']] as never)).toThrow('update() takes an iterable of [key, value] pairs');
  expect(() => mapping.update([5] as never)).toThrow('it met 5');
  expect(() => new OOBTree(['ab'] as never)).toThrow("it met 'ab'");
  expect(() => mapping.set('a', 1).keys({ min: NaN as never })).toThrow("NaN can't be a key");
});
