import assert from 'node:assert/strict';
import { ZERO_TID, type Oid, type Tid } from '../../ids';
import { TransactionMetaData, type StorageInstance } from '../../storage';
import type { Suite } from '../conformance';
import { assertRecord, throwsCode, type Harness } from '../harness';
import { record, textOf } from '../records';

/** Instances: what a connection sees, and when (`testmvcc`, `test_mvccadapter`, `racetest` of ZODB). */
export function snapshotPart({ supports, test }: Suite): void {
  const sorted = (oids: readonly Oid[] | 'all'): readonly Oid[] | 'all' =>
    oids === 'all' ? oids : [...new Set(oids)].sort((a, b) => a - b);

  test('an instance sees nothing before its first poll', (h) => {
    const { oid } = h.create('there');
    const instance = h.storage.newInstance();
    throwsCode(() => instance.load(oid), 'STORAGE');
    throwsCode(() => instance.loadMany([oid]), 'STORAGE');
    assert.deepEqual(instance.poll(), []);
    assert.equal(textOf(instance.load(oid).data), 'there');
  });

  test('a snapshot stays until the next poll, which tells what changed', (h) => {
    const [a, b] = [h.create('a1'), h.create('b1')];
    const instance = polled(h);
    assert.equal(instance.snapshot, b.tid);
    const changed = h.change(a.oid, 'a2');
    const { oid: created } = h.create('new');
    assertRecord(instance.load(a.oid), 'a1', a.tid);
    assert.equal(instance.snapshot, b.tid);
    throwsCode(() => instance.load(created), 'POS_KEY');
    assert.deepEqual(sorted(instance.poll()), sorted([a.oid, created]));
    assertRecord(instance.load(a.oid), 'a2', changed);
    assertRecord(instance.load(b.oid), 'b1', b.tid);
    assert.deepEqual(instance.poll(), []);
  });

  test('an instance is not told of its own commits, but sees them', (h) => {
    const [mine, other] = [polled(h), polled(h)];
    const oid = mine.newOid();
    const tid = h.commit([{ oid, text: 'mine' }], new TransactionMetaData(), mine);
    throwsCode(() => other.load(oid), 'POS_KEY');
    assert.deepEqual(mine.poll(), []);
    assertRecord(mine.load(oid), 'mine', tid);
    assert.deepEqual(other.poll(), [oid]);
    assertRecord(other.load(oid), 'mine', tid);
  });

  test('own commits and those of others in between are told apart', (h) => {
    const { oid: a } = h.create('a');
    const { oid: b } = h.create('b');
    const mine = polled(h);
    const bTid = h.change(b, 'b2');
    h.commit([{ oid: a, serial: mine.load(a).serial, text: 'a2' }], new TransactionMetaData(), mine);
    assert.deepEqual(sorted(mine.poll()), [b]);
    assertRecord(mine.load(b), 'b2', bTid);
    assert.equal(textOf(mine.load(a).data), 'a2');
  });

  test('a batch is loaded in order, with undefined for what does not exist', (h) => {
    const [a, b] = [h.create('a'), h.create('b')];
    const missing = h.storage.newOid();
    const instance = polled(h);
    h.change(a.oid, 'a2');
    const found = instance.loadMany([b.oid, missing, a.oid, b.oid]);
    assert.equal(found[1], undefined);
    assert.deepEqual(
      [0, 2, 3].map((place) => textOf(found[place]!.data)),
      ['b', 'a', 'b'],
    );
    assert.deepEqual(instance.loadMany([]), []);
  });

  test('a snapshot is whole: sums never mix transactions', (h) => {
    const oids = Array.from({ length: 10 }, () => h.create('count:100').oid);
    const readers = Array.from({ length: 3 }, () => polled(h));
    for (let round = 0; round < 30; round++) {
      const [from, to] = [oids[round % 10]!, oids[(round * 7 + 3) % 10]!];
      if (from === to) continue;
      h.commit([
        { oid: from, serial: h.storage.load(from).serial, text: `count:${number(h.text(from)) - 5}` },
        { oid: to, serial: h.storage.load(to).serial, text: `count:${number(h.text(to)) + 5}` },
      ]);
      const reader = readers[round % 3]!;
      if (round % 2 === 0) reader.poll();
      for (const each of supports.history ? readers : [reader]) {
        const sum = oids.reduce((total, oid) => total + number(textOf(each.load(oid).data)), 0);
        assert.equal(sum, 1_000);
      }
    }
  });

  test('storing over what changed since the snapshot is a conflict', (h) => {
    const { oid, tid } = h.create('old');
    const instance = polled(h);
    const newer = h.change(oid, 'newer');
    throwsCode(() => h.commit([{ oid, serial: tid, text: 'mine' }], undefined, instance), 'CONFLICT');
    instance.poll();
    assertRecord(instance.load(oid), 'newer', newer);
  });

  test('what is missing now is told during a commit', (h) => {
    const { oid } = h.create('there');
    const instance = polled(h);
    const absent = h.storage.newOid();
    h.transact(
      (txn) => void assert.deepEqual(instance.missing([oid, absent]), [absent], String(txn.user)),
      undefined,
      instance,
    );
  });

  test('a suspended instance goes on with its next poll', (h) => {
    const { oid } = h.create('one');
    const instance = polled(h);
    instance.suspend();
    h.change(oid, 'two');
    assert.deepEqual(instance.poll(), [oid]);
    assert.equal(textOf(instance.load(oid).data), 'two');
  });

  test('a released instance refuses everything but to be released again', (h) => {
    const { oid, tid } = h.create('x');
    const instance = polled(h);
    const txn = new TransactionMetaData();
    instance.tpcBegin(txn);
    instance.release();
    instance.release();
    throwsCode(() => instance.load(oid), 'CLOSED');
    throwsCode(() => instance.poll(), 'CLOSED');
    throwsCode(() => instance.loadSerial(oid, tid), 'CLOSED');
    throwsCode(() => instance.newOid(), 'CLOSED');
    throwsCode(() => instance.tpcBegin(new TransactionMetaData()), 'CLOSED');
    h.change(oid, 'its transaction was aborted');
  });

  if (!supports.history) return;
  test('a historical instance shows the past and refuses to write', (h) => {
    const { oid, tid } = h.create('one');
    const second = h.change(oid, 'two');
    const { oid: later } = h.create('later');
    const past = h.storage.newInstance({ before: second });
    assert.deepEqual(past.poll(), []);
    assert.equal(past.snapshot < second, true);
    assertRecord(past.load(oid), 'one', tid);
    throwsCode(() => past.load(later), 'POS_KEY');
    h.change(oid, 'three');
    assert.deepEqual(past.poll(), []);
    assertRecord(past.loadMany([oid])[0], 'one', tid);
    assert.ok(past.readOnly);
    throwsCode(() => past.newOid(), 'READ_ONLY_HISTORY');
    const txn = new TransactionMetaData();
    throwsCode(() => {
      past.tpcBegin(txn);
      past.store(oid, ZERO_TID, record('x'), txn);
    }, 'READ_ONLY_HISTORY');
    const present = h.storage.newInstance({ before: (h.storage.lastTransaction() + 1n) as Tid });
    assert.equal(textOf(present.load(oid).data), 'three');
  });
}

function polled(h: Harness): StorageInstance {
  const instance = h.storage.newInstance();
  instance.poll();
  return instance;
}

function number(text: string): number {
  return Number(text.slice('count:'.length));
}
