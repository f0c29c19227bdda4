/** Export files of Python and of ours (`ZODB/src/ZODB/ExportImport.py`). */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Blob, DB, ExportError, oidOf, persistent, TransactionManager, type Connection } from 'zodb';
import 'zodb/btrees';
import { className, readStructure } from '../../src/record/index';
import { fixturePath, listFixtures } from '../fixtures';

@persistent('test.export.Node')
class Node {
  next: Node | null = null;

  constructor(public label: string) {}
}

let directory: string;
let db: DB;
let conn: Connection;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'zodb-export-'));
  db = new DB() as unknown as DB;
  conn = db.open({ transactionManager: new TransactionManager() });
});
afterEach(() => {
  conn.transactionManager.abort();
  db.close();
  rmSync(directory, { recursive: true });
});

test('a subgraph comes back as a copy, cycles included', () => {
  const [a, b] = [new Node('a'), new Node('b')];
  a.next = b;
  b.next = a;
  conn.root.a = a;
  conn.transactionManager.commit();
  const path = join(directory, 'a.zexp');
  expect(conn.exportFile(a, path)).toEqual({ objects: 2, blobs: 0 });
  const copy = conn.importFile(path) as Node;
  expect(copy).not.toBe(a);
  expect([copy.label, copy.next!.label]).toEqual(['a', 'b']);
  expect(copy.next!.next).toBe(copy);
  conn.root.copy = copy;
  conn.transactionManager.commit();
  copy.label = 'changed after the import';
  conn.transactionManager.commit();
  expect(db.transaction((root) => (root.copy as Node).next!.next!.label)).toBe('changed after the import');
  expect(db.objectCount()).toBe(5);
});

test('an import that is aborted leaves nothing', () => {
  const node = new Node('a');
  conn.root.a = node;
  conn.transactionManager.commit();
  const path = join(directory, 'a.zexp');
  conn.exportFile(node, path);
  const before = [db.objectCount(), db.lastTransaction()];
  conn.root.copy = conn.importFile(path);
  conn.transactionManager.abort();
  expect([db.objectCount(), db.lastTransaction()]).toEqual(before);
  expect(Object.keys(conn.root)).toEqual(['a']);
});

test('an unsaved object can not be exported', () => {
  expect(() => conn.exportFile(new Node('new'), join(directory, 'new.zexp'))).toThrow('commit first');
});

describe('what Python exported', () => {
  test.each(listFixtures('zexp', '.zexp'))('%s is imported as Python imports it', (name) => {
    const expected = JSON.parse(readFileSync(fixturePath('zexp', name.replace(/zexp$/, 'json')), 'utf8')) as {
      imported: { records?: { class: [string, string] }[]; error?: unknown };
      records: { class: [string, string]; blob?: { hex?: string } }[];
    };
    const objects = db.objectCount();
    conn.importFile(fixturePath('zexp', name));
    conn.transactionManager.commit();
    expect(db.objectCount() - objects).toBe(expected.records.length);
    const imported = [...db.storage.currentRecords!()].slice(1).map(({ data }) => className(data));
    expect(imported.sort()).toEqual(expected.records.map((record) => record.class.join('.')).sort());
    for (const { data } of db.storage.currentRecords!()) expect(() => readStructure(data)).not.toThrow();
  });

  const cases = (
    JSON.parse(readFileSync(fixturePath('zexp', 'malformed.json'), 'utf8')) as {
      cases: { name: string; hex: string; error?: object }[];
    }
  ).cases;
  test.each(cases)('malformed: $name', ({ hex, error }) => {
    const path = join(directory, 'malformed.zexp');
    writeFileSync(path, Buffer.from(hex, 'hex'));
    const before = db.lastTransaction();
    if (error) expect(() => conn.importFile(path)).toThrow(ExportError);
    else expect(conn.importFile(path)).toBeUndefined();
    conn.transactionManager.commit();
    expect(db.lastTransaction()).toBe(before);
  });

  test('a file cut at any byte is refused, and nothing is imported', () => {
    const whole = readFileSync(fixturePath('zexp', 'single.zexp'));
    for (let length = 0; length < whole.length; length++) {
      expect(() => conn.importFile(whole.subarray(0, length))).toThrow(ExportError);
    }
    expect(oidOf(conn.importFile(whole)!)).toBeDefined();
  });
});

test.each(['commit', 'abort', 'change'] as const)('an imported blob has its content at once; %s', (what) => {
  conn.root.blob = new Blob('content');
  conn.transactionManager.commit();
  const path = join(directory, 'blob.zexp');
  conn.exportFile(conn.root.blob as Blob, path);
  // A folder of its own: other programs make temporary files, too.
  const temporary = join(directory, 'temporary');
  mkdirSync(temporary);
  const asked = jest
    .spyOn(jest.requireActual<typeof import('node:os')>('node:os'), 'tmpdir')
    .mockReturnValue(temporary);
  const copy = conn.importFile(path) as Blob;
  expect(asked).toHaveBeenCalled();
  asked.mockRestore();
  expect(readdirSync(temporary)).toEqual([]);
  expect(copy.readText()).toBe('content');
  conn.root.copy = copy;
  if (what === 'abort') {
    conn.transactionManager.abort();
    expect(Object.keys(conn.root)).toEqual(['blob']);
    return;
  }
  if (what === 'change') {
    using file = copy.open('a');
    file.write(', and more');
  }
  conn.transactionManager.commit();
  conn.cacheMinimize();
  expect((conn.root.copy as Blob).readText()).toBe(what === 'commit' ? 'content' : 'content, and more');
});

test('an imported blob that nobody looked at keeps its content over a savepoint', () => {
  const node = new Node('holder') as Node & { blob?: Blob };
  node.blob = new Blob('deep');
  conn.root.node = node;
  conn.transactionManager.commit();
  const path = join(directory, 'node.zexp');
  conn.exportFile(node, path);
  conn.root.copy = conn.importFile(path);
  const savepoint = conn.transactionManager.get().savepoint();
  conn.root.other = 1;
  savepoint.rollback();
  conn.transactionManager.commit();
  conn.cacheMinimize();
  expect((conn.root.copy as typeof node).blob!.readText()).toBe('deep');
});
