import * as fs from 'node:fs';
import * as path from 'node:path';
import { InvalidArgumentError } from '../../../src/errors';
import { ROOT_OID, type Oid, type Tid } from '../../../src/ids';
import {
  backupStorage,
  copyTransactions,
  FileStorage,
  restoreBackup,
  runSteps,
  SqliteStorage,
  verifyBackup,
  type BackupOptions,
  type Storage,
} from '../../../src/storage';
import { momentBetween } from '../../moments';
import { commit, put, serialOf } from '../file/commits';
import { TemporaryDirectory } from '../file/directory';
import { blobRecord, mappingRecord, plainHost } from '../file/records';

const directory = new TemporaryDirectory();
afterAll(() => directory.remove());

/** Everything a storage has, as text that can be compared. */
function contentOf(storage: Storage): unknown {
  return Array.from(storage.iterate!(), (transaction) => ({
    tid: transaction.tid,
    description: transaction.meta.description,
    records: Array.from(transaction.records(), ({ oid, data }) => [
      oid,
      data && Buffer.from(data).toString('latin1'),
    ]),
  }));
}

function putBlob(storage: Storage, oid: Oid, text: string): Tid {
  return commit(storage, (txn) =>
    storage.storeBlob!(oid, serialOf(storage, oid), blobRecord, Buffer.from(text), txn),
  );
}

function blobOf(storage: Storage, oid: Oid): string {
  const reader = storage.openBlob!(oid, storage.load(oid).serial);
  const bytes = Buffer.alloc(reader.size);
  reader.read(bytes, 0, bytes.length, 0);
  reader.close();
  return bytes.toString();
}

const kinds: [name: string, open: () => Storage][] = [
  ['File', () => new FileStorage(directory.file())],
  ['SQLite', () => new SqliteStorage(directory.file('data.sqlite'))],
];

describe.each(kinds)('%s', (_, open) => {
  it.each([false, true])('is backed up in increments and restored, blobs included (gzip: %s)', (gzip) => {
    const repository = path.dirname(directory.file('x'));
    const options: BackupOptions = { gzip };
    const storage = open();
    storage.registerDB(plainHost);
    put(storage, ROOT_OID, mappingRecord('root', [1 as Oid]), 'one');
    putBlob(storage, 1 as Oid, 'first picture');
    const first = runSteps(backupStorage(storage, repository, options));
    expect([first.kind, first.blobs]).toEqual(['full', 1]);
    expect(runSteps(backupStorage(storage, repository, options)).kind).toBe('nothing new');
    put(storage, ROOT_OID, mappingRecord('root again', [1 as Oid, 2 as Oid]), 'two');
    put(storage, 2 as Oid, mappingRecord('two'));
    const second = runSteps(backupStorage(storage, repository, options));
    expect([second.kind, second.blobs]).toEqual(['increment', 0]);
    putBlob(storage, 1 as Oid, 'second picture');
    expect(runSteps(backupStorage(storage, repository, { ...options, quick: true })).kind).toBe('increment');
    expect(runSteps(verifyBackup(repository)).problems).toEqual([]);

    const target = directory.file();
    const outcome = runSteps(restoreBackup(repository, target));
    expect([outcome.from.length, outcome.blobs]).toEqual([3, 2]);
    const restored = new FileStorage(target, { onWarning: (warning) => expect(warning.message).toBe('') });
    restored.registerDB(plainHost);
    expect(contentOf(restored)).toEqual(contentOf(storage));
    expect(blobOf(restored, 1 as Oid)).toBe('second picture');
    expect(runSteps(restored.check()).problems).toEqual([]);
    // The history is whole, too.
    expect(restored.history(ROOT_OID, 10).map(({ tid }) => tid)).toEqual(
      storage.history!(ROOT_OID, 10).map(({ tid }) => tid),
    );

    const back = new SqliteStorage(directory.file('back.sqlite'));
    runSteps(copyTransactions(restored, back));
    expect(contentOf(back)).toEqual(contentOf(storage));
    expect(blobOf(back, 1 as Oid)).toBe('second picture');
    for (const each of [storage, restored, back]) each.close();
  });

  it('is restored as it was at any moment', () => {
    const repository = path.dirname(directory.file('x'));
    const storage = open();
    const tids: Tid[] = [];
    const moments: Date[] = [];
    for (let i = 0; i < 9; i++) {
      tids.push(put(storage, ROOT_OID, mappingRecord(`state ${i}`)));
      moments.push(momentBetween());
      if (i % 3 === 2) runSteps(backupStorage(storage, repository));
    }
    for (const [place, tid] of tids.entries()) {
      const target = directory.file();
      const outcome = runSteps(restoreBackup(repository, target, { time: moments[place]!.getTime() }));
      expect(outcome.lastTransaction).toBe(tid);
      const restored = new FileStorage(target);
      expect(Buffer.from(restored.load(ROOT_OID).data)).toEqual(mappingRecord(`state ${place}`));
      restored.close();
    }
    storage.close();
  });
});

it('begins a whole backup after a pack, and can remove what was before it', () => {
  const repository = path.dirname(directory.file('x'));
  const storage = new FileStorage(directory.file());
  storage.registerDB(plainHost);
  for (let i = 0; i < 5; i++) put(storage, ROOT_OID, mappingRecord(`state ${i}`));
  expect(runSteps(backupStorage(storage, repository)).kind).toBe('full');
  runSteps(storage.pack());
  expect(runSteps(backupStorage(storage, repository)).kind).toBe('full');
  put(storage, ROOT_OID, mappingRecord('newer'));
  expect(runSteps(backupStorage(storage, repository, { full: true, removeOld: true })).kind).toBe('full');
  expect(fs.readdirSync(repository).filter((name) => name.endsWith('.fs')).length).toBe(1);
  const target = directory.file();
  runSteps(restoreBackup(repository, target));
  expect(fs.readFileSync(target).equals(fs.readFileSync(storage.name))).toBe(true);
  expect(() => runSteps(restoreBackup(repository, target))).toThrow(InvalidArgumentError);
  storage.close();
});

it('backs up and restores what there is when a blob was lost, and says so', () => {
  const repository = path.dirname(directory.file('x'));
  const storage = new FileStorage(directory.file());
  storage.registerDB(plainHost);
  const lost = putBlob(storage, 1 as Oid, 'lost');
  putBlob(storage, 2 as Oid, 'kept');
  fs.rmSync(storage.blobPath(1 as Oid, lost));
  expect(runSteps(backupStorage(storage, repository))).toMatchObject({ blobs: 1, missingBlobs: 1 });
  const target = directory.file();
  expect(runSteps(restoreBackup(repository, target))).toMatchObject({ blobs: 1, missingBlobs: 1 });
  const restored = new FileStorage(target);
  expect(blobOf(restored, 2 as Oid)).toBe('kept');
  expect(runSteps(restored.check()).problems).toEqual([expect.stringContaining(`${target}.blobs`) as string]);
  restored.close();
  storage.close();
});

it('finds damage and missing files, and restores nothing from them', () => {
  const repository = path.dirname(directory.file('x'));
  const storage = new FileStorage(directory.file());
  for (let i = 0; i < 3; i++) {
    put(storage, ROOT_OID, mappingRecord(`state ${i}`));
    runSteps(backupStorage(storage, repository));
  }
  storage.close();
  const [delta] = fs.readdirSync(repository).filter((name) => name.endsWith('.deltafs'));
  const file = path.join(repository, delta!);
  const whole = fs.readFileSync(file);
  const damaged = Buffer.from(whole);
  damaged[20]! ^= 1;
  const target = directory.file();
  for (const content of [damaged, whole.subarray(1), undefined]) {
    if (content === undefined) fs.rmSync(file);
    else fs.writeFileSync(file, content);
    expect(runSteps(verifyBackup(repository)).problems.length).toBeGreaterThan(0);
    expect(() => runSteps(restoreBackup(repository, target))).toThrow(
      expect.objectContaining({ code: 'BACKUP_DAMAGED' }),
    );
    expect(fs.existsSync(target)).toBe(false);
  }
});
