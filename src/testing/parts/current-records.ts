import assert from 'node:assert/strict';
import type { Oid } from '../../ids';
import type { Suite } from '../conformance';
import { textOf } from '../records';

/** `IStorageCurrentRecordIteration` of ZODB. */
export function currentRecordsPart({ supports, test }: Suite): void {
  test('current records come in order of oids, from where it is asked', (h) => {
    const stored = Array.from({ length: 1_234 }, (_, count) => ({
      oid: (count * 3 + 1) as Oid,
      text: `first ${count}`,
    }));
    const tid = h.commit(stored);
    const changed = h.change(7 as Oid, 'changed');
    const found = [...h.storage.currentRecords!()];
    assert.deepEqual(
      found.map(({ oid }) => oid),
      stored.map(({ oid }) => oid),
    );
    assert.equal(textOf(found[2]!.data), 'changed');
    assert.equal(found[2]!.serial, changed);
    assert.equal(found[3]!.serial, tid);
    const rest = [...h.storage.currentRecords!(3_000 as Oid)];
    assert.equal(rest[0]!.oid, 3_001);
    assert.equal(rest.length, stored.filter(({ oid }) => oid >= 3_000).length);
  });

  test('what is committed meanwhile does not show', (h) => {
    const oids = Array.from({ length: 1_500 }, (_, count) => (count + 1) as Oid);
    h.commit(oids.map((oid) => ({ oid, text: 'old' })));
    const records = h.storage.currentRecords!();
    records.next();
    h.change(1_400 as Oid, 'new');
    assert.ok([...records].every(({ data }) => textOf(data) === 'old'));
  });

  if (!supports.deleteObject) return;
  test('deleted objects do not come', (h) => {
    const [a, b] = [h.create('a'), h.create('b')];
    h.transact((txn) => h.storage.deleteObject!(a.oid, a.tid, txn));
    assert.deepEqual(
      Array.from(h.storage.currentRecords!(), ({ oid }) => oid),
      [b.oid],
    );
  });
}
