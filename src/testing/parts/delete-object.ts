import assert from 'node:assert/strict';
import type { Suite } from '../conformance';
import { assertRecord, throwsCode } from '../harness';
import { runSteps } from '../../storage';

/** `IExternalGC` of ZODB. */
export function deleteObjectPart({ supports, test }: Suite): void {
  test('a deleted object is gone for later snapshots, and still there for older ones', (h) => {
    const { oid, tid } = h.create('there');
    const { oid: other } = h.create('other');
    const instance = h.storage.newInstance();
    instance.poll();
    const removals = instance.removals?.();
    const deleted = h.transact((txn) => h.storage.deleteObject!(oid, tid, txn));
    throwsCode(() => h.storage.load(oid), 'POS_KEY');
    assertRecord(instance.load(oid), 'there', tid);
    assert.deepEqual(instance.poll(), [oid]);
    throwsCode(() => instance.load(oid), 'POS_KEY');
    assert.deepEqual(instance.loadMany([oid, other]).map(Boolean), [false, true]);
    if (removals !== undefined) assert.notEqual(instance.removals!(), removals);
    if (supports.history) {
      assertRecord(h.storage.loadBefore(oid, deleted), 'there', tid);
      assertRecord(h.storage.loadSerial(oid, tid), 'there', tid);
    }
    throwsCode(() => h.storage.loadBefore(oid, (deleted + 1n) as typeof deleted), 'POS_KEY');
  });

  test('deleting with a stale serial is a conflict', (h) => {
    const { oid, tid } = h.create('one');
    h.change(oid, 'two');
    throwsCode(() => h.transact((txn) => h.storage.deleteObject!(oid, tid, txn)), 'CONFLICT');
    assert.equal(h.text(oid), 'two');
  });

  test('deleting what does not exist is an error', (h) => {
    const { tid } = h.create('x');
    throwsCode(() => h.transact((txn) => h.storage.deleteObject!(h.storage.newOid(), tid, txn)), 'POS_KEY');
  });

  test('a store over a deletion is a conflict; a new object may take the oid', (h) => {
    const { oid, tid } = h.create('one');
    h.transact((txn) => h.storage.deleteObject!(oid, tid, txn));
    throwsCode(() => h.commit([{ oid, serial: tid, text: 'late' }]), 'CONFLICT');
    h.commit([{ oid, text: 'anew' }]);
    assert.equal(h.text(oid), 'anew');
  });

  if (!supports.pack) return;
  test('packing forgets the deleted object', (h) => {
    const { oid, tid } = h.create('one');
    h.root([]);
    h.transact((txn) => h.storage.deleteObject!(oid, tid, txn));
    runSteps(h.storage.pack!());
    throwsCode(() => h.storage.load(oid), 'POS_KEY');
    throwsCode(() => h.storage.loadSerial(oid, tid), 'POS_KEY');
  });
}
