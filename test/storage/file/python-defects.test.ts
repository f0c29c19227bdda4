/** What Python's FileStorage gets wrong, and this one must not. */
import * as fs from 'node:fs';
import { InvalidArgumentError } from '../../../src/errors';
import { ROOT_OID, type Oid } from '../../../src/ids';
import { FileStorage, runSteps, type FileStorageOptions } from '../../../src/storage';
import { momentBetween } from '../../moments';
import { commit, put, serialOf, undo } from './commits';
import { TemporaryDirectory } from './directory';
import { mappingRecord, plainHost } from './records';

const directory = new TemporaryDirectory();
afterAll(() => directory.remove());

function open(file: string, options: FileStorageOptions = {}): FileStorage {
  const storage = new FileStorage(file, { onWarning: () => undefined, ...options });
  storage.registerDB(plainHost);
  return storage;
}

it('keeps an object that was unlinked at the pack time and linked again later', () => {
  const storage = open(directory.file());
  put(storage, 1 as Oid, mappingRecord('one'));
  put(storage, ROOT_OID, mappingRecord('linked', [1 as Oid]));
  put(storage, ROOT_OID, mappingRecord('unlinked'));
  const time = momentBetween().getTime();
  put(storage, ROOT_OID, mappingRecord('linked again', [1 as Oid]));
  runSteps(storage.pack({ time }));
  expect(Buffer.from(storage.load(1 as Oid).data)).toEqual(mappingRecord('one'));
  expect(runSteps(storage.check()).problems).toEqual([]);
  storage.close();
});

it('keeps an object that is linked again while the pack runs', () => {
  const storage = open(directory.file());
  put(storage, ROOT_OID, mappingRecord('root'));
  for (let oid = 1; oid < 700; oid++) put(storage, oid as Oid, mappingRecord(`garbage ${oid}`));
  const steps = storage.pack();
  let linked = false;
  for (let step = steps.next(); !step.done; step = steps.next()) {
    if (step.value.phase === 'copy' && !linked) {
      linked = true;
      put(storage, ROOT_OID, mappingRecord('root', [7 as Oid]));
    }
  }
  expect(linked).toBe(true);
  expect(Buffer.from(storage.load(7 as Oid).data)).toEqual(mappingRecord('garbage 7'));
  expect(storage.objectCount()).toBe(2);
  expect(runSteps(storage.check()).problems).toEqual([]);
  storage.close();
});

it('packs without garbage collection across an undo', () => {
  const storage = open(directory.file());
  put(storage, ROOT_OID, mappingRecord('one'));
  const second = put(storage, ROOT_OID, mappingRecord('two'));
  const time = momentBetween().getTime();
  undo(storage, second);
  runSteps(storage.pack({ time, gc: false }));
  expect(Buffer.from(storage.load(ROOT_OID).data)).toEqual(mappingRecord('one'));
  expect(runSteps(storage.check()).problems).toEqual([]);
  storage.close();
});

it('names the last whole transaction after a torn tail', () => {
  const file = directory.file();
  const storage = open(file);
  const first = put(storage, ROOT_OID, mappingRecord('one'));
  put(storage, ROOT_OID, mappingRecord('two'));
  storage.close();
  fs.truncateSync(file, fs.statSync(file).size - 3);
  for (const readOnly of [true, false]) {
    const again = open(file, { readOnly });
    expect(again.lastTransaction()).toBe(first);
    again.close();
  }
});

it('opens at a point in the past although the index covers the whole file', () => {
  const file = directory.file();
  const storage = open(file);
  const tids = ['one', 'two', 'three'].map((text) => put(storage, ROOT_OID, mappingRecord(text)));
  storage.close();
  const before = fs.readFileSync(`${file}.index`);
  const past = open(file, { readOnly: true, stop: tids[2]! });
  expect(past.lastTransaction()).toBe(tids[1]);
  expect(Buffer.from(past.load(ROOT_OID).data)).toEqual(mappingRecord('two'));
  past.close();
  expect(fs.readFileSync(`${file}.index`).equals(before)).toBe(true);
  // Beyond the end there is nothing to leave out.
  const now = open(file, { readOnly: true, stop: (tids[2]! + 1n) as (typeof tids)[0] });
  expect(now.lastTransaction()).toBe(tids[2]);
  now.close();
});

it('saves the index while it runs', () => {
  const file = directory.file();
  const storage = open(file);
  const large = mappingRecord('x'.repeat(3_000_000));
  for (let i = 0; i < 12; i++) put(storage, ROOT_OID, large);
  expect(fs.existsSync(`${file}.index`)).toBe(true);
  expect(fs.existsSync(`${file}.index_tmp`)).toBe(false);
  storage.close();
});

it('tells the size of undone revisions', () => {
  const storage = open(directory.file());
  put(storage, ROOT_OID, mappingRecord('one'));
  undo(storage, put(storage, ROOT_OID, mappingRecord('twice as long')));
  expect(storage.history(ROOT_OID, 3).map(({ size }) => size)).toEqual(
    ['one', 'twice as long', 'one'].map((text) => mappingRecord(text).length),
  );
  storage.close();
});

it('refuses empty records', () => {
  const file = directory.file();
  const storage = open(file);
  expect(() => put(storage, ROOT_OID, Buffer.alloc(0))).toThrow(InvalidArgumentError);
  put(storage, ROOT_OID, mappingRecord('fine'));
  storage.close();
  fs.rmSync(`${file}.index`);
  open(file).close();
});

it('walks the current records past deleted objects', () => {
  const storage = open(directory.file());
  for (const oid of [0, 1, 2] as Oid[]) put(storage, oid, mappingRecord(String(oid)));
  commit(storage, (txn) => storage.deleteObject(1 as Oid, serialOf(storage, 1 as Oid), txn));
  expect(Array.from(storage.currentRecords(), ({ oid }) => oid)).toEqual([0, 2]);
  storage.close();
});
