import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {
  FormatError,
  InvalidArgumentError,
  LockError,
  POSKeyError,
  ReadOnlyError,
  UndoError,
  UnsupportedError,
} from '../../../src/errors';
import { MAX_TID, ROOT_OID, ZERO_TID, type Oid } from '../../../src/ids';
import { FileStorage, QuotaError, runSteps, TransactionMetaData } from '../../../src/storage';
import { LOCKERS, lockFile } from '../../../src/storage/file/lock-file';
import { commit, put, serialOf } from './commits';
import { TemporaryDirectory } from './directory';
import { blobRecord, mappingRecord, plainHost } from './records';

const directory = new TemporaryDirectory();
afterAll(() => directory.remove());

function open(file: string, options = {}): FileStorage {
  const storage = new FileStorage(file, { onWarning: () => undefined, ...options });
  storage.registerDB(plainHost);
  return storage;
}

it('refuses a second opener by name, until the first one closes', () => {
  const file = directory.file();
  const first = open(file);
  put(first, ROOT_OID, mappingRecord('one'));
  expect(() => open(file)).toThrow(LockError);
  expect(() => open(file)).toThrow(new RegExp(`process ${process.pid}`));
  const reader = open(file, { readOnly: true });
  expect(reader.objectCount()).toBe(1);
  reader.close();
  first.close();
  open(file).close();
});

it('locks by Perl, or by a file, where there is no flock program', () => {
  const file = directory.file();
  const first = open(file);
  const perl = LOCKERS.filter(([program]) => program === 'perl');
  if (spawnSync('perl', ['-v']).status === 0) {
    expect(() => lockFile(file, perl)).toThrow(LockError);
    first.close();
    const byPerl = lockFile(file, perl);
    expect(byPerl.by).toBe('perl');
    expect(() => open(file)).toThrow(LockError);
    byPerl.release();
  }
  first.close();
  const byFile = lockFile(file, [['no-such-program']]);
  expect(byFile.by).toBe('file');
  expect(() => lockFile(file, [['no-such-program']])).toThrow(LockError);
  byFile.release();
  // The owner is gone: the lock it left counts for nothing.
  fs.writeFileSync(`${file}.lock.owner`, '999999999');
  lockFile(file, [['no-such-program']]).release();
});

it('refuses a file that is no Data.fs, and leaves it as it is', () => {
  const file = directory.file();
  for (const content of ['SQLite format 3', 'FS3', '<html>']) {
    fs.writeFileSync(file, content);
    expect(() => open(file)).toThrow(FormatError);
    expect(() => open(file, { readOnly: true })).toThrow(FormatError);
    expect(fs.readFileSync(file, 'utf8')).toBe(content);
  }
});

it('refuses to write where it may only read', () => {
  const file = directory.file();
  put(open(file), ROOT_OID, mappingRecord('one'));
  const storage = open(file, { readOnly: true });
  const txn = new TransactionMetaData();
  for (const call of [
    () => storage.newOid(),
    () => storage.tpcBegin(txn),
    () => storage.store(ROOT_OID, ZERO_TID, mappingRecord('x'), txn),
    () => storage.undo(1n as never, txn),
    () => runSteps(storage.pack()),
  ]) {
    expect(call).toThrow(ReadOnlyError);
  }
  expect(storage.supports.pack).toBe(false);
  storage.close();
});

it('names options that it does not have, or that contradict each other', () => {
  const file = directory.file();
  expect(() => open(file, { blobdir: 'x' })).toThrow(/no option "blobdir"/);
  expect(() => open(file, { quota: '1' })).toThrow(InvalidArgumentError);
  expect(() => open(file, { truncate: true, readOnly: true })).toThrow(InvalidArgumentError);
  expect(() => open(file, { stop: 1n })).toThrow(/readOnly/);
  expect(() => open(file, { blobLayout: 'flat' })).toThrow(InvalidArgumentError);
  expect(() => open(file, { create: false })).toThrow(/no database at/);
  expect(() => open(file, { readOnly: true })).toThrow(/no database at/);
  expect(() => open(`${file}.none/Data.fs`, {})).toThrow(/directory .* does not exist/);
  expect(() => open(path.dirname(file), {})).toThrow(/is a directory/);
  // Not even a lock file.
  expect(fs.readdirSync(path.dirname(file))).toEqual([]);
});

it('shows everything when stop lies beyond the end, and nothing when it lies before the beginning', () => {
  const file = directory.file();
  const storage = open(file);
  const tid = put(storage, ROOT_OID, mappingRecord('one'));
  storage.close();
  const all = open(file, { readOnly: true, stop: MAX_TID });
  expect(all.lastTransaction()).toBe(tid);
  all.close();
  const none = open(file, { readOnly: true, stop: 1n });
  expect([none.lastTransaction(), none.objectCount()]).toEqual([ZERO_TID, 0]);
  none.close();
});

it('keeps to its quota', () => {
  const file = directory.file();
  const storage = open(file, { quota: 2000 });
  put(storage, ROOT_OID, mappingRecord('one'));
  expect(() => put(storage, 1 as Oid, mappingRecord('x'.repeat(2000)))).toThrow(QuotaError);
  put(storage, 1 as Oid, mappingRecord('small'));
  storage.close();
  expect(fs.statSync(file).size).toBeLessThan(2000);
});

it('refuses metadata that the format has no room for', () => {
  const storage = open(directory.file());
  const fits = 'x'.repeat(65_535);
  for (const name of ['user', 'description', 'extension'] as const) {
    const of = (text: string): TransactionMetaData =>
      new TransactionMetaData({ [name]: name === 'extension' ? Buffer.from(text) : text });
    const good = of(fits);
    storage.tpcBegin(good);
    storage.tpcVote(good);
    storage.tpcFinish(good);
    expect(() => storage.tpcBegin(of(`${fits}x`))).toThrow(/65535/);
  }
  expect([...storage.iterate()].length).toBe(3);
  storage.close();
});

it('refuses a pack while one runs, and undo of what was packed', () => {
  const storage = open(directory.file());
  put(storage, ROOT_OID, mappingRecord('one'));
  const tid = put(storage, ROOT_OID, mappingRecord('two'));
  for (let oid = 1; oid < 500; oid++) put(storage, oid as Oid, mappingRecord('more'));
  const steps = storage.pack();
  steps.next();
  expect(() => runSteps(storage.pack())).toThrow(expect.objectContaining({ code: 'PACKING' }));
  expect(() => commit(storage, (txn) => storage.undo(tid, txn))).toThrow(UndoError);
  while (!steps.next().done);
  expect(() => commit(storage, (txn) => storage.undo(tid, txn))).toThrow(UndoError);
  storage.close();
});

it('says which file a lost blob should be in, and that there are none where there are none', () => {
  const file = directory.file();
  const storage = open(file);
  const tid = commit(storage, (txn) =>
    storage.storeBlob(1 as Oid, ZERO_TID, blobRecord, Buffer.from('blob'), txn),
  );
  fs.rmSync(storage.blobPath(1 as Oid, tid), { force: true });
  expect(() => storage.openBlob(1 as Oid, tid)).toThrow(POSKeyError);
  expect(() => storage.blobPath(1 as Oid, tid)).toThrow(/has no file .*\.blob/);
  expect(runSteps(storage.check()).problems).toHaveLength(1);
  storage.close();
  const without = open(file, { blobDir: false });
  expect(() => without.blobDirectory()).toThrow(UnsupportedError);
  without.close();
  expect(() => open(file, { blobLayout: 'lawn' })).toThrow(/layout/);
});

it('names damage in the middle with its place, in loads and in packs, and goes on', () => {
  const file = directory.file();
  const storage = open(file);
  put(storage, ROOT_OID, mappingRecord('root', [1 as Oid]));
  const at = storage.size() + 23;
  put(storage, 1 as Oid, mappingRecord('one'));
  put(storage, ROOT_OID, mappingRecord('root again', [1 as Oid]));
  storage.close();
  const fd = fs.openSync(file, 'r+');
  fs.writeSync(fd, Buffer.from([0xff]), 0, 1, at + 24);
  fs.closeSync(fd);
  const damaged = open(file);
  expect(() => runSteps(damaged.pack())).toThrow(
    expect.objectContaining({ code: 'DAMAGED_FILE', position: at }),
  );
  expect(fs.existsSync(`${file}.pack`)).toBe(false);
  put(damaged, ROOT_OID, mappingRecord('goes on', [1 as Oid]));
  expect(serialOf(damaged, ROOT_OID)).toBe(damaged.lastTransaction());
  damaged.close();
});
