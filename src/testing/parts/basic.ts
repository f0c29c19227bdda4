import assert from 'node:assert/strict';
import { oidFromBigInt, ROOT_OID, ZERO_TID, type Oid, type Tid } from '../../ids';
import { TransactionMetaData } from '../../storage';
import type { Suite } from '../conformance';
import { assertRecord, throwsCode } from '../harness';
import { record, textOf } from '../records';

/** `BasicStorage` of ZODB, and what its quirks taught. */
export function basicPart({ test }: Suite): void {
  test('an empty storage has no transaction and no object', ({ storage }) => {
    assert.equal(storage.lastTransaction(), ZERO_TID);
    throwsCode(() => storage.load(ROOT_OID), 'POS_KEY');
    assert.equal(storage.objectCount(), 0);
  });

  test('the manifest is frozen', ({ storage }) => {
    assert.ok(Object.isFrozen(storage.supports));
  });

  test('what is stored is loaded, byte for byte, with the tid of its transaction', (h) => {
    const { oid, tid } = h.create('hello');
    assertRecord(h.storage.load(oid), 'hello', tid);
    assert.equal(h.storage.lastTransaction(), tid);
  });

  test('records of all sizes and bytes come back', (h) => {
    const bytes = String.fromCharCode(...Array.from({ length: 255 }, (_, code) => code + 1));
    const sizes = [0, 1, 100, 4_000, 70_000, 1_500_000];
    const stored = sizes.map((size) => h.create(bytes.repeat(Math.ceil(size / 255)).slice(0, size)));
    stored.forEach(({ oid, tid }, place) => {
      assertRecord(
        h.storage.load(oid),
        bytes.repeat(Math.ceil(sizes[place]! / 255)).slice(0, sizes[place]),
        tid,
      );
    });
  });

  test('oids are given out once, ascending', ({ storage }) => {
    const oids = Array.from({ length: 300 }, () => storage.newOid());
    assert.deepEqual(
      [...new Set(oids)].sort((a, b) => a - b),
      oids,
    );
    assert.ok(!oids.includes(ROOT_OID));
  });

  test('a stored oid is not given out again', (h) => {
    h.commit([{ oid: 5_000 as Oid, text: 'chosen' }]);
    assert.ok(h.storage.newOid() > 5_000);
  });

  test('objects of one transaction have one tid; tids ascend', (h) => {
    const [one, two] = [h.storage.newOid(), h.storage.newOid()];
    const first = h.commit([
      { oid: one, text: '1' },
      { oid: two, text: '2' },
    ]);
    assert.equal(h.storage.load(one).serial, first);
    assert.equal(h.storage.load(two).serial, first);
    assert.ok(h.change(one, '3') > first);
  });

  test('empty transactions are legal and have ascending tids', (h) => {
    let last = ZERO_TID;
    for (let count = 0; count < 50; count++) {
      const tid = h.commit([]);
      assert.ok(tid > last);
      last = tid;
    }
    assert.equal(h.storage.lastTransaction(), last);
  });

  test('beginning twice is an error, and does no harm', ({ storage }) => {
    const txn = new TransactionMetaData();
    storage.tpcBegin(txn);
    throwsCode(() => storage.tpcBegin(txn), 'STORAGE_TRANSACTION');
    storage.tpcVote(txn);
    storage.tpcFinish(txn);
  });

  test('calls without a transaction, or of another one, are refused', ({ storage }) => {
    const [txn, other] = [new TransactionMetaData(), new TransactionMetaData()];
    const oid = storage.newOid();
    for (const refused of [txn, other]) {
      throwsCode(() => storage.store(oid, ZERO_TID, record('x'), refused), 'STORAGE_TRANSACTION');
      throwsCode(() => storage.tpcVote(refused), 'STORAGE_TRANSACTION');
      throwsCode(() => storage.tpcFinish(refused), 'STORAGE_TRANSACTION');
      storage.tpcAbort(refused);
      if (refused === txn) storage.tpcBegin(txn);
      else throwsCode(() => storage.store(oid, ZERO_TID, record('x'), other), 'STORAGE_TRANSACTION');
    }
    storage.tpcAbort(txn);
  });

  for (const voted of [false, true]) {
    test(`an aborted transaction leaves nothing${voted ? ', even after its vote' : ''}`, (h) => {
      const { oid, tid } = h.create('kept');
      const other = h.storage.newOid();
      const txn = new TransactionMetaData();
      h.storage.tpcBegin(txn);
      h.storage.store(oid, tid, record('lost'), txn);
      h.storage.store(other, ZERO_TID, record('lost too'), txn);
      if (voted) h.storage.tpcVote(txn);
      h.storage.tpcAbort(txn);
      h.storage.tpcAbort(txn);
      assertRecord(h.storage.load(oid), 'kept', tid);
      throwsCode(() => h.storage.load(other), 'POS_KEY');
      assert.equal(h.storage.lastTransaction(), tid);
      assertRecord(h.storage.load(oid), 'kept', tid);
      assert.ok(h.commit([{ oid, serial: tid, text: 'next' }]) > tid);
      assert.equal(h.text(oid), 'next');
    });
  }

  test('the callback of tpcFinish gets the tid, before the call returns', ({ storage }) => {
    const txn = new TransactionMetaData();
    storage.tpcBegin(txn);
    storage.store(storage.newOid(), ZERO_TID, record('x'), txn);
    storage.tpcVote(txn);
    const seen: Tid[] = [];
    const tid = storage.tpcFinish(txn, (given) => seen.push(given));
    assert.deepEqual(seen, [tid]);
  });

  test('counts objects and bytes', (h) => {
    for (let count = 1; count <= 5; count++) {
      h.create(`object ${count}`);
      assert.equal(h.storage.objectCount(), count);
    }
    assert.ok(h.storage.size() > 0);
  });

  test('an empty record is refused, as is what is no bytes', ({ storage }) => {
    const txn = new TransactionMetaData();
    storage.tpcBegin(txn);
    throwsCode(() => storage.store(storage.newOid(), ZERO_TID, new Uint8Array(0), txn), 'INVALID_ARGUMENT');
    throwsCode(
      () => storage.store(storage.newOid(), ZERO_TID, 'text' as unknown as Uint8Array, txn),
      'INVALID_ARGUMENT',
    );
    storage.tpcAbort(txn);
  });

  test('the last of several records of an object in one transaction counts', (h) => {
    const { oid, tid } = h.create('first');
    const second = h.transact((txn) => {
      h.storage.store(oid, tid, record('second'), txn);
      h.storage.store(oid, tid, record('third'), txn);
    });
    assertRecord(h.storage.load(oid), 'third', second);
  });

  test('foreign oids beyond 2^53 are stored and loaded', (h) => {
    const oids = [2n ** 53n, 2n ** 62n + 7n, 2n ** 64n - 1n].map((value) => oidFromBigInt(value));
    const tid = h.commit(oids.map((oid, place) => ({ oid, text: `foreign ${place}` })));
    oids.forEach((oid, place) => assertRecord(h.storage.load(oid), `foreign ${place}`, tid));
    const again = h.change(oids[1]!, 'changed');
    assertRecord(h.storage.load(oids[1]!), 'changed', again);
    assert.equal(textOf(h.storage.loadBefore(oids[0]!, again)!.data), 'foreign 0');
  });
}
