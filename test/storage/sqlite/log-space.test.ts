import { closeSync, copyFileSync, existsSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ZERO_TID, type Oid } from '../../../src/ids';
import { runSteps, SqliteStorage, TransactionMetaData } from '../../../src/storage';
import { LogSpace } from '../../../src/storage/sqlite/log-space';
import { Harness } from '../../../src/testing/harness';
import { temporaryDirectory } from './temporary';

const directory = temporaryDirectory();
const file = (): string => join(directory(), 'test.sqlite');
const FRAME = 4_120;

/** Commits one object so often; the sizes that the file of the log had. */
function commitMany(h: Harness, oid: Oid, commits: number): Set<number> {
  const instance = h.storage.newInstance();
  const sizes = new Set<number>();
  let serial = ZERO_TID;
  for (let count = 1; count <= commits; count++) {
    instance.poll();
    serial = h.commit([{ oid, serial, text: `count:${count}` }], new TransactionMetaData(), instance);
    sizes.add(statSync(`${file()}-wal`).size);
  }
  return sizes;
}

test('few commits lengthen the log; a copy of it with the zeros at its end has all of them', () => {
  const h = new Harness(new SqliteStorage(file()));
  const oid = h.storage.newOid();
  const sizes = commitMany(h, oid, 250);
  expect(sizes.size).toBeLessThan(15);
  const log = readFileSync(`${file()}-wal`);
  expect(log.subarray(-FRAME)).toEqual(Buffer.alloc(FRAME));
  expect(log.length).toBeLessThan(250 * 4 * FRAME + 1_000_000);
  const copy = join(directory(), 'copy.sqlite');
  copyFileSync(file(), copy);
  copyFileSync(`${file()}-wal`, `${copy}-wal`);
  h.storage.close();
  expect(existsSync(`${file()}-wal`)).toBe(false);
  const copied = new Harness(new SqliteStorage(copy));
  expect(copied.text(oid)).toBe('count:250');
  expect(copied.storage.history!(oid, 1_000)).toHaveLength(250);
  expect(runSteps(copied.storage.check!()).problems).toEqual([]);
  copied.storage.close();
});

test.each([
  ['short', { walLimit: 250_000 }, 250_000 + 10 * FRAME],
  ['unsynced', { durability: 'normal' }, 100 * 4 * FRAME],
] as const)('a log that is to stay %s is not lengthened', (_, options, most) => {
  const h = new Harness(new SqliteStorage(file(), options));
  const sizes = commitMany(h, h.storage.newOid(), 100);
  expect(Math.max(...sizes)).toBeLessThan(most);
  expect(sizes.size).toBeGreaterThan(10);
  h.storage.close();
});

test('room is made once, by the next commit, and only when there is little', () => {
  const path = join(directory(), 'log');
  const file = openSync(path, 'w');
  writeSync(file, Buffer.alloc(10 * FRAME, 1));
  closeSync(file);
  const space = new LogSpace(path, 1_000_000);
  space.provide();
  expect(space.look(10)).toBeGreaterThan(5);
  expect(statSync(path).size).toBe(10 * FRAME);
  space.provide();
  space.provide();
  expect(statSync(path).size).toBe(10 * FRAME + 524_288);
  expect(space.look(10)).toBeGreaterThan(5);
  space.provide();
  expect(statSync(path).size).toBe(10 * FRAME + 524_288);
  expect(readFileSync(path).subarray(0, 10 * FRAME)).toEqual(Buffer.alloc(10 * FRAME, 1));
  space.close();
});

test('without access to the log commits go on as they are', () => {
  const space = new LogSpace(join(directory(), 'missing'), 1_000_000);
  expect(space.look(10)).toBeGreaterThan(200);
  space.provide();
  space.close();
  expect(existsSync(join(directory(), 'missing'))).toBe(false);
});
