import { DB, persistent, PersistentList, type Oid } from 'zodb';
import { OOBTree } from 'zodb/btrees';
import { placeOfReference } from '../../src/cli/place-in-record';
import { oidOf } from '../../src/persistence/index';

@persistent('test.place.Thing')
class Thing {
  [field: string]: unknown;
}

test('a reference is found as a program would write the way to it', () => {
  const db = new DB();
  const target = new Thing();
  const holders: Record<string, object> = {
    field: Object.assign(new Thing(), { other: new Thing(), it: target }),
    nested: Object.assign(new Thing(), { a: { list: [1, { 'a key': target }] } }),
    map: Object.assign(new Thing(), { map: new Map([[5, target]]), set: new Set([1]) }),
    tree: new OOBTree<string, Thing>([
      ['lamp', new Thing()],
      ['shade', target],
    ]),
    list: new PersistentList([new Thing(), target]),
    large: new OOBTree<number, unknown>(
      Array.from({ length: 100 }, (_, i): [number, unknown] => [i, i === 50 ? target : i]),
    ),
  };
  db.transaction((root) => Object.assign(root, holders));
  const places = db.transaction((root) => {
    const oid = oidOf((root.field as Thing).it as object)!;
    const at = (holder: object): string => placeOfReference(db.storage.load(oidOf(holder)!).data, oid);
    return Object.fromEntries(Object.keys(holders).map((name) => [name, at(root[name] as object)]));
  });
  expect(places).toEqual({
    field: 'it',
    nested: 'a.list[1]["a key"]',
    map: 'map[5]',
    tree: '["shade"]',
    list: '[1]',
    large: '',
  });
  expect(placeOfReference(db.storage.load(0 as Oid).data, 999 as Oid)).toBe('');
  expect(placeOfReference(Buffer.from('no record'), 1 as Oid)).toBe('');
  db.close();
});
