import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  DemoStorage,
  FileStorage,
  MemoryStorage,
  isMadeWhenMissing,
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
  expect(
    ['x.sqlite', 'zlib:x.fs', 'encrypted:zlib:x', 'zlib:zeo:x', 'memory:'].map(isMadeWhenMissing),
  ).toEqual([true, true, true, false, false]);
});

describe('an encrypted database', () => {
  const [first, second] = [Buffer.alloc(32, 'a'), Buffer.alloc(32, 'b')];
  afterEach(() => delete process.env.ZODB_KEY);

  /** The root's text, changed to another one when that is given. */
  function text(where: string, to?: string, options = {}): unknown {
    const db = new DB(where, options);
    try {
      return db.transaction((root) => {
        const was = root.text;
        if (to !== undefined) root.text = to;
        return was;
      });
    } finally {
      db.close();
    }
  }

  test('takes its key from an option, the environment, or a file', () => {
    const path = join(directory, 'sealed.sqlite');
    const keyFile = join(directory, 'bank.key');
    text(`encrypted:${path}`, 'by option', { key: first });
    expect(readFileSync(path).includes('by option')).toBe(false);
    process.env.ZODB_KEY = first.toString('base64');
    expect(text(`encrypted:sqlite:${path}`, 'by environment')).toBe('by option');
    process.env.ZODB_KEY = `${second.toString('hex')}, ${first.toString('hex').toUpperCase()}`;
    expect(text(`encrypted:${path}`, 'with a new key')).toBe('by environment');
    delete process.env.ZODB_KEY;
    writeFileSync(keyFile, second);
    expect(text(`encrypted:${path}?keyFile=${keyFile}`, 'by file')).toBe('with a new key');
    writeFileSync(keyFile, `${second.toString('base64url')}\r\n\n${first.toString('hex')}\n`);
    expect(text(`zlib:encrypted:${path}?level=9&keyFile=${keyFile}`)).toBe('by file');
    expect(() => text(path)).toThrow('encrypted:PATH');
  });

  test('without a key, or with what is none, is refused without showing it', () => {
    const path = join(directory, 'keyless.sqlite');
    const keyFile = join(directory, 'wrong.key');
    expect(() => openStorage(`encrypted:${path}`)).toThrow(invalid('set ZODB_KEY'));
    expect(() => openStorage(`encrypted:${path}?key=${'0'.repeat(64)}`)).toThrow(invalid('can be seen'));
    expect(() => openStorage(`encrypted:${path}`, { key: first, keyFile })).toThrow(invalid('not both'));
    expect(() => openStorage(`encrypted:${path}`, { oldKeys: [first] })).toThrow(invalid('"oldKeys"'));
    expect(() => openStorage(`encrypted:${path}`, { key: first.subarray(1) })).toThrow(invalid('32 bytes'));
    expect(() => openStorage(`encrypted:${path}?keyFile=${keyFile}`)).toThrow(invalid('ENOENT'));
    writeFileSync(keyFile, '\n');
    expect(() => openStorage(`encrypted:${path}?keyFile=${keyFile}`)).toThrow(invalid('no key'));
    writeFileSync(keyFile, Buffer.alloc(70_000, 'a'));
    expect(() => openStorage(`encrypted:${path}?keyFile=${keyFile}`)).toThrow(invalid('no key'));
    process.env.ZODB_KEY = `${first.toString('hex')},deadbeef`;
    const wrong = thrownBy(() => openStorage(`encrypted:${path}`));
    expect(wrong).toMatch('ZODB_KEY: key 2 of 2 is neither');
    expect(wrong).not.toMatch('deadbeef');
    expect(existsSync(path)).toBe(false);
  });
});

function thrownBy(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return String(error);
  }
  return 'no error';
}

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
