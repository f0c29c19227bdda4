import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { LockError } from '../../src/errors';
import { formatTid, oidToBytes, ROOT_OID, ZERO_TID, type Oid, type Tid } from '../../src/ids';
import { runSteps, type Storage } from '../../src/storage';
import { FileStorage } from '../../src/storage/file';
import { commit, put, serialOf, undo } from '../storage/file/commits';
import { blobRecord, mappingRecord, plainHost } from '../storage/file/records';
import { missingZodb, python, PythonZodb, script } from './python-zodb';

interface Dump {
  fstest: string | null;
  transactions: {
    tid: string;
    status: string;
    user: string;
    description: string;
    extension: Record<string, unknown>;
    records: { oid: string; tid: string; data: string | null; dataTid: string | null }[];
  }[];
  current: Record<string, [tid: string, data: string] | null>;
  last: string;
  blobs: Record<string, string>;
  sameIndex: boolean;
  log: string;
}

const missing = missingZodb();
const rounds = Math.round(50 * Number(process.env.ZODB_SOAK ?? 1));
const sha = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');
const hexTid = (tid: Tid): string => formatTid(tid).slice(2);
const hexOid = (oid: Oid): string => Buffer.from(oidToBytes(oid)).toString('hex');

/** What we say about a file, in the words of Python's dump. */
function ourDump(storage: FileStorage): Pick<Dump, 'transactions' | 'current' | 'last'> {
  const transactions = Array.from(storage.iterate(), (transaction) => ({
    tid: hexTid(transaction.tid),
    status: transaction.status,
    user: transaction.meta.user,
    description: transaction.meta.description,
    extension: { ...transaction.meta.extension },
    records: Array.from(transaction.records(), ({ oid, tid, data, dataTid }) => ({
      oid: hexOid(oid),
      tid: hexTid(tid),
      data: data === null ? null : sha(data),
      dataTid: dataTid === undefined ? null : hexTid(dataTid),
    })),
  }));
  const current: Dump['current'] = {};
  for (const { oid, serial, data } of storage.currentRecords())
    current[hexOid(oid)] = [hexTid(serial), sha(data)];
  return { transactions, current, last: hexTid(storage.lastTransaction()) };
}

function open(file: string, options = {}): FileStorage {
  const storage = new FileStorage(file, options);
  storage.registerDB(plainHost);
  return storage;
}

if (missing !== undefined) {
  it(`is not run: ${missing}`, () => expect(missing).toBeDefined());
} else {
  describe('a Data.fs that we write', () => {
    let directory: string;
    let file: string;
    const zodb = new PythonZodb();
    beforeEach(() => {
      directory = fs.mkdtempSync(path.join(os.tmpdir(), 'zodb-live-'));
      file = path.join(directory, 'Data.fs');
    });
    afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));
    afterAll(() => zodb.end());

    /** Python and we agree on the closed file. */
    async function agree(blobs?: string): Promise<Dump> {
      const theirs = await zodb.call<Dump>('dump', file, blobs);
      const storage = open(file, { readOnly: true });
      const ours = ourDump(storage);
      storage.close();
      expect(theirs.fstest).toBeNull();
      expect(theirs.sameIndex).toBe(true);
      expect(theirs.transactions).toEqual(ours.transactions);
      expect(
        Object.fromEntries(Object.entries(theirs.current).filter(([, entry]) => entry !== null)),
      ).toEqual(ours.current);
      expect(theirs.last).toBe(ours.last);
      return theirs;
    }

    it('is read by Python: plain transactions, empty ones, texts', async () => {
      const storage = open(file);
      put(storage, ROOT_OID, mappingRecord('root', [1 as Oid]), 'first — é');
      commit(storage, (txn) => storage.store(1 as Oid, ZERO_TID, mappingRecord('one'), txn));
      commit(storage, () => undefined, 'without records');
      for (let i = 0; i < 20; i++) put(storage, ROOT_OID, mappingRecord(`root ${i}`, [1 as Oid]));
      storage.close();
      const { log } = await agree();
      expect(log).toBe('');
    });

    it('is read by Python: undone, redone, deleted', async () => {
      const storage = open(file);
      put(storage, ROOT_OID, mappingRecord('root', [1 as Oid]));
      const created = put(storage, 1 as Oid, mappingRecord('one'));
      const changed = put(storage, 1 as Oid, mappingRecord('one, changed'));
      const undone = undo(storage, changed);
      undo(storage, undo(storage, undone));
      undo(storage, undone);
      put(storage, 2 as Oid, mappingRecord('two'));
      commit(storage, (txn) => storage.deleteObject(2 as Oid, serialOf(storage, 2 as Oid), txn));
      expect(() => undo(storage, created)).toThrow();
      const gone = put(storage, 3 as Oid, mappingRecord('three'));
      undo(storage, gone);
      storage.close();
      const dump = await agree();
      expect(dump.current[hexOid(3 as Oid)]).toBeNull();
    });

    it('is read by Python: packed, with what came after', async () => {
      const storage = open(file);
      for (let i = 0; i < 30; i++) {
        put(storage, ROOT_OID, mappingRecord(`root ${i}`, [(i % 7) + 1] as Oid[]));
        put(storage, ((i % 7) + 1) as Oid, mappingRecord(`object ${i}`));
      }
      const time = Date.now();
      while (Date.now() <= time + 1);
      const later = put(storage, ROOT_OID, mappingRecord('later', [3 as Oid]));
      undo(storage, later);
      const report = runSteps(storage.pack({ time }));
      expect(report.revisions).toBeGreaterThan(20);
      put(storage, ROOT_OID, mappingRecord('after the pack', [2 as Oid]));
      storage.close();
      const { log } = await agree();
      expect(log).toBe('');
    });

    it('is read by Python: blobs in both layouts, undone and packed', async () => {
      for (const blobLayout of ['bushy', 'lawn'] as const) {
        const blobDir = path.join(directory, blobLayout);
        const storage = open(file, { blobDir, blobLayout, truncate: true });
        put(storage, ROOT_OID, mappingRecord('root', [1 as Oid]));
        const store = (text: string): Tid =>
          commit(storage, (txn) =>
            storage.storeBlob(1 as Oid, serialOf(storage, 1 as Oid), blobRecord, Buffer.from(text), txn),
          );
        store('first');
        const second = store('second');
        undo(storage, second);
        storage.close();
        expect((await agree(blobDir)).blobs).toEqual({ [hexOid(1 as Oid)]: sha(Buffer.from('first')) });
        const again = open(file, { blobDir });
        runSteps(again.pack());
        again.close();
        expect((await agree(blobDir)).blobs).toEqual({ [hexOid(1 as Oid)]: sha(Buffer.from('first')) });
      }
    });

    it('is refused to Python while we have it open, and the reverse', async () => {
      const storage = open(file);
      put(storage, ROOT_OID, mappingRecord('root'));
      expect(await zodb.call('open_for_writing', file)).toEqual({ error: 'LockError' });
      storage.close();
      expect(await zodb.call('open_for_writing', file)).toEqual({ error: null });
      const holder = spawn(python, [script, 'hold', file]);
      await once(holder.stdout, 'data');
      expect(() => new FileStorage(file)).toThrow(LockError);
      expect(() => new FileStorage(file)).toThrow(new RegExp(`process ${holder.pid}`));
      holder.stdin.end('\n');
      await once(holder, 'exit');
      new FileStorage(file).close();
    });

    it(`passes from hand to hand for ${rounds} rounds`, async () => {
      const blobDir = path.join(directory, 'blobs');
      fs.rmSync(file, { force: true });
      const expected: string[] = [];
      const kept = new Map<Oid, Oid[]>();
      let follower: FileStorage | undefined;
      for (let round = 0; round < rounds; round++) {
        const [undone, packed] = [round % 5 === 4 ? 'undo' : '', round % 10 === 9 ? 'pack' : ''];
        await zodb.call('add', file, `round ${round}`, blobDir, undone, packed);
        const storage = open(file, {
          blobDir,
          onWarning: (warning: { message: string }) => expect(warning.message).toBe(''),
        });
        // One that was opened read-only before all this keeps up with Python's commits and packs, and with ours.
        follower ??= open(file, { readOnly: true, blobDir });
        expect(follower.lastTransaction()).toBe(storage.lastTransaction());
        expect(follower.load(ROOT_OID)).toEqual(storage.load(ROOT_OID));
        const oid = storage.newOid();
        expected.push(hexOid(oid));
        // Kept by the root's children: the packs of Python must not take it.
        const keeper = lastChild(storage);
        kept.set(keeper, [...(kept.get(keeper) ?? []), oid]);
        commit(
          storage,
          (txn) => {
            storage.store(oid, ZERO_TID, mappingRecord(`ours ${round}`), txn);
            storage.store(
              keeper,
              serialOf(storage, keeper),
              mappingRecord(`keeper ${round} child`, kept.get(keeper)),
              txn,
            );
          },
          `typescript ${round}`,
        );
        if (round % 7 === 6) undo(storage, storage.undoLog(0, 1)[0]!.tid);
        if (round % 7 === 6) undo(storage, storage.undoLog(0, 1)[0]!.tid);
        storage.close();
      }
      follower?.close();
      const { log, current } = await agree(blobDir);
      expect(log).toBe('');
      for (const oid of expected) expect(current[oid]).toBeDefined();
    });
  });
}

/** The newest child that Python added. */
function lastChild(storage: Storage): Oid {
  let last = ROOT_OID;
  for (const { oid, data } of (storage as FileStorage).currentRecords()) {
    if (Buffer.from(data).includes(' child')) last = oid;
  }
  return last;
}
