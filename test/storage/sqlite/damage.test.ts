import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { Oid } from '../../../src/ids';
import { runSteps, SqliteStorage, TransactionMetaData } from '../../../src/storage';
import { loadDriver } from '../../../src/storage/sqlite/driver';
import { Harness } from '../../../src/testing/harness';
import { readAll } from '../../../src/testing/parts/corruption';
import { soak, temporaryDirectory } from './temporary';

const directory = temporaryDirectory();
const file = (): string => join(directory(), 'test.sqlite');
const error = (code: string, text: string): Error =>
  expect.objectContaining({ code, message: expect.stringContaining(text) }) as Error;

test('every byte of a small file flipped in turn: an error or what was stored', () => {
  const texts = new Map<Oid, string>();
  const h = new Harness(new SqliteStorage(file()));
  const oids = Array.from({ length: 6 }, () => h.storage.newOid());
  h.root(oids);
  oids.forEach((oid, place) => {
    texts.set(oid, `object ${place}`);
    h.commit([{ oid, text: `object ${place}`, references: oids.slice(0, place) }]);
  });
  texts.set(oids[0]!, 'changed');
  h.change(oids[0]!, 'changed');
  h.storage.close();
  const whole = readFileSync(file());
  // Every byte with `npm run soak`; here those of every page's head, and each so many of the rest.
  const stride = soak >= 1 ? 1 : 83;
  let flips = 0;
  let errors = 0;
  for (let at = 0; at < whole.length; at += at % 4_096 < 24 ? Math.min(4, stride) : stride) {
    const damaged = Buffer.from(whole);
    damaged[at]! ^= soak >= 1 ? 0xff : 1 << (at % 8);
    writeFileSync(file(), damaged);
    errors += readAll(() => new SqliteStorage(file()), texts, `byte ${at}`);
    for (const suffix of ['-wal', '-shm']) rmSync(file() + suffix, { force: true });
    flips++;
  }
  expect(flips).toBeGreaterThan(500);
  expect(errors).toBeGreaterThan(20);
}, 600_000);

test('a damaged record stops a pack instead of losing what it led to', () => {
  const h = new Harness(new SqliteStorage(file()));
  const { oid: inner } = h.create('inner');
  const { oid: outer } = h.create('needle in the outer', [inner]);
  h.root([outer]);
  h.storage.close();
  const bytes = readFileSync(file());
  bytes[bytes.lastIndexOf('needle')]! ^= 4;
  writeFileSync(file(), bytes);
  const again = new Harness(new SqliteStorage(file()));
  expect(() => again.storage.load(outer)).toThrow(error('CORRUPTION', '0x2'));
  expect(() => runSteps(again.storage.pack!())).toThrow(error('CORRUPTION', 'damaged'));
  expect(again.text(inner)).toBe('inner');
  expect(runSteps(again.storage.check!()).problems).toEqual([expect.stringContaining('0x2')]);
  again.storage.close();
});

test('a record that can not be read stops a pack with garbage collection', () => {
  const h = new Harness(new SqliteStorage(file()));
  const { oid } = h.create('x');
  h.root([oid]);
  h.storage.close();
  const storage = new SqliteStorage(file());
  const txn = new TransactionMetaData();
  storage.tpcBegin(txn);
  storage.store(oid, storage.load(oid).serial, Buffer.from('sealed by a wrapper'), txn);
  storage.tpcVote(txn);
  storage.tpcFinish(txn);
  expect(() => runSteps(storage.pack())).toThrow(error('UNKNOWN_REFERENCES', '0x1'));
  expect(runSteps(storage.pack({ gc: false }))).toMatchObject({ revisions: 1 });
  storage.close();
});

test('a full disk loses nothing, and the same transaction works when there is room', () => {
  const path = file();
  const h = new Harness(new SqliteStorage(path));
  const { oid } = h.create('kept');
  h.storage.close();
  // The limit of SQLite itself stands in for that of the disk: the same error from the same place.
  const limited = new Harness(new SqliteStorage(path, { maxPages: 40 }));
  expect(() => limited.change(oid, 'x'.repeat(400_000))).toThrow(error('STORAGE_FULL', path));
  expect(limited.text(oid)).toBe('kept');
  limited.change(oid, 'small enough');
  limited.storage.close();
  const again = new Harness(new SqliteStorage(path));
  expect(again.text(oid)).toBe('small enough');
  again.change(oid, 'x'.repeat(400_000));
  expect(runSteps(again.storage.check!()).problems).toEqual([]);
  again.storage.close();
});

test('a file that was removed or replaced underneath takes no more commits', () => {
  const h = new Harness(new SqliteStorage(file()));
  const { oid } = h.create('one');
  const instance = h.storage.newInstance();
  instance.poll();
  renameSync(file(), join(directory(), 'moved.sqlite'));
  expect(() => h.change(oid, 'two')).toThrow(error('FILE_REPLACED', 'removed'));
  copyFileSync(join(directory(), 'moved.sqlite'), file());
  expect(() => h.change(oid, 'two')).toThrow(error('FILE_REPLACED', 'replaced'));
  expect(instance.load(oid).data).toBeDefined();
  expect(() => h.storage.newInstance().poll()).toThrow(error('FILE_REPLACED', 'replaced'));
  h.storage.close();
});

test('a newer schema and a foreign file are refused by name and left as they are', () => {
  new SqliteStorage(file()).close();
  let db = new Database(file());
  db.pragma('user_version=99');
  db.close();
  expect(() => new SqliteStorage(file())).toThrow(error('NEWER_SCHEMA', 'version 99'));

  const foreign = join(directory(), 'foreign.sqlite');
  db = new Database(foreign);
  db.exec('CREATE TABLE invoices (id INTEGER)');
  db.close();
  const before = readFileSync(foreign);
  expect(() => new SqliteStorage(foreign)).toThrow(error('FOREIGN_FILE', foreign));
  expect(readFileSync(foreign).equals(before)).toBe(true);

  const text = join(directory(), 'letter.txt');
  writeFileSync(text, 'Dear database, '.repeat(100));
  expect(() => new SqliteStorage(text)).toThrow(error('FORMAT', text));
  expect(readFileSync(text, 'utf8')).toContain('Dear database');
});

test('paths that can not be a database are named', () => {
  mkdirSync(join(directory(), 'folder'));
  expect(() => new SqliteStorage(join(directory(), 'folder'))).toThrow(error('IS_DIRECTORY', 'folder'));
  expect(() => new SqliteStorage(join(directory(), 'no', 'where.sqlite'))).toThrow(
    error('NO_DIRECTORY', 'no'),
  );
  expect(() => new SqliteStorage(file(), { create: false })).toThrow(error('NO_FILE', file()));
  expect(() => new SqliteStorage(file(), { readOnly: true })).toThrow(error('NO_FILE', file()));
  expect(() => new SqliteStorage('')).toThrow(error('INVALID_ARGUMENT', 'path'));
  expect(statSync(file(), { throwIfNoEntry: false })).toBeUndefined();
});

test('options that are wrong or misspelt are named', () => {
  const open =
    (options: object): (() => unknown) =>
    () =>
      new SqliteStorage(file(), options);
  expect(open({ durabilty: 'full' })).toThrow(error('INVALID_ARGUMENT', 'durabilty'));
  expect(open({ durability: 'none' })).toThrow(error('INVALID_ARGUMENT', 'durability'));
  expect(open({ history: { days: 0 } })).toThrow(error('INVALID_ARGUMENT', 'history'));
  expect(open({ blobs: { dir: 'x' } })).toThrow(error('INVALID_ARGUMENT', 'blobs'));
  expect(open({ lockTimeout: -1 })).toThrow(error('INVALID_ARGUMENT', 'lockTimeout'));
  expect(open({ readOnly: 1 })).toThrow(error('INVALID_ARGUMENT', 'readOnly'));
  new SqliteStorage(file()).close();
  expect(open({ blobs: { directory: 'elsewhere' } })).toThrow(error('INVALID_ARGUMENT', 'blobs'));
});

test('without better-sqlite3 the error says what to install and what else there is', () => {
  const missing = (): never => {
    throw new Error('Cannot find module');
  };
  expect(() => loadDriver(missing)).toThrow(error('NO_SQLITE', 'npm install better-sqlite3'));
  class NotBuilt {
    constructor() {
      throw new Error('Could not locate the bindings file.');
    }
  }
  expect(() => loadDriver(() => NotBuilt as unknown as ReturnType<typeof loadDriver>)).toThrow(
    error('NO_SQLITE', 'npm rebuild better-sqlite3'),
  );
});
