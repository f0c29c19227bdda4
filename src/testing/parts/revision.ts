import assert from 'node:assert/strict';
import { MAX_TID, ZERO_TID, type Oid, type Tid } from '../../ids';
import { TransactionMetaData } from '../../storage';
import type { Suite } from '../conformance';
import { assertRecord, throwsCode } from '../harness';
import { record } from '../records';

/** `RevisionStorage` of ZODB. */
export function revisionPart({ supports, test }: Suite): void {
  test('the current revision is found by its tid and before any later one', (h) => {
    const { oid, tid } = h.create('only');
    assertRecord(h.storage.loadSerial(oid, tid), 'only', tid);
    for (const before of [(tid + 1n) as Tid, MAX_TID]) {
      const found = h.storage.loadBefore(oid, before);
      assertRecord(found, 'only', tid);
      assert.equal(found!.end, undefined);
    }
    throwsCode(() => h.storage.loadBefore((oid + 1) as Oid, MAX_TID), 'POS_KEY');
    throwsCode(() => h.storage.loadSerial(oid, (tid + 1n) as Tid), 'POS_KEY');
    throwsCode(() => h.storage.loadSerial(oid, ZERO_TID), 'POS_KEY');
  });

  if (!supports.history) {
    test('a revision that is not kept is a conflict or not found, never another one', (h) => {
      const { oid, tid } = h.create('first');
      const second = h.change(oid, 'second');
      throwsCode(() => h.storage.loadBefore(oid, second), 'READ_CONFLICT');
      throwsCode(() => h.storage.loadSerial(oid, tid), 'POS_KEY');
    });
    return;
  }

  test('every revision is found by its tid', (h) => {
    const { oid, tid } = h.create('0');
    const tids = [tid];
    for (let count = 1; count < 20; count++) tids.push(h.change(oid, String(count)));
    tids.forEach((serial, place) => assertRecord(h.storage.loadSerial(oid, serial), String(place), serial));
  });

  test('before the tid of each revision comes its predecessor, without gaps', (h) => {
    const { oid, tid } = h.create('0');
    const tids = [tid];
    for (let count = 1; count < 10; count++) {
      h.create('something else');
      tids.push(h.change(oid, String(count)));
    }
    assert.equal(h.storage.loadBefore(oid, tid), undefined);
    for (let place = 1; place < tids.length; place++) {
      const found = h.storage.loadBefore(oid, tids[place]!);
      assertRecord(found, String(place - 1), tids[place - 1]!);
      assert.equal(found!.end, tids[place]);
      assertRecord(h.storage.loadBefore(oid, (tids[place]! + 1n) as Tid), String(place), tids[place]!);
    }
    assert.equal(h.storage.loadBefore(oid, MAX_TID)!.end, undefined);
  });

  if (!supports.restore) return;
  test('revisions of neighbouring tids are told apart', (h) => {
    const oid = h.storage.newOid();
    const base = 0x03f4_7f95_0000_0000n;
    for (let count = 0n; count < 5n; count++) {
      const txn = new TransactionMetaData();
      h.storage.tpcBegin(txn, (base + count) as Tid);
      h.storage.restore!(oid, record(`at ${count}`), txn);
      h.storage.tpcVote(txn);
      assert.equal(h.storage.tpcFinish(txn), base + count);
    }
    for (let count = 1n; count < 5n; count++) {
      const found = h.storage.loadBefore(oid, (base + count) as Tid);
      assertRecord(found, `at ${count - 1n}`, (base + count - 1n) as Tid);
      assert.equal(found!.end, base + count);
    }
  });
}
