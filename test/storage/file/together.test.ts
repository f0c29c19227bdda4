/** Commits that become durable together: one order on the disk, all or none told of, whatever fails. */
import * as fc from 'fast-check';
import * as fs from 'node:fs';
import { ROOT_OID, ZERO_TID, type Oid, type Tid } from '../../../src/ids';
import { FileStorage, runSteps } from '../../../src/storage';
import { put, serialOf } from './commits';
import { TemporaryDirectory } from './directory';
import { FaultySystem, ForgetfulSystem } from './faulty-system';
import { open, tidsOf } from './open';
import { mappingRecord } from './records';

const directory = new TemporaryDirectory();
afterAll(() => directory.remove());
const soak = Number(process.env.ZODB_SOAK ?? 1);

/** Commits to several objects together; the tids. */
function putAll(storage: FileStorage, oids: readonly Oid[], text: string): Tid[] {
  const tids: Tid[] = [];
  storage.commitTogether(() => {
    for (const oid of oids) tids.push(put(storage, oid, mappingRecord(text.repeat(oid + 1))));
  });
  return tids;
}

const OIDS = [0, 1, 2, 3, 4] as Oid[];

describe.each([
  ['full', 2],
  ['normal', 1],
] as const)('commits together, durability %s', (durability, syncs) => {
  it(`take ${syncs} syncs, and are there when the file is opened again`, () => {
    const file = directory.file();
    const system = new FaultySystem(1e9);
    const storage = open(file, { fileSystem: system, durability });
    const first = put(storage, ROOT_OID, mappingRecord('first'));
    const sync = jest.spyOn(system, 'sync');
    const tids = putAll(storage, OIDS, 'text');
    expect(sync).toHaveBeenCalledTimes(syncs);
    // One by one again.
    const last = put(storage, ROOT_OID, mappingRecord('last'));
    expect(sync).toHaveBeenCalledTimes(syncs * 2);
    storage.close();
    fs.rmSync(`${file}.index`);
    const again = open(file);
    expect(tidsOf(again)).toEqual([first, ...tids, last]);
    expect(runSteps(again.check()).problems).toEqual([]);
    again.close();
  });

  it('see each other, and one that is refused leaves the others', () => {
    const storage = open(directory.file(), { durability });
    const tids: Tid[] = [];
    storage.commitTogether(() => {
      tids.push(put(storage, ROOT_OID, mappingRecord('one')));
      tids.push(put(storage, ROOT_OID, mappingRecord('two')));
      expect(() => put(storage, ROOT_OID, Buffer.alloc(0))).toThrow();
      tids.push(put(storage, 1 as Oid, mappingRecord('three')));
    });
    expect(tidsOf(storage)).toEqual(tids);
    expect(serialOf(storage, ROOT_OID)).toBe(tids[1]);
    storage.close();
  });

  it('are all in doubt when the sync fails, and the storage is closed', () => {
    const file = directory.file();
    const system = new FaultySystem(1e9);
    const storage = open(file, { fileSystem: system, durability });
    const kept = put(storage, ROOT_OID, mappingRecord('kept'));
    system.sync = () => {
      throw new Error('EIO');
    };
    expect(() => putAll(storage, OIDS, 'x')).toThrow(expect.objectContaining({ code: 'FINISH_FAILED' }));
    expect(() => storage.load(ROOT_OID)).toThrow(expect.objectContaining({ code: 'CLOSED' }));
    const again = open(file);
    expect(tidsOf(again)[0]).toBe(kept);
    expect(runSteps(again.check()).problems).toEqual([]);
    again.close();
  });
});

it('a disk that forgets what was not synced keeps all that was told of, and a beginning of what was not', () => {
  const sectors = fc.array(fc.boolean(), { minLength: 40, maxLength: 40 });
  fc.assert(
    fc.property(
      sectors,
      fc.integer({ min: 1, max: 3 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (kept, stop, share) => {
        const file = directory.file();
        const system = new ForgetfulSystem();
        const storage = open(file, { fileSystem: system });
        const told = putAll(storage, OIDS, 'told');
        const synced = fs.statSync(file).size;
        const written = (): number => fs.statSync(file).size;
        const tids: Tid[] = [];
        let left: Buffer = Buffer.alloc(0);
        // The power goes before the first sync, before the second, or after it.
        let calls = 0;
        const crash = (): void => {
          // What was never synced grew at the end: some of that growth is there. What was, lacks some of the marks.
          if (stop === 1)
            left = fs.readFileSync(file).subarray(0, synced + Math.floor((written() - synced) * share));
          else left = system.crash(file, (sector) => kept[(sector + 1) % kept.length]!);
        };
        const { sync } = system;
        system.sync = (fd) => {
          if (++calls === stop) crash();
          sync.call(system, fd);
        };
        storage.commitTogether(() => {
          for (const oid of OIDS) {
            const text = 'lost, perhaps '.repeat(50);
            tids.push(put(storage, oid, mappingRecord(text)));
          }
        });
        if (left.length === 0) crash();
        storage.close();
        fs.rmSync(`${file}.index`, { force: true });
        fs.writeFileSync(file, left);
        const again = open(file);
        const found = tidsOf(again);
        expect(found.slice(0, told.length)).toEqual(told);
        expect(found.slice(told.length)).toEqual(tids.slice(0, found.length - told.length));
        if (stop > 2) expect(found).toEqual([...told, ...tids]);
        expect(runSteps(again.check()).problems).toEqual([]);
        const next = put(again, 9 as Oid, mappingRecord('goes on'));
        expect(tidsOf(again)).toEqual([...found, next]);
        again.close();
      },
    ),
    { numRuns: Math.ceil(60 * soak) },
  );
});

it('only its storage is waited for: what comes after is durable by itself', () => {
  const system = new ForgetfulSystem();
  const file = directory.file();
  const storage = open(file, { fileSystem: system });
  expect(() =>
    storage.commitTogether(() => {
      put(storage, ROOT_OID, mappingRecord('one'));
      throw new Error('of the work');
    }),
  ).toThrow('of the work');
  const second = put(storage, 1 as Oid, mappingRecord('two'));
  const left = system.crash(file, () => false);
  storage.close();
  fs.rmSync(`${file}.index`, { force: true });
  fs.writeFileSync(file, left);
  const again = open(file);
  expect(again.load(ROOT_OID).serial).not.toBe(ZERO_TID);
  expect(again.lastTransaction()).toBe(second);
  again.close();
});
