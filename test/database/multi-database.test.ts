/** Several databases in one transaction (`ZODB/src/ZODB/cross-database-references.rst`). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ClosedError,
  ConflictError,
  ConnectionStateError,
  DB,
  InvalidArgumentError,
  InvalidObjectReference,
  oidOf,
  persistent,
  ReadOnlyHistoryError,
  TransactionManager,
  type Connection,
} from 'zodb';
import { momentBetween } from '../moments';

@persistent('test.multi.Node')
class Node {
  label: string;
  other: Node | null = null;

  constructor(label: string) {
    this.label = label;
  }
}

describe.each(['memory', 'sqlite', 'file'] as const)('databases together (%s)', (kind) => {
  let directory: string;
  const opened: DB[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'zodb-multi-'));
  });
  afterEach(() => {
    for (const db of opened.splice(0)) db.close();
    rmSync(directory, { recursive: true });
  });

  function pair(options: { crossReferences?: boolean } = {}) {
    const databases: Record<string, DB> = {};
    const open = (databaseName: string): DB => {
      const path = { memory: null, sqlite: `${databaseName}.sqlite`, file: `${databaseName}.fs` }[kind];
      const db = new DB(path && join(directory, path), {
        databases,
        databaseName,
        ...options,
      }) as unknown as DB;
      opened.push(db);
      return db;
    };
    const [one, two] = [open('one'), open('two')];
    const conn = one.open({ transactionManager: new TransactionManager() }) as unknown as Connection;
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

  test('packAsync() looks at the siblings in steps, between which the event loop goes on', async () => {
    const { two, conn, other } = pair();
    other.root.node = new Node('there');
    conn.transactionManager.commit();
    conn.root.node = other.root.node;
    for (let id = 0; id < 2_000; id++) conn.root[`n${id}`] = new Node(`n${id}`);
    delete other.root.node;
    conn.transactionManager.commit();
    const phases: string[] = [];
    await two.packAsync({ onProgress: ({ phase }) => phases.push(phase) });
    expect(phases.filter((phase) => phase === 'foreign references').length).toBeGreaterThanOrEqual(4);
    expect((conn.root.node as Node).label).toBe('there');
    conn.cacheMinimize();
    expect((conn.root.node as Node).label).toBe('there');
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

  test('a new object belongs to the database that reaches it first; two at once are refused', () => {
    const { conn, other } = pair();
    const shared = new Node('shared');
    conn.root.node = shared;
    other.root.node = shared;
    expect(() => conn.transactionManager.commit()).toThrow(InvalidObjectReference);
    conn.transactionManager.abort();
    other.add(shared);
    conn.root.node = shared;
    other.root.node = shared;
    conn.transactionManager.commit();
    conn.cacheMinimize();
    expect(conn.root.node).toBe(other.root.node);
  });

  test('a reference into a database that is not there is found when it is followed, and kept when it is not', () => {
    const { one, two, conn, other } = pair();
    const there = new Node('there');
    other.root.node = there;
    conn.transactionManager.commit();
    const here = new Node('here');
    here.other = there;
    conn.root.node = here;
    conn.transactionManager.commit();
    if (kind === 'memory') return;
    const { name } = one;
    one.close();
    two.close();
    const alone = new DB(name, { databaseName: 'one' }) as unknown as DB;
    opened.push(alone);
    const lonely = alone.open({ transactionManager: new TransactionManager() }) as unknown as Connection;
    const node = lonely.root.node as Node;
    expect(() => node.other).toThrow(InvalidObjectReference);
    node.label = 'changed';
    lonely.transactionManager.commit();
    alone.close();
    const databases: Record<string, DB> = {};
    for (const databaseName of ['one', 'two']) {
      const path = databaseName === 'one' ? name : two.name;
      opened.push(new DB(path, { databases, databaseName }) as unknown as DB);
    }
    databases.one!.transaction((root) => {
      expect([(root.node as Node).label, (root.node as Node).other!.label]).toEqual(['changed', 'there']);
    });
  });

  test('a conflict in one database takes back what was written to the other', () => {
    const { one, two, conn, other } = pair();
    conn.root.x = 1;
    other.root.y = 1;
    conn.transactionManager.commit();
    two.transaction((root) => {
      root.y = 2;
    });
    conn.root.x = 3;
    other.root.y = 3;
    expect(() => conn.transactionManager.commit()).toThrow(ConflictError);
    conn.transactionManager.abort();
    expect(one.transaction((root) => root.x)).toBe(1);
    expect([conn.root.x, other.root.y]).toEqual([1, 2]);
  });

  test('closing: only the connection that brought the others along, and it closes them', () => {
    const { two, conn, other } = pair();
    expect(other.getConnection('one')).toBe(conn);
    expect(conn.getConnection('two')).toBe(other);
    expect(conn.getConnection('one')).toBe(conn);
    expect(() => other.close()).toThrow(ConnectionStateError);
    other.root.y = 1;
    expect(() => conn.close()).toThrow(ConnectionStateError);
    conn.transactionManager.abort();
    conn.close();
    expect([other.isOpen, two.openConnections]).toEqual([false, []]);
    expect(() => other.root.y).toThrow(ClosedError);
    expect(() => conn.getConnection('two')).toThrow(ClosedError);
  });

  test('savepoints and rollbacks cover both', () => {
    const { conn, other } = pair();
    conn.root.x = 1;
    other.root.y = 1;
    const savepoint = conn.transactionManager.savepoint();
    conn.root.x = 2;
    other.root.y = 2;
    savepoint.rollback();
    expect([conn.root.x, other.root.y]).toEqual([1, 1]);
    conn.transactionManager.commit();
    expect([conn.root.x, other.root.y]).toEqual([1, 1]);
  });

  test('caches are shrunk together', () => {
    const { conn, other } = pair();
    other.root.node = new Node('n');
    conn.transactionManager.commit();
    void (other.root.node as Node).label;
    conn.cacheMinimize();
    expect([conn.cacheStatistics.loaded, other.cacheStatistics.loaded]).toEqual([0, 0]);
  });

  test('within db.transaction() the sibling is lent for as long', () => {
    const { one, two, conn } = pair();
    conn.close();
    let sibling!: Connection;
    one.transaction((root, connection) => {
      sibling = connection.getConnection('two');
      sibling.root.y = 5;
      root.x = 5;
    });
    expect([sibling.isOpen, one.openConnections, two.openConnections]).toEqual([false, [], []]);
    expect(two.transaction((root) => root.y)).toBe(5);
  });

  test('the past of one database brings the past of the others', () => {
    const { one, conn, other } = pair();
    conn.root.x = 1;
    other.root.y = 1;
    conn.transactionManager.commit();
    const then = momentBetween();
    conn.root.x = 2;
    other.root.y = 2;
    conn.transactionManager.commit();
    const past = one.open({
      at: then,
      transactionManager: new TransactionManager(),
    }) as unknown as Connection;
    const pastOther = past.getConnection('two');
    expect([past.root.x, pastOther.root.y, pastOther.isReadOnly]).toEqual([1, 1, true]);
    expect(() => {
      pastOther.root.y = 3;
    }).toThrow(ReadOnlyHistoryError);
    past.close();
  });

  test('names are unique, and those of Object.prototype are no databases', () => {
    const { one, conn } = pair();
    expect(() => new DB(null, { databases: one.databases, databaseName: 'one' })).toThrow(
      InvalidArgumentError,
    );
    expect(() => conn.getConnection('constructor')).toThrow(InvalidObjectReference);
  });
});
