import * as fs from 'node:fs';
import * as path from 'node:path';
import { ClosedError, ConflictError, POSKeyError } from '../../../src/errors';
import { ROOT_OID, ZERO_TID, type Oid, type Tid } from '../../../src/ids';
import { DemoStorage, FileStorage, MemoryStorage, runSteps, type Storage } from '../../../src/storage';
import { commit, put, serialOf, undo } from '../file/commits';
import { TemporaryDirectory } from '../file/directory';
import { blobRecord, mappingRecord, plainHost } from '../file/records';

const directory = new TemporaryDirectory();
afterAll(() => directory.remove());
const [ONE, TWO, BLOB] = [1 as Oid, 2 as Oid, 3 as Oid];

/** Every file below a directory with its content. */
function filesIn(folder: string): Record<string, string> {
  const names = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => fs.statSync(path.join(folder, name)).isFile());
  return Object.fromEntries(files.map((name) => [name, fs.readFileSync(path.join(folder, name), 'hex')]));
}

function prepared(): { file: string; base: Tid; demo: DemoStorage } {
  const file = directory.file();
  const storage = new FileStorage(file);
  put(storage, ONE, mappingRecord('one'));
  put(storage, TWO, mappingRecord('two'));
  commit(storage, (txn) => storage.storeBlob(BLOB, ZERO_TID, blobRecord, Buffer.from('picture'), txn));
  const base = put(storage, ROOT_OID, mappingRecord('root', [ONE, TWO, BLOB]));
  storage.close();
  const demo = new DemoStorage({ base: new FileStorage(file, { readOnly: true }) });
  demo.registerDB(plainHost);
  return { file, base, demo };
}

const textOf = (storage: Storage, oid: Oid): Buffer => Buffer.from(storage.load(oid).data);

function blobOf(storage: Storage): string {
  const reader = storage.openBlob!(BLOB, storage.load(BLOB).serial);
  const bytes = Buffer.alloc(reader.size);
  reader.read(bytes, 0, bytes.length, 0);
  reader.close();
  return bytes.toString();
}

it('leaves every file of its base as it is, whatever is done above', () => {
  const { file, demo } = prepared();
  const before = filesIn(path.dirname(file));
  const changed = put(demo, ONE, mappingRecord('changed'));
  put(demo, TWO, mappingRecord('changed too'));
  undo(demo, changed);
  commit(demo, (txn) =>
    demo.storeBlob(BLOB, serialOf(demo, BLOB), blobRecord, Buffer.from('another picture'), txn),
  );
  commit(demo, (txn) => demo.deleteObject(TWO, serialOf(demo, TWO), txn));
  expect([textOf(demo, ONE), blobOf(demo)]).toEqual([mappingRecord('one'), 'another picture']);
  runSteps(demo.pack());
  expect([textOf(demo, ONE), blobOf(demo)]).toEqual([mappingRecord('one'), 'another picture']);
  demo.close();
  expect(filesIn(path.dirname(file))).toEqual(before);
});

it('shows the blobs of its base until they are changed', () => {
  const { demo } = prepared();
  expect(blobOf(demo)).toBe('picture');
  const serial = serialOf(demo, BLOB);
  commit(demo, (txn) => demo.storeBlob(BLOB, serial, blobRecord, Buffer.from('new'), txn));
  expect(blobOf(demo)).toBe('new');
  const reader = demo.openBlob(BLOB, serial);
  expect(reader.size).toBe('picture'.length);
  reader.close();
  demo.close();
});

it('keeps a deletion over its base, but not into the past, and through packs', () => {
  const { base, demo } = prepared();
  const tid = commit(demo, (txn) => demo.deleteObject(TWO, serialOf(demo, TWO), txn));
  expect(Buffer.from(demo.loadBefore(TWO, (base + 1n) as Tid)!.data)).toEqual(mappingRecord('two'));
  for (let round = 0; round < 2; round++) {
    expect(() => demo.load(TWO)).toThrow(POSKeyError);
    expect(Array.from(demo.currentRecords(), ({ oid }) => oid)).toEqual([ROOT_OID, ONE, BLOB]);
    runSteps(demo.pack());
  }
  expect(tid > base).toBe(true);
  // A new object may take the place.
  put(demo, TWO, mappingRecord('again'));
  expect(textOf(demo, TWO)).toEqual(mappingRecord('again'));
  demo.close();
});

it('refuses what was read before a change, in either layer', () => {
  const { base, demo } = prepared();
  const store = (serial: Tid): void =>
    void commit(demo, (txn) => demo.store(ONE, serial, mappingRecord('late'), txn));
  expect(() => store(base)).toThrow(ConflictError);
  const old = serialOf(demo, ONE);
  put(demo, ONE, mappingRecord('newer'));
  expect(() => store(old)).toThrow(ConflictError);
  expect(textOf(demo, ONE)).toEqual(mappingRecord('newer'));
  demo.close();
});

it('is stacked and taken off again', () => {
  const { demo } = prepared();
  put(demo, ONE, mappingRecord('first layer'));
  const above = demo.push();
  above.registerDB(plainHost);
  put(above, ONE, mappingRecord('second layer'));
  put(above, 77 as Oid, mappingRecord('new above'));
  expect([textOf(above, ONE), textOf(above, TWO)]).toEqual([
    mappingRecord('second layer'),
    mappingRecord('two'),
  ]);
  expect(textOf(demo, ONE)).toEqual(mappingRecord('first layer'));
  expect(above.pop()).toBe(demo);
  expect(() => above.load(ONE)).toThrow(ClosedError);
  expect(textOf(demo, ONE)).toEqual(mappingRecord('first layer'));
  expect(() => demo.load(77 as Oid)).toThrow(POSKeyError);
  expect(demo.newOid()).not.toBe(demo.newOid());
  demo.close();
});

test('a misspelt option is named: changes would go into memory, and be lost', () => {
  expect(() => new DemoStorage({ chnages: new MemoryStorage() } as object)).toThrow(
    'Demo storage has no option "chnages"; it has base, changes, closeBase, closeChanges.',
  );
});
