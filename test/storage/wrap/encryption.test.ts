import * as fs from 'node:fs';
import { InvalidArgumentError, type ZodbError } from '../../../src/errors';
import { ROOT_OID, ZERO_TID, type Oid, type Tid } from '../../../src/ids';
import { EncryptedStorage, FileStorage, MemoryStorage, type Storage } from '../../../src/storage';
import { commit, put, serialOf } from '../file/commits';
import { TemporaryDirectory } from '../file/directory';
import { blobRecord, mappingRecord } from '../file/records';

const directory = new TemporaryDirectory();
afterAll(() => directory.remove());

const key = Buffer.alloc(32, 1);
const otherKey = Buffer.alloc(32, 2);
const secret = mappingRecord('the secret text');

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return (error as ZodbError).code;
  }
  return 'no error';
}

it('leaves nothing readable on disk, in records and blobs', () => {
  const file = directory.file();
  const storage = new EncryptedStorage(new FileStorage(file), { key });
  put(storage, ROOT_OID, secret);
  const tid = commit(storage, (txn) =>
    storage.storeBlob!(1 as Oid, ZERO_TID, blobRecord, Buffer.from('the secret picture'.repeat(5000)), txn),
  );
  const blobFile = new FileStorage(file, { readOnly: true }).blobPath(1 as Oid, tid);
  expect(fs.readFileSync(file).includes('secret')).toBe(false);
  expect(fs.readFileSync(blobFile).includes('secret')).toBe(false);
  expect(storage.supports.blobPaths).toBe(false);
  storage.close();
});

it('reads old revisions with old keys, and writes with the new one', () => {
  const base = new MemoryStorage();
  put(new EncryptedStorage(base, { key }), ROOT_OID, secret);
  const rotated = new EncryptedStorage(base, { key: otherKey, oldKeys: [key] });
  expect(Buffer.from(rotated.load(ROOT_OID).data).equals(secret)).toBe(true);
  put(rotated, ROOT_OID, mappingRecord('newer'));
  expect(codeOf(() => new EncryptedStorage(base, { key }).load(ROOT_OID))).toBe('WRONG_KEY');
  expect(Buffer.from(new EncryptedStorage(base, { key: otherKey }).load(ROOT_OID).data)).toEqual(
    mappingRecord('newer'),
  );
});

it('refuses a wrong key, a short one, and records that were never encrypted', () => {
  const base = new MemoryStorage();
  put(new EncryptedStorage(base, { key }), ROOT_OID, secret);
  expect(codeOf(() => new EncryptedStorage(base, { key: otherKey }).load(ROOT_OID))).toBe('WRONG_KEY');
  expect(() => new EncryptedStorage(base, { key: Buffer.alloc(16) })).toThrow(InvalidArgumentError);
  put(base, 1 as Oid, secret);
  expect(codeOf(() => new EncryptedStorage(base, { key }).load(1 as Oid))).toBe('NOT_ENCRYPTED');
});

it('notices every changed byte', () => {
  const base = new MemoryStorage();
  put(new EncryptedStorage(base, { key }), ROOT_OID, secret);
  const sealed = Buffer.from(base.load(ROOT_OID).data);
  for (let at = 0; at < sealed.length; at++) {
    const forged = Buffer.from(sealed);
    forged[at]! ^= 1;
    expect(codeOf(() => forgery(base, forged, ROOT_OID).load(ROOT_OID))).toMatch(
      /^(NOT_|WRONG_KEY|CORRUPTION)/,
    );
  }
});

it('notices a record in the place of another one, and an old revision in that of a new one', () => {
  const base = new MemoryStorage();
  const storage = new EncryptedStorage(base, { key });
  put(storage, ROOT_OID, secret);
  const sealed = Buffer.from(base.load(ROOT_OID).data);
  expect(codeOf(() => forgery(base, sealed, 1 as Oid).load(1 as Oid))).toBe('NOT_AUTHENTIC');
  expect(codeOf(() => forgery(base, sealed, ROOT_OID).load(ROOT_OID))).toBe('NOT_AUTHENTIC');
});

it('notices a blob that was cut, changed or exchanged', () => {
  const base = new MemoryStorage();
  const storage = new EncryptedStorage(base, { key });
  const content = Buffer.alloc(200_000, 'blob content ');
  const tid = commit(storage, (txn) => storage.storeBlob!(1 as Oid, ZERO_TID, blobRecord, content, txn));
  const reader = base.openBlob(1 as Oid, tid);
  const sealed = Buffer.alloc(reader.size);
  reader.read(sealed, 0, sealed.length, 0);
  const cutAtChunk = sealed.subarray(0, 35 + 2 * (65_536 + 16));
  const changed = Buffer.from(sealed);
  changed[100_000]! ^= 1;
  for (const forged of [cutAtChunk, sealed.subarray(0, 1000), changed, sealed]) {
    const raw = (txn: Parameters<NonNullable<Storage['storeBlob']>>[4]): void =>
      base.storeBlob(1 as Oid, serialOf(base, 1 as Oid), Buffer.from('any record'), forged, txn);
    const at = commit(base, raw);
    expect(codeOf(() => readAll(storage, 1 as Oid, at))).toBe('NOT_AUTHENTIC');
  }
  expect(readAll(storage, 1 as Oid, tid).equals(content)).toBe(true);
});

/** The storage after somebody wrote these bytes into it. */
function forgery(base: MemoryStorage, bytes: Uint8Array, oid: Oid): EncryptedStorage {
  put(base, oid, bytes);
  return new EncryptedStorage(base, { key });
}

function readAll(storage: Storage, oid: Oid, tid: Tid): Buffer {
  const reader = storage.openBlob!(oid, tid);
  const bytes = Buffer.alloc(reader.size);
  reader.read(bytes, 0, bytes.length, 0);
  return bytes;
}
