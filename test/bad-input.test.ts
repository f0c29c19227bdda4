/** What a newcomer gets wrong first: each mistake is named, and nothing stored is lost or changed. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  assign,
  ClosedError,
  copyTransactions,
  DB,
  FormatError,
  InvalidArgumentError,
  persistent,
  ReadOnlyError,
  registry,
  runSteps,
  toPlain,
  transaction,
  ZodbError,
} from 'zodb';
import { OOBTree } from 'zodb/btrees';
import { backupStorage, restoreBackup, verifyBackup } from 'zodb/storage';
import { ensureBuilt } from './built';

// Programs of their own use the build; nobody may write it meanwhile.
beforeAll(ensureBuilt, 900_000);

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'zodb-bad-'));
});
afterEach(() => {
  transaction.abort();
  rmSync(directory, { recursive: true, force: true });
});

function failure(work: () => unknown): ZodbError {
  try {
    work();
  } catch (error) {
    if (error instanceof ZodbError) return error;
    throw error;
  }
  throw new Error('This should have failed.');
}

test('a file that is not a database is refused and stays as it is', () => {
  const path = join(directory, 'letter.txt');
  writeFileSync(path, 'Dear reader, this is no database. '.repeat(200));
  const before = readFileSync(path);
  const error = failure(() => new DB(path));
  expect(error).toBeInstanceOf(FormatError);
  expect(error.message).toContain(path);
  expect(readFileSync(path)).toEqual(before);
});

test('a directory is refused', () => {
  const error = failure(() => new DB(directory));
  expect(error.message).toContain(directory);
  expect(error.message).toMatch(/directory/);
});

test('a path in a directory that does not exist is refused', () => {
  const error = failure(() => new DB(join(directory, 'nowhere', 'data.sqlite')));
  expect(error.message).toContain('nowhere');
});

test('a database opened read-only refuses changes', () => {
  const path = join(directory, 'data.sqlite');
  new DB(path).close();
  const db = new DB(path, { readOnly: true });
  const conn = db.open();
  expect(failure(() => (conn.root.x = 1))).toBeInstanceOf(ReadOnlyError);
  conn.close();
  db.close();
});

test('a database that does not exist is not made by a read-only open', () => {
  const error = failure(() => new DB(join(directory, 'missing.sqlite'), { readOnly: true }));
  expect(error.message).toContain('missing.sqlite');
});

test('a file without permission to write is refused, or opened read-only when that is asked for', () => {
  const path = join(directory, 'data.sqlite');
  new DB(path).close();
  chmodSync(path, 0o444);
  chmodSync(directory, 0o555);
  // The superuser may write everywhere, so ask as somebody else.
  const script = `
    const { DB } = require('zodb');
    try { new DB(${JSON.stringify(path)}); console.log('opened'); }
    catch (error) { console.log(error.name, error.code, error.message); }`;
  const uid = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  try {
    const output = execFileSync(process.execPath, ['-e', script], {
      encoding: 'utf8',
      cwd: process.cwd(),
      ...uid,
    });
    expect(output).toMatch(/ReadOnlyError|StorageError|LockError/);
    expect(output).toContain(path);
  } finally {
    chmodSync(directory, 0o755);
  }
});

test('a misspelt option is named, with the one that was meant', () => {
  const error = failure(() => new DB(null, { cachSize: 10 } as never));
  expect(error).toBeInstanceOf(InvalidArgumentError);
  expect(error.message).toContain('cachSize');
  expect(error.message).toContain('cacheSize');
});

test('an object of an unregistered class is refused with its path, and nothing is stored', () => {
  class Stranger {}
  const db = new DB();
  const conn = db.open();
  conn.root.guests = { tonight: [new Stranger()] };
  const error = failure(() => transaction.commit());
  expect(error.message).toContain('tonight[0]');
  expect(error.message).toContain('Stranger');
  transaction.abort();
  expect(Object.keys(conn.root)).toEqual([]);
  conn.close();
  db.close();
});

test('a function in a field is refused with its path', () => {
  @persistent({ name: 'bad.Account', replace: true })
  class Account {
    history: unknown[] = [];
  }
  const db = new DB();
  const conn = db.open();
  const account = new Account();
  account.history = [1, 2, 3, { callback: () => 1 }];
  conn.root.account = account;
  expect(failure(() => transaction.commit()).message).toContain('bad.Account.history[3].callback');
  transaction.abort();
  conn.close();
  db.close();
});

test('use after close says so', () => {
  const db = new DB();
  const conn = db.open();
  conn.close();
  expect(failure(() => conn.get(0 as never))).toBeInstanceOf(ClosedError);
  db.close();
  expect(failure(() => db.open())).toBeInstanceOf(ClosedError);
  expect(failure(() => db.transaction(() => 1))).toBeInstanceOf(ClosedError);
});

@persistent('test.bad.Item')
class Item {}

test('wrong arguments are named, and nothing is done', () => {
  const refused = (message: string): unknown =>
    expect.objectContaining({ code: 'INVALID_ARGUMENT', message });
  const db = new DB();
  for (const [use, message] of [
    [() => toPlain({}, { dpeth: 1 } as object), 'toPlain() has no option "dpeth"; it has depth.'],
    [() => toPlain({}, { depth: -1 }), 'depth must be a number, 0 or more, not -1.'],
    [() => assign(new Item(), null as never), 'assign() takes an object with fields, not null.'],
    [
      () => {
        registry.register('bad', Item as never, undefined as never);
      },
      "Only a class can be registered: register('module', 'Class', Class).",
    ],
    [
      () => new OOBTree({ a: 1 } as never),
      'Entries are a mapping or an iterable of [key, value] pairs, not { a: 1 }. Object.entries() makes them of an object.',
    ],
    [
      () => db.transaction((root) => void ((root as Record<symbol, unknown>)[Symbol('x')] = 1)),
      'Entries of the root have text for keys, not Symbol(x).',
    ],
    [
      () => runSteps(copyTransactions('a.fs' as never, db.storage)),
      'Storages are copied, not strings: openStorage(path).',
    ],
    [
      () => runSteps(backupStorage(db.storage, directory, { gzp: true } as object)),
      'backupStorage() has no option "gzp"; it has full, gzip, quick, removeOld.',
    ],
    [
      () => runSteps(restoreBackup(directory, 'x.fs', { at: 1 } as object)),
      'restoreBackup() has no option "at"; it has time, blobDir.',
    ],
    [
      () => runSteps(verifyBackup(directory, { qick: true } as object)),
      'verifyBackup() has no option "qick"; it has quick.',
    ],
  ] as [() => unknown, string][]) {
    expect(failure(use)).toEqual(refused(message));
  }
  db.close();
});

test('without better-sqlite3 memory and File storage work, and SQLite says what to install', () => {
  const home = join(directory, 'package');
  mkdirSync(join(home, 'node_modules'), { recursive: true });
  cpSync('dist', join(home, 'dist'), { recursive: true });
  cpSync('package.json', join(home, 'package.json'));
  const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: object };
  for (const name of Object.keys(dependencies)) {
    mkdirSync(join(home, 'node_modules', name, '..'), { recursive: true });
    symlinkSync(join(process.cwd(), 'node_modules', name), join(home, 'node_modules', name));
  }
  const script = `
    const { DB } = require('zodb');
    const db = new DB(); db.transaction(root => { root.x = 1 }); console.log(db.transaction(root => root.x)); db.close();
    new DB('Data.fs').close();
    try { new DB('data.sqlite') } catch (error) { console.log(error.message) }`;
  const output = execFileSync(process.execPath, ['-e', script], { encoding: 'utf8', cwd: home });
  expect(output).toMatch(/^1\n/);
  expect(output).toContain('npm install better-sqlite3');
});
