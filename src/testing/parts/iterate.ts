import assert from 'node:assert/strict';
import type { Oid, Tid } from '../../ids';
import { TransactionMetaData, type TransactionRecord } from '../../storage';
import type { Suite } from '../conformance';
import type { Harness } from '../harness';
import { record, textOf } from '../records';

/** `IteratorStorage` of ZODB. */
export function iteratePart({ supports, test }: Suite): void {
  const texts = (transaction: TransactionRecord): string[] =>
    [...transaction.records()].map(({ data }) => (data === null ? 'deleted' : textOf(data)));
  const tids = (h: Harness, start?: Tid, stop?: Tid): Tid[] =>
    Array.from(h.storage.iterate!(start, stop), ({ tid }) => tid);

  test('transactions come in order, each with its records, bytes and metadata', (h) => {
    const oid = h.storage.newOid();
    const extension = { text: 'é', list: [1, 2.5, null], nested: { yes: true } };
    const meta = new TransactionMetaData({ user: 'me', description: 'first', extension });
    const first = h.commit([{ oid, text: '1' }], meta);
    const empty = h.commit([], new TransactionMetaData({ description: 'nothing' }));
    const third = h.create('another').tid;
    const found = [...h.storage.iterate!()];
    assert.deepEqual(
      found.map(({ tid }) => tid),
      [first, empty, third],
    );
    const [one, two] = found;
    assert.equal(one!.status, ' ');
    assert.equal(one!.meta.user, 'me');
    assert.equal(one!.meta.description, 'first');
    assert.deepEqual(one!.meta.extension, extension);
    assert.deepEqual(Buffer.from(one!.meta.extensionBytes), Buffer.from(meta.extensionBytes));
    const [stored] = [...one!.records()];
    assert.equal(stored!.oid, oid);
    assert.equal(stored!.tid, first);
    assert.equal(stored!.dataTid, undefined);
    assert.deepEqual(Buffer.from(stored!.data!), record('1'));
    assert.deepEqual([...two!.records()], []);
    assert.equal(two!.meta.description, 'nothing');
  });

  test('bounds are inclusive', (h) => {
    const all = Array.from({ length: 6 }, (_, count) => h.create(String(count)).tid);
    const [, b, , d] = all as [Tid, Tid, Tid, Tid];
    assert.deepEqual(tids(h, b, d), all.slice(1, 4));
    assert.deepEqual(tids(h, (b + 1n) as Tid, (d - 1n) as Tid), all.slice(2, 3));
    assert.deepEqual(tids(h, d), all.slice(3));
    assert.deepEqual(tids(h, undefined, b), all.slice(0, 2));
    assert.deepEqual(tids(h, (all.at(-1)! + 1n) as Tid), []);
    assert.deepEqual(tids(h, d, b), []);
  });

  test('iterations can be repeated, interleaved and left early', (h) => {
    const all = Array.from({ length: 5 }, (_, count) => h.create(String(count)).tid);
    const [one, two] = [h.storage.iterate!(), h.storage.iterate!()];
    for (const tid of all) {
      assert.equal(one.next().value.tid, tid);
      assert.equal(two.next().value.tid, tid);
    }
    for (const { tid } of h.storage.iterate!()) {
      assert.equal(tid, all[0]);
      break;
    }
    assert.deepEqual(tids(h), all);
  });

  test('records of one transaction can be walked again, also after the iteration', (h) => {
    h.create('x');
    const [transaction] = [...h.storage.iterate!()];
    assert.deepEqual(texts(transaction!), ['x']);
    assert.deepEqual(texts(transaction!), ['x']);
  });

  test('later commits do not disturb an iteration', (h) => {
    const all = Array.from({ length: 3 }, (_, count) => h.create(String(count)).tid);
    const iteration = h.storage.iterate!();
    iteration.next();
    h.create('later');
    assert.deepEqual(
      [...iteration].map(({ tid }) => tid),
      all.slice(1),
    );
  });

  if (supports.undo) {
    test('the undone creation of an object is shown as its deletion, undone data by their origin', (h) => {
      const { oid, tid } = h.create('one');
      const second = h.change(oid, 'two');
      h.undo(second);
      h.undo(h.create('gone').tid);
      const found = [...h.storage.iterate!()];
      assert.deepEqual(found.map(texts), [['one'], ['two'], ['one'], ['gone'], ['deleted']]);
      const [restored] = [...found[2]!.records()];
      assert.ok(restored!.dataTid === undefined || restored!.dataTid === tid);
    });
  }

  test('many objects of many transactions come back', (h) => {
    const expected: string[][] = [];
    for (let round = 0; round < 30; round++) {
      const writes = Array.from({ length: round }, (_, place) => ({
        oid: (1 + place + round * 100) as Oid,
        text: `${round}/${place}`,
      }));
      h.commit(writes);
      expected.push(writes.map(({ text }) => text));
    }
    assert.deepEqual(
      [...h.storage.iterate!()].map((transaction) => texts(transaction).sort()),
      expected.map((each) => each.sort()),
    );
  });
}
