import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { PersistentMapping } from '../../src/persistence';
import { SqliteStorage } from '../../src/storage';
import { withTestDb } from '../../src/testing';

describe('withTestDb', () => {
  const context = withTestDb({
    root: { users: () => new PersistentMapping<string, string>() },
    fill: (root) => void root.users.set('ann', 'from the beginning'),
  });

  for (const round of [1, 2, 3]) {
    test(`each test begins with the same content (${round})`, () => {
      context.db.transaction((root) => {
        expect([...root.users.keys()]).toEqual(['ann']);
        root.users.set('ann', 'changed');
        root.users.set(`guest ${round}`, 'new');
      });
      expect(context.db.transaction((root) => [...root.users.values()])).toEqual(['changed', 'new']);
    });
  }
});

describe('withTestDb on a storage of its own', () => {
  const directory = mkdtempSync(join(tmpdir(), 'zodb-testdb-'));
  const base = new SqliteStorage(join(directory, 'content.sqlite'));
  const context = withTestDb({
    base,
    root: { list: () => new PersistentMapping<string, number>() },
    fill: (root) => void root.list.set('one', 1),
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  for (const round of [1, 2]) {
    test(`the storage is not changed by tests (${round})`, () => {
      const last = base.lastTransaction();
      context.db.transaction((root) => root.list.set('two', 2));
      expect(base.lastTransaction()).toBe(last);
      expect(context.db.transaction((root) => root.list.size)).toBe(2);
    });
  }
});

test('the suite and withTestDb run under node:test too', () => {
  const cache = join(__dirname, '../../node_modules/.cache/zodb-tests');
  mkdirSync(cache, { recursive: true });
  const entry = join(cache, `node-test-${process.pid}.ts`);
  const bundle = entry.replace(/\.ts$/, '.cjs');
  const from = (path: string): string => JSON.stringify(join(__dirname, '../../src', path));
  writeFileSync(
    entry,
    `import { test } from 'node:test';
     import assert from 'node:assert';
     import { MemoryStorage } from ${from('storage')};
     import { storageConformance, withTestDb } from ${from('testing')};
     storageConformance({ name: 'memory', open: () => new MemoryStorage() });
     const context = withTestDb();
     test('a database', () => assert.ok(context.db.transaction((root) => root !== undefined)));`,
  );
  try {
    buildSync({
      entryPoints: [entry],
      outfile: bundle,
      bundle: true,
      platform: 'node',
      packages: 'external',
      target: 'node20',
    });
    const { stdout, status } = spawnSync(process.execPath, ['--test', '--test-reporter=tap', bundle], {
      encoding: 'utf8',
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    });
    expect(stdout).toMatch(/^# fail 0$/m);
    expect(Number(/^# pass (\d+)$/m.exec(stdout)![1])).toBeGreaterThan(100);
    expect(status).toBe(0);
  } finally {
    rmSync(entry, { force: true });
    rmSync(bundle, { force: true });
  }
});
