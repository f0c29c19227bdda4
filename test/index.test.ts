/** What importing `zodb` alone brings: nothing else is imported in this file. */
import { DB, FileStorage, Registry, registry } from 'zodb';
import { fixturePath } from './fixtures';

test('every registry knows the BTrees, whether the program names them or not', () => {
  for (const each of [registry, new Registry()]) {
    expect(each.find('BTrees.OOBTree', 'OOBTree')?.ctor.name).toBe('OOBTree');
    expect(each.find('BTrees.Length', 'Length')?.ctor.name).toBe('Length');
  }
});

test("a BTree of Python's is one here", () => {
  const db = new DB(new FileStorage(fixturePath('filestorage', 'basic.fs'), { readOnly: true }));
  const tree = db.transaction((root) => (root.tree as object).constructor.name);
  expect(tree).toBe('OOBTree');
  db.close();
});
