import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  DemoStorage,
  FileStorage,
  MemoryStorage,
  namesFile,
  openStorage,
  registerStorageScheme,
  SqliteStorage,
  type Storage,
} from '../../src/storage';
import { DB } from '../../src/database';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'zodb-open-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function kindOf(where?: string | null, options?: Record<string, unknown>): unknown {
  const storage = openStorage(where, options);
  storage.close();
  return storage.constructor;
}

const invalid = (text: string): Error =>
  expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(text) }) as Error;

test('nothing is a database in memory', () => {
  expect(kindOf()).toBe(MemoryStorage);
  expect(kindOf(null)).toBe(MemoryStorage);
});

test('a path is SQLite, or Data.fs by its name or its content', () => {
  expect(kindOf(join(directory, 'bank.sqlite'))).toBe(SqliteStorage);
  expect(kindOf(join(directory, 'plain'))).toBe(SqliteStorage);
  expect(kindOf(join(directory, 'Data.fs'))).toBe(FileStorage);
  writeFileSync(join(directory, 'exchange'), 'FS21');
  expect(kindOf(join(directory, 'exchange'))).toBe(FileStorage);
});

test('a URI names the storage and its options', () => {
  expect(kindOf('memory:')).toBe(MemoryStorage);
  expect(openStorage('memory:scratch').name).toBe('scratch');
  const storage = openStorage(
    `sqlite:${directory}/a%20b.sqlite?history=none&lockTimeout=5&blobs=directory:b`,
  );
  expect(storage).toBeInstanceOf(SqliteStorage);
  expect(storage.name).toBe(`${directory}/a b.sqlite`);
  expect(storage.supports).toMatchObject({ history: false, blobPaths: true });
  storage.close();
  expect(kindOf(`sqlite:${pathToFileURL(join(directory, 'url.sqlite')).href.slice('file:'.length)}`)).toBe(
    SqliteStorage,
  );
  expect(kindOf(`file:${directory}/x.fs?packGc=false`)).toBe(FileStorage);
  expect(kindOf(`sqlite:${directory}/days.sqlite?history=days:7`)).toBe(SqliteStorage);
});

test('a demo lies over a base that stays as it is', () => {
  openStorage(join(directory, 'base.sqlite')).close();
  const demo = openStorage(`demo:${directory}/base.sqlite`) as DemoStorage;
  expect(demo).toBeInstanceOf(DemoStorage);
  expect(demo.base.readOnly).toBe(true);
  demo.close();
  expect(kindOf('demo:')).toBe(DemoStorage);
});

test('a compressed database is named with the one that it is in', () => {
  const path = join(directory, 'compressed.fs');
  const db = new DB(`zlib:${path}?level=9`);
  db.transaction((root) => {
    root.text = 'x'.repeat(1000);
  });
  db.close();
  expect(statSync(path).size).toBeLessThan(1000);
  const again = new DB(`zlib:file:${path}`, { readOnly: true });
  expect(again.transaction((root) => root.text)).toBe('x'.repeat(1000));
  again.close();
  const plain = new DB(path, { readOnly: true });
  expect(() => plain.transaction((root) => root.text)).toThrow(
    'Open the database through the storage that did it: zlib:PATH',
  );
  plain.close();
  expect(() => openStorage(`zlib:${path}?level=10`)).toThrow(invalid('level'));
  expect(() => openStorage(`zlib:${path}?lvel=1`)).toThrow(invalid('lvel'));
  expect(['x.sqlite', 'zlib:x.fs', 'zlib:sqlite:x', 'zlib:zeo:x', 'memory:'].map(namesFile)).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
});

test('a storage is itself', () => {
  const storage = new MemoryStorage();
  expect(openStorage(storage)).toBe(storage);
  expect(() => openStorage(storage, { history: 'none' })).toThrow(invalid('history'));
});

test('what names no storage is refused by name', () => {
  expect(() => openStorage('')).toThrow(invalid('path'));
  expect(() => openStorage(' ')).toThrow(invalid('path'));
  expect(() => openStorage(`${directory}/x.sqlite?readOnly=true`)).toThrow(invalid('write sqlite:'));
  expect(() => openStorage(42 as unknown as string)).toThrow(invalid('path'));
  expect(() => openStorage({ path: 'x' } as unknown as Storage)).toThrow(
    invalid('This Object is none of them'),
  );
  expect(() => openStorage(new URL('file:///x') as unknown as Storage)).toThrow(invalid('url.href'));
  expect(() => openStorage('mongodb:somewhere')).toThrow(invalid('mongodb'));
  expect(() => openStorage('sqlite:')).toThrow(invalid('sqlite:'));
  expect(() => openStorage('sqlite:100%')).toThrow(invalid('percent'));
  expect(() => openStorage(null, { nmae: 'x' })).toThrow(invalid('nmae'));
  expect(() => openStorage(join(directory, 'x.sqlite'), { histroy: 'all' })).toThrow(invalid('histroy'));
});

test('schemes can be added', () => {
  const made: unknown[] = [];
  registerStorageScheme('test-scheme', (uri, options): Storage => {
    made.push(uri.path, options);
    return new MemoryStorage();
  });
  openStorage('test-scheme:a/b?x=1&y=true&z=text', { w: 2 }).close();
  expect(made).toEqual(['a/b', { x: 1, y: true, z: 'text', w: 2 }]);
  expect(() => registerStorageScheme('C', () => new MemoryStorage())).toThrow(invalid('"C"'));
});
