import { join } from 'node:path';
import * as fc from 'fast-check';
import { ZERO_TID, type Oid, type Tid } from '../../../src/ids';
import { runSteps, SqliteStorage, TransactionMetaData } from '../../../src/storage';
import { record } from '../../../src/testing';
import { Harness } from '../../../src/testing/harness';
import { textOf } from '../../../src/testing/records';
import { temporaryDirectory } from './temporary';

const directory = temporaryDirectory();
const file = (): string => join(directory(), 'test.sqlite');

/** What a transaction of the model does: objects by number, stored or deleted. */
const steps = fc.array(
  fc.record({
    stored: fc.uniqueArray(fc.nat(70), { minLength: 1, maxLength: 60 }),
    deleted: fc.option(fc.nat(70), { nil: undefined, freq: 4 }),
    twice: fc.boolean(),
  }),
  { minLength: 1, maxLength: 8 },
);

test.each(['all', 'none'] as const)(
  'many stores at once are the same as one by one (history %s)',
  (history) => {
    let run = 0;
    fc.assert(
      fc.property(steps, (transactions) => {
        const path = `${file()}-${run++}`;
        const storage = new SqliteStorage(path, { history, durability: 'normal' });
        const instance = storage.newInstance();
        const oids = Array.from({ length: 71 }, () => instance.newOid());
        const revisions = new Map<Oid, { tid: Tid; text: string | undefined }[]>();
        const serial = (oid: Oid): Tid => {
          const last = revisions.get(oid)?.at(-1);
          return last?.text === undefined ? ZERO_TID : last.tid;
        };
        for (const [number, { stored, deleted, twice }] of transactions.entries()) {
          const written = new Map<Oid, string | undefined>();
          const txn = new TransactionMetaData();
          instance.poll();
          instance.tpcBegin(txn);
          const store = (oid: Oid, text: string): void => {
            instance.store(oid, serial(oid), record(text), txn, []);
            written.set(oid, text);
          };
          // Some are longer than the memory that rows written together share.
          const length = (place: number): number => (place % 5 === 0 ? place * 300 : 0);
          for (const place of stored)
            store(oids[place]!, `${place} at ${number}`.padEnd(length(place), 'abc'));
          if (twice) store(oids[stored[0]!]!, `again at ${number}`);
          const gone = deleted === undefined ? undefined : oids[deleted]!;
          if (gone !== undefined && !written.has(gone) && serial(gone) !== ZERO_TID) {
            instance.deleteObject!(gone, serial(gone), txn);
            written.set(gone, undefined);
          }
          instance.tpcVote(txn);
          const tid = instance.tpcFinish(txn);
          for (const [oid, text] of written) {
            if (!revisions.has(oid)) revisions.set(oid, []);
            revisions.get(oid)!.push({ tid, text });
          }
        }
        instance.poll();
        for (const [oid, all] of revisions) {
          const current = all.at(-1)!;
          const found = instance.loadMany([oid])[0];
          expect(found && textOf(found.data)).toBe(current.text);
          if (found) expect(found.serial).toBe(current.tid);
          if (history === 'none') continue;
          expect(storage.history(oid, 99).map(({ tid }) => tid)).toEqual(all.map(({ tid }) => tid).reverse());
          for (const { tid, text } of all)
            if (text !== undefined) expect(textOf(storage.loadSerial(oid, tid).data)).toBe(text);
        }
        const alive = [...revisions.values()].filter((all) => all.at(-1)!.text !== undefined).length;
        expect(runSteps(storage.check())).toMatchObject({ objects: alive, problems: [] });
        storage.close();
      }),
      { numRuns: 12 },
    );
  },
);

test('one conflict among many stores, and nothing of them is stored', () => {
  const h = new Harness(new SqliteStorage(file()));
  const oids = Array.from({ length: 40 }, () => h.storage.newOid());
  const first = h.commit(oids.map((oid) => ({ oid, text: 'first' })));
  h.change(oids[25]!, 'by another');
  const txn = new TransactionMetaData();
  h.storage.tpcBegin(txn);
  for (const oid of oids) h.storage.store(oid, first as Tid, record('second'), txn, []);
  expect(() => h.storage.tpcVote(txn)).toThrow(
    expect.objectContaining({ code: 'CONFLICT', oid: oids[25] }) as Error,
  );
  h.storage.tpcAbort(txn);
  expect(oids.map((oid) => h.text(oid))).toEqual(
    oids.map((_, place) => (place === 25 ? 'by another' : 'first')),
  );
  const again = new TransactionMetaData();
  h.storage.tpcBegin(again);
  for (const oid of oids) h.storage.store(oid, ZERO_TID, record('new'), again, []);
  expect(() => h.storage.tpcVote(again)).toThrow(expect.objectContaining({ code: 'CONFLICT' }) as Error);
  h.storage.tpcAbort(again);
  h.storage.close();
});

test('a check among many stores is made, and when it fails nothing of them is stored', () => {
  const h = new Harness(new SqliteStorage(file()));
  const oids = Array.from({ length: 40 }, () => h.storage.newOid());
  const first = h.commit(oids.slice(0, 20).map((oid) => ({ oid, text: 'first' })))!;
  const second = h.change(oids[3]!, 'second');
  const attempt = (seen: Tid): void => {
    const txn = new TransactionMetaData();
    h.storage.tpcBegin(txn);
    for (const oid of oids.slice(20)) h.storage.store(oid, ZERO_TID, record('new'), txn, []);
    h.storage.checkCurrentSerial(oids[3]!, seen, txn);
    try {
      h.storage.tpcVote(txn);
      h.storage.tpcFinish(txn);
    } finally {
      h.storage.tpcAbort(txn);
    }
  };
  expect(() => attempt(first as Tid)).toThrow(
    expect.objectContaining({ code: 'READ_CONFLICT', oid: oids[3] }) as Error,
  );
  expect(() => h.storage.load(oids[20]!)).toThrow(expect.objectContaining({ code: 'POS_KEY' }) as Error);
  attempt(second as Tid);
  expect(oids.slice(20).map((oid) => h.text(oid))).toEqual(oids.slice(20).map(() => 'new'));
  h.storage.close();
});
