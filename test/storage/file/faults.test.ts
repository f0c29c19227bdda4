import * as fc from 'fast-check';
import * as fs from 'node:fs';
import { ZodbError } from '../../../src/errors';
import { ROOT_OID, ZERO_TID, type Oid, type Tid } from '../../../src/ids';
import { FileStorage, runSteps, TransactionMetaData } from '../../../src/storage';
import { commit, put, serialOf } from './commits';
import { TemporaryDirectory } from './directory';
import { FaultySystem, ForgetfulSystem } from './faulty-system';
import { open, tidsOf } from './open';
import { mappingRecord } from './records';

const directory = new TemporaryDirectory();
afterAll(() => directory.remove());
const soak = Number(process.env.ZODB_SOAK ?? 1);

function expectWhole(storage: FileStorage): void {
  expect(runSteps(storage.check()).problems).toEqual([]);
}

describe('a file that was cut', () => {
  it('holds exactly the transactions before the cut one, at every byte of it', () => {
    const file = directory.file();
    const storage = open(file);
    const tids = [put(storage, ROOT_OID, mappingRecord('one')), put(storage, ROOT_OID, mappingRecord('two'))];
    const start = storage.size();
    tids.push(
      commit(storage, (txn) => {
        storage.store(ROOT_OID, serialOf(storage, ROOT_OID), mappingRecord('three', [1 as Oid]), txn);
        storage.store(1 as Oid, ZERO_TID, mappingRecord('new'), txn);
      }),
    );
    storage.close();
    const whole = fs.readFileSync(file);
    fs.rmSync(`${file}.index`);
    for (let length = start; length <= whole.length; length++) {
      fs.writeFileSync(file, whole.subarray(0, length));
      const expected = length === whole.length ? tids : tids.slice(0, 2);
      const reading = open(file, { readOnly: true });
      expect(tidsOf(reading)).toEqual(expected);
      expect(reading.lastTransaction()).toBe(expected.at(-1));
      reading.close();
      if (length % 41 !== 0 && length < whole.length - 1) continue;
      const again = open(file);
      expect(tidsOf(again)).toEqual(expected);
      const cut = length - start;
      if (length < whole.length && cut >= 23) {
        expect(fs.readFileSync(again.savedTail!).equals(whole.subarray(start, length))).toBe(true);
      } else {
        expect(again.savedTail).toBeUndefined();
      }
      const next = put(again, 2 as Oid, mappingRecord('goes on'));
      expect(tidsOf(again)).toEqual([...expected, next]);
      again.close();
      fs.rmSync(`${file}.index`);
    }
  });
});

describe('a disk that fails', () => {
  /** Commits until an error; what was acknowledged, and what may be there besides. */
  function work(file: string, system: FaultySystem): { acknowledged: Tid[]; error: unknown } {
    const acknowledged: Tid[] = [];
    let storage: FileStorage | undefined;
    try {
      storage = open(file, { fileSystem: system });
      for (let i = 0; i < 4; i++) {
        acknowledged.push(
          put(storage, ROOT_OID, mappingRecord(`text ${i} `.repeat(40), i > 1 ? [1 as Oid] : [])),
        );
        if (i === 1) acknowledged.push(put(storage, 1 as Oid, mappingRecord('one')));
      }
      runSteps(storage.pack());
      acknowledged.push(put(storage, 1 as Oid, mappingRecord('after the pack')));
      storage.close();
      return { acknowledged, error: undefined };
    } catch (error) {
      try {
        storage?.close();
      } catch {
        // Its error is not the first one.
      }
      return { acknowledged, error };
    }
  }

  it.each(['EIO', 'ENOSPC'])('loses nothing that was acknowledged, whichever call fails: %s', (code) => {
    for (let failAt = 0; ; failAt += soak >= 1 && process.env.ZODB_SOAK ? 1 : 2) {
      const file = directory.file();
      fs.writeFileSync(file, 'FS30');
      const system = new FaultySystem(failAt, { code, forGood: failAt % 3 === 0 });
      const { acknowledged } = work(file, system);
      if (system.failed === 0) break;
      const storage = open(file);
      const found = new Set(tidsOf(storage));
      // A pack takes superseded transactions; the newest revision of each object must be there.
      const last = acknowledged.at(-1);
      if (last !== undefined) expect(found.has(last)).toBe(true);
      expect(storage.lastTransaction() >= (last ?? ZERO_TID)).toBe(true);
      expectWhole(storage);
      put(storage, 5 as Oid, mappingRecord('goes on'));
      storage.close();
    }
  });

  it('goes on after a failed vote as if nothing had happened', () => {
    const file = directory.file();
    const first = open(file);
    const tid = put(first, ROOT_OID, mappingRecord('kept'));
    first.close();
    for (let failAt = 1; failAt < 20; failAt++) {
      const system = new FaultySystem(1e9);
      const storage = open(file, { fileSystem: system });
      const before = fs.statSync(file).size;
      const txn = new TransactionMetaData();
      storage.tpcBegin(txn);
      storage.store(ROOT_OID, tid, mappingRecord('lost'), txn);
      const broken = new FaultySystem(failAt, { code: 'ENOSPC' });
      Object.assign(system, {
        write: broken.write.bind(broken),
        sync: broken.sync.bind(broken),
      });
      let failed = false;
      try {
        storage.tpcVote(txn);
      } catch (error) {
        failed = true;
        expect((error as ZodbError).code).toBe('WRITE_FAILED');
      }
      storage.tpcAbort(txn);
      expect(fs.statSync(file).size).toBe(before);
      expect(storage.load(ROOT_OID).serial).toBe(tid);
      storage.close();
      if (!failed) break;
    }
  });

  it('closes the storage when the last byte of a commit could not be written', () => {
    const file = directory.file();
    const system = new FaultySystem(1e9);
    const storage = open(file, { fileSystem: system });
    put(storage, ROOT_OID, mappingRecord('kept'));
    const txn = new TransactionMetaData();
    storage.tpcBegin(txn);
    storage.store(1 as Oid, ZERO_TID, mappingRecord('unsure'), txn);
    storage.tpcVote(txn);
    system.write = () => {
      throw new Error('EIO');
    };
    expect(() => storage.tpcFinish(txn)).toThrow(/not known whether it is stored/);
    expect(() => storage.load(ROOT_OID)).toThrow(expect.objectContaining({ code: 'CLOSED' }));
    const again = open(file);
    expect(again.objectCount()).toBe(1);
    again.close();
  });
});

describe('a disk that forgets what was not synced', () => {
  it('keeps all that was acknowledged, and all or nothing of what was not', () => {
    const sectors = fc.array(fc.boolean(), { minLength: 40, maxLength: 40 });
    const stopAt = fc.constantFrom('voting', 'voted', 'finished');
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), sectors, stopAt, (count, kept, stop) => {
        const file = directory.file();
        const system = new ForgetfulSystem();
        const storage = open(file, { fileSystem: system });
        const acknowledged: Tid[] = [];
        for (let i = 0; i < count; i++)
          acknowledged.push(put(storage, i as Oid, mappingRecord('x'.repeat(300 * i))));
        const txn = new TransactionMetaData();
        storage.tpcBegin(txn);
        storage.store(99 as Oid, ZERO_TID, mappingRecord('y'.repeat(3000)), txn);
        if (stop !== 'voting') storage.tpcVote(txn);
        if (stop === 'finished') acknowledged.push(storage.tpcFinish(txn));
        const left = system.crash(file, (sector) => kept[(sector + 1) % kept.length]!);
        storage.tpcAbort(txn);
        storage.close();
        fs.rmSync(`${file}.index`, { force: true });
        fs.writeFileSync(file, left);
        const again = open(file, { readOnly: true });
        expect(tidsOf(again)).toEqual(acknowledged);
        expectWhole(again);
        again.close();
      }),
      { numRuns: Math.ceil(40 * soak) },
    );
  });
});
