import { restoreFs, withFaults, type FaultPlan } from '../file/faulty-fs';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { ZodbError } from '../../../src/errors';
import { ROOT_OID, type Oid } from '../../../src/ids';
import {
  backupStorage,
  FileStorage,
  MemoryStorage,
  restoreBackup,
  runSteps,
  verifyBackup,
  type Storage,
} from '../../../src/storage';
import { withoutGarbage } from '../../garbage';
import { commit, put, serialOf } from '../file/commits';
import { TemporaryDirectory } from '../file/directory';
import { blobRecord, mappingRecord, plainHost } from '../file/records';

const directory = new TemporaryDirectory();
afterAll(() => {
  restoreFs();
  directory.remove();
});
/** Of the calls that could fail: a prime, so that all kinds of them do. */
const stride = process.env.ZODB_SOAK === undefined ? 19 : 1;

const kinds: [name: string, open: () => Storage][] = [
  ['File', () => new FileStorage(directory.file())],
  ['Memory', () => new MemoryStorage()],
];
const plans: [name: string, plan: Omit<FaultPlan, 'failAt'>][] = [
  ['fails with EIO', { code: 'EIO', crash: false }],
  ['finds the disk full', { code: 'ENOSPC', crash: false }],
  ['is the last one before the process dies', { code: 'EIO', crash: true }],
];

function fill(storage: Storage, name: string): void {
  put(storage, ROOT_OID, mappingRecord(`${name} `.repeat(200), [1 as Oid]));
  commit(storage, (txn) =>
    storage.storeBlob!(1 as Oid, serialOf(storage, 1 as Oid), blobRecord, Buffer.from(name.repeat(99)), txn),
  );
}

/** What a restore of the last backup has: tids, and the content of the blob. */
function restored(repository: string): { tids: bigint[]; blob: string } {
  const target = directory.file();
  runSteps(restoreBackup(repository, target));
  const storage = new FileStorage(target, { readOnly: true });
  const { serial } = storage.load(1 as Oid);
  const blob = fs.readFileSync(storage.blobPath(1 as Oid, serial), 'utf8');
  const tids = Array.from(storage.iterate(), ({ tid }) => tid);
  storage.close();
  return { tids, blob };
}

describe.each(kinds)('a repository of %s', (_, open) => {
  it.each(plans)('keeps every backup, whichever call of the next one %s', (_name, faults) => {
    const storage = open();
    storage.registerDB(plainHost);
    fill(storage, 'first');
    const clean = path.join(path.dirname(directory.file()), 'clean');
    runSteps(backupStorage(storage, clean));
    const before = restored(clean);
    fill(storage, 'second');
    for (const gzip of [false, true]) {
      for (let failAt = 0; ; failAt += stride) {
        const repository = path.join(path.dirname(directory.file()), 'backups');
        fs.cpSync(clean, repository, { recursive: true });
        const { failed, error } = withFaults({ ...faults, failAt, matches: /backups/ }, () =>
          runSteps(backupStorage(storage, repository, { gzip })),
        );
        if (error !== undefined && !faults.crash) expect(error).toBeInstanceOf(ZodbError);
        const after = restored(repository);
        const isThere = after.tids.length > before.tids.length;
        expect(after.blob).toBe((isThere ? 'second' : 'first').repeat(99));
        if (failed === 0) {
          expect([error, isThere]).toEqual([undefined, true]);
          break;
        }
        if (!faults.crash) expect(runSteps(verifyBackup(repository)).problems).toEqual([]);
        runSteps(backupStorage(storage, repository));
        expect(runSteps(verifyBackup(repository)).problems).toEqual([]);
        expect(restored(repository).blob).toBe('second'.repeat(99));
      }
    }
    storage.close();
  });
});

it.each(plans)('a restore is whole or not there, whichever call %s', (_, faults) => {
  const storage = new FileStorage(directory.file());
  storage.registerDB(plainHost);
  fill(storage, 'first');
  const repository = path.join(path.dirname(directory.file()), 'backups');
  runSteps(backupStorage(storage, repository));
  fill(storage, 'second');
  runSteps(backupStorage(storage, repository));
  for (let failAt = 0; ; failAt += Math.ceil(stride / 4)) {
    const target = directory.file('restored.fs');
    const { failed, result, error } = withFaults({ ...faults, failAt, matches: /backups|restored/ }, () =>
      runSteps(restoreBackup(repository, target)),
    );
    if (error !== undefined && !faults.crash) expect(error).toBeInstanceOf(ZodbError);
    if (fs.existsSync(target)) {
      const again = new FileStorage(target);
      expect(again.lastTransaction()).toBe(storage.lastTransaction());
      expect(runSteps(again.check()).problems).toEqual([]);
      again.close();
    } else if (!faults.crash) {
      expect(fs.readdirSync(path.dirname(target))).toEqual([]);
    }
    if (failed === 0) {
      expect(result?.blobs).toBe(2);
      break;
    }
    fs.rmSync(path.dirname(target), { recursive: true });
  }
  storage.close();
});

it('unpacks a backup of any size with little memory, also one that Python made', () => {
  const storage = new FileStorage(directory.file(), { durability: 'normal' });
  storage.registerDB(plainHost);
  for (let i = 0; i < 12; i++) put(storage, ROOT_OID, mappingRecord(`${i} ${'long '.repeat(1_000_000)}`));
  const repository = path.join(path.dirname(directory.file()), 'backups');
  runSteps(backupStorage(storage, repository, { gzip: true }));
  const limit = fs.statSync(storage.name).size * 0.7;
  const before = process.memoryUsage().arrayBuffers;
  let peak = 0;
  const target = directory.file();
  const steps = restoreBackup(repository, target);
  for (let step = steps.next(); !step.done; step = steps.next())
    peak = Math.max(
      peak,
      withoutGarbage(limit, () => process.memoryUsage().arrayBuffers - before),
    );
  expect(fs.readFileSync(target).equals(fs.readFileSync(storage.name))).toBe(true);
  expect(peak).toBeLessThan(limit);
  const [file] = fs.readdirSync(repository).filter((name) => name.endsWith('.fsz'));
  const whole = fs.readFileSync(path.join(repository, file!));
  for (const content of [whole.subarray(0, -9), whole.subarray(40), Buffer.alloc(0)]) {
    fs.writeFileSync(path.join(repository, file!), content);
    expect(() => runSteps(restoreBackup(repository, directory.file()))).toThrow(
      expect.objectContaining({ code: 'BACKUP_DAMAGED' }),
    );
    expect(runSteps(verifyBackup(repository)).problems.length).toBe(1);
  }
  storage.close();
});
