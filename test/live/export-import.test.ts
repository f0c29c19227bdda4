/** Export files between Python's ZODB and this one, both ways, blobs included. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Blob, DB, PersistentMapping, TransactionManager, type Connection } from 'zodb';
import { OOBTree } from 'zodb/btrees';
import { missingZodb, python } from './python-zodb';

const missing = missingZodb('ZODB.DB, ZODB.blob, BTrees.OOBTree');

function callPython(...args: string[]): unknown {
  const { status, stdout, stderr } = spawnSync(python, [join(__dirname, 'export_import.py'), ...args], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as unknown;
}

if (missing !== undefined) {
  it(`is not run: ${missing}`, () => expect(missing).toBeDefined());
} else {
  describe('with Python', runWithPython);
}

function runWithPython(): void {
  let directory: string;
  let db: DB;
  let conn: Connection;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'zodb-live-export-'));
  });
  afterEach(() => {
    db.close();
    rmSync(directory, { recursive: true });
  });

  test.each(['memory', 'sqlite', 'file'] as const)('what either exports the other imports (%s)', (kind) => {
    const path = { memory: null, sqlite: 'data.sqlite', file: 'Data.fs' }[kind];
    db = new DB(path && join(directory, path)) as unknown as DB;
    conn = db.open({ transactionManager: new TransactionManager() }) as unknown as Connection;
    const file = join(directory, 'python.zexp');
    callPython('write', file, join(directory, 'python-blobs'));
    const top = conn.importFile(file) as PersistentMapping<string, unknown>;
    conn.root.top = top;
    conn.transactionManager.commit();
    conn.cacheMinimize();
    expect(top).toBeInstanceOf(PersistentMapping);
    expect(top.get('self')).toBe(top);
    const tree = top.get('tree') as OOBTree<string, number>;
    expect([tree.size, tree.get('key 199')]).toEqual([200, 199]);
    expect(Buffer.from((top.get('small') as Blob).read()).toString()).toBe('small blob');
    expect((top.get('large') as Blob).read()).toHaveLength(256_000);

    top.set('nested', { ours: true });
    top.set('small', new Blob('written here'));
    conn.transactionManager.commit();
    const ours = join(directory, 'ours.zexp');
    expect(conn.exportFile(top, ours).blobs).toBe(2);
    expect(callPython('read', ours, join(directory, 'python-blobs-2'))).toEqual({
      class: 'persistent.mapping.PersistentMapping',
      tree: 200,
      last: 199,
      cycle: true,
      small: 'written here',
      large: 256_000,
      nested: { ours: true },
    });
  });
}
