import assert from 'node:assert/strict';
import { ZERO_TID } from '../../ids';
import { TransactionMetaData } from '../../storage';
import type { Suite } from '../conformance';
import { throwsCode } from '../harness';
import { record } from '../records';

/** Stale stores and reads (`ConflictResolution`, `ReadVerifyingStorage` of ZODB). */
export function conflictPart({ supports, test }: Suite): void {
  test('a stale store that can not be merged is a conflict with both serials', (h) => {
    const { oid, tid } = h.create('one');
    const second = h.change(oid, 'two');
    assert.throws(
      () => h.commit([{ oid, serial: tid, text: 'mine' }]),
      (error: { code?: string; oid?: unknown; serials?: unknown; retryable?: boolean }) => {
        assert.equal(error.code, 'CONFLICT');
        assert.equal(error.oid, oid);
        assert.deepEqual(error.serials, [second, tid]);
        assert.equal(error.retryable, true);
        return true;
      },
    );
    assert.equal(h.text(oid), 'two');
  });

  test('a store of an object that exists as if it were new is a conflict', (h) => {
    const { oid } = h.create('one');
    throwsCode(() => h.commit([{ oid, serial: ZERO_TID, text: 'again' }]), 'CONFLICT');
    assert.equal(h.text(oid), 'one');
  });

  if (supports.history) {
    test('a stale store that can be merged is merged, and the vote tells of it', (h) => {
      const { oid, tid } = h.create('count:10');
      h.commit([{ oid, serial: tid, text: 'count:15' }]);
      const txn = new TransactionMetaData();
      h.storage.tpcBegin(txn);
      h.storage.store(oid, tid, record('count:12'), txn);
      assert.deepEqual(h.storage.tpcVote(txn), [oid]);
      const merged = h.storage.tpcFinish(txn);
      assert.equal(h.text(oid), 'count:17');
      assert.equal(h.storage.load(oid).serial, merged);
    });
  }

  test('a stale store of an instance is merged with the revision of its snapshot', (h) => {
    const { oid, tid } = h.create('count:1');
    const instance = h.storage.newInstance();
    instance.poll();
    h.commit([{ oid, serial: tid, text: 'count:5' }]);
    h.commit([{ oid, serial: tid, text: 'count:3' }], new TransactionMetaData(), instance);
    assert.equal(h.text(oid), 'count:7');
  });

  test('a read that must be current passes while it is', (h) => {
    const { oid, tid } = h.create('read');
    h.transact((txn) => h.storage.checkCurrentSerial(oid, tid, txn));
  });

  test('a read that is not current any more fails, at the vote at the latest', (h) => {
    const { oid, tid } = h.create('read');
    h.change(oid, 'changed');
    throwsCode(() => h.transact((txn) => h.storage.checkCurrentSerial(oid, tid, txn)), 'READ_CONFLICT');
  });

  test('a read of an object that does not exist fails', (h) => {
    const { tid } = h.create('other');
    throwsCode(
      () => h.transact((txn) => h.storage.checkCurrentSerial(h.storage.newOid(), tid, txn)),
      'POS_KEY',
      'READ_CONFLICT',
    );
  });
}
