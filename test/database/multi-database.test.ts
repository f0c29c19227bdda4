/** Several databases in one transaction (`ZODB/src/ZODB/cross-database-references.rst`). */
import { DB, InvalidObjectReference, oidOf, persistent, TransactionManager } from 'zodb';

@persistent('test.multi.Node')
class Node {
  label: string;
  other: Node | null = null;

  constructor(label: string) {
    this.label = label;
  }
}

function pair(options: { crossReferences?: boolean } = {}) {
  const databases: Record<string, DB> = {};
  const one = new DB(null, { databases, databaseName: 'one', ...options }) as unknown as DB;
  const two = new DB(null, { databases, databaseName: 'two', ...options }) as unknown as DB;
  const conn = one.open({ transactionManager: new TransactionManager() });
  return { one, two, conn, other: conn.getConnection('two') };
}

test('sibling connections share the transaction: both commit, or none', () => {
  const { one, two, conn, other } = pair();
  conn.root.x = 1;
  other.root.y = 2;
  conn.transactionManager.commit();
  expect(one.transaction((root) => ({ ...root }))).toEqual({ x: 1 });
  expect(two.transaction((root) => ({ ...root }))).toEqual({ y: 2 });
  conn.root.x = 3;
  other.root.y = 4;
  conn.transactionManager.abort();
  expect([conn.root.x, other.root.y]).toEqual([1, 2]);
  conn.close();
  expect(other.isOpen).toBe(false);
});

test('an object may refer to one of a sibling database, and finds it again', () => {
  const { conn, other } = pair();
  const there = new Node('there');
  other.root.node = there;
  conn.transactionManager.commit();
  const here = new Node('here');
  here.other = there;
  conn.root.node = here;
  conn.transactionManager.commit();
  conn.cacheMinimize();
  const found = (conn.root.node as Node).other!;
  expect(found.label).toBe('there');
  expect(found).toBe(other.root.node);
});

test('a database that is not known is refused by name', () => {
  const { conn } = pair();
  expect(() => conn.getConnection('three')).toThrow(InvalidObjectReference);
  expect(() => conn.getConnection('three')).toThrow('one, two');
});

test('references between databases can be forbidden', () => {
  const { conn, other } = pair({ crossReferences: false });
  const there = new Node('there');
  other.root.node = there;
  conn.transactionManager.commit();
  conn.root.node = there;
  expect(() => conn.transactionManager.commit()).toThrow(InvalidObjectReference);
  conn.transactionManager.abort();
});

test('a pack keeps what only a sibling database refers to', () => {
  const { two, conn, other } = pair();
  const there = new Node('there');
  there.other = new Node('further');
  other.root.node = there;
  conn.transactionManager.commit();
  conn.root.node = there;
  conn.transactionManager.commit();
  delete other.root.node;
  conn.transactionManager.commit();
  const oid = oidOf(there)!;
  two.pack();
  conn.cacheMinimize();
  expect((other.get(oid) as Node).other!.label).toBe('further');
  delete conn.root.node;
  conn.transactionManager.commit();
  two.pack();
  expect(two.objectCount()).toBe(1);
});
