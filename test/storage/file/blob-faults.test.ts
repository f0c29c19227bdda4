import { restoreFs, withFaults, type FaultPlan } from './faulty-fs';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { ZodbError } from '../../../src/errors';
import { ROOT_OID, type Oid, type Tid } from '../../../src/ids';
import { FileStorage, runSteps } from '../../../src/storage';
import { commit, put, serialOf, undo } from './commits';
import { TemporaryDirectory } from './directory';
import { blobRecord, mappingRecord, plainHost } from './records';

const directory = new TemporaryDirectory();
afterAll(() => {
  restoreFs();
  directory.remove();
});
const soak = process.env.ZODB_SOAK !== undefined;

function open(file: string): FileStorage {
  const storage = new FileStorage(file, { onWarning: () => undefined });
  storage.registerDB(plainHost);
  return storage;
}

function putBlob(storage: FileStorage, oid: Oid, content: Buffer | string): Tid {
  const source = typeof content === 'string' ? { path: content, consume: true } : content;
  return commit(storage, (txn) => storage.storeBlob(oid, serialOf(storage, oid), blobRecord, source, txn));
}

function contentOf(storage: FileStorage, oid: Oid): string {
  return fs.readFileSync(storage.blobPath(oid, storage.load(oid).serial), 'utf8');
}

/** What was acknowledged: the content of each blob. */
type Acknowledged = Map<Oid, string>;
const ONE = 1 as Oid;
const TWO = 2 as Oid;
const text = (name: string): string => `${name} `.repeat(300);

/** Commits, undoes and packs until something fails. Each entry says what must be there, or may be. */
function work(file: string, log: Acknowledged[]): void {
  const storage = open(file);
  const step = (oid: Oid, content: string, change: () => void): void => {
    const before = log.at(-1)!;
    // Until it is acknowledged it may be there or not.
    log.push(new Map(before).set(oid, content));
    change();
    log.splice(0, log.length - 1);
  };
  try {
    step(ONE, text('first'), () => putBlob(storage, ONE, Buffer.from(text('first'))));
    const upload = path.join(path.dirname(file), 'upload');
    fs.writeFileSync(upload, text('taken over'));
    step(TWO, text('taken over'), () => putBlob(storage, TWO, upload));
    put(storage, ROOT_OID, mappingRecord('root', [ONE, TWO]));
    let second!: Tid;
    step(ONE, text('second'), () => (second = putBlob(storage, ONE, Buffer.from(text('second')))));
    step(ONE, text('first'), () => undo(storage, second));
    runSteps(storage.pack());
    step(TWO, text('after'), () => putBlob(storage, TWO, Buffer.from(text('after'))));
  } finally {
    storage.close();
  }
}

function expectSound(file: string, log: readonly Acknowledged[]): void {
  const storage = open(file);
  try {
    const found: Acknowledged = new Map();
    for (const oid of [ONE, TWO]) if (serialOf(storage, oid) !== 0n) found.set(oid, contentOf(storage, oid));
    expect(log.map((each) => [...each].sort())).toContainEqual([...found].sort());
    expect(runSteps(storage.check()).problems).toEqual([]);
    const blobs = `${file}.blobs`;
    if (!fs.existsSync(blobs)) return;
    // What this process works on, it is thought to work on still.
    const own = `-${process.pid}-`;
    expect(fs.readdirSync(path.join(blobs, 'tmp')).filter((name) => !name.includes(own))).toEqual([]);
    // No file that belongs to no revision.
    const revisions = Array.from(
      storage.iterate(),
      ({ tid }) => `0x${tid.toString(16).padStart(16, '0')}.blob`,
    );
    const files = fs.readdirSync(blobs, { recursive: true, encoding: 'utf8' });
    const names = files.filter((name) => name.endsWith('.blob')).map((name) => path.basename(name));
    expect(names.filter((name) => !revisions.includes(name))).toEqual([]);
    putBlob(storage, ONE, Buffer.from('goes on'));
    expect(contentOf(storage, ONE)).toBe('goes on');
  } finally {
    storage.close();
  }
}

function isFromOpening(error: unknown): boolean {
  return /new FileStorage|\bopen \(/.test((error as Error).stack ?? '');
}

const plans: [name: string, plan: Omit<FaultPlan, 'failAt'>][] = [
  ['fails with EIO', { code: 'EIO', crash: false }],
  ['finds the disk full', { code: 'ENOSPC', crash: false }],
  ['is the last one before the process dies', { code: 'EIO', crash: true }],
];

it.each(plans)('no blob is lost or left behind, whichever call %s', (_, faults) => {
  let runs = 0;
  for (let failAt = 0; ; failAt += soak ? 1 : 13) {
    const file = directory.file();
    fs.writeFileSync(file, 'FS30');
    const log: Acknowledged[] = [new Map()];
    const { failed, error } = withFaults({ ...faults, failAt, matches: new RegExp(path.dirname(file)) }, () =>
      work(file, log),
    );
    if (failed === 0) {
      expect(error).toBeUndefined();
      break;
    }
    runs++;
    // Whatever fails once a storage is open, the error says what came of it.
    if (!faults.crash && error !== undefined && !isFromOpening(error)) {
      expect(error).toBeInstanceOf(ZodbError);
    }
    try {
      expectSound(file, log);
    } catch (problem) {
      throw new Error(`After call ${failAt} failed: ${String(error)}`, { cause: problem });
    }
  }
  expect(runs).toBeGreaterThan(8);
});

it('a lock whose file fails is no lock, and nobody is kept out afterwards', () => {
  const file = directory.file();
  open(file).close();
  for (const code of ['EIO', 'ENOSPC'] as const) {
    for (let failAt = 0; ; failAt++) {
      const { failed, error, result } = withFaults({ code, crash: false, failAt, matches: /\.lock$/ }, () =>
        open(file),
      );
      result?.close();
      if (failed === 0) break;
      expect(error).toMatchObject({ code });
      open(file).close();
    }
  }
});
