import assert from 'node:assert/strict';
import { MAX_TID, ROOT_OID, ZERO_TID } from '../../ids';
import { TransactionMetaData } from '../../storage';
import type { Suite } from '../conformance';
import { throwsCode } from '../harness';
import { record } from '../records';

/** A closed storage says so. */
export function closedPart({ supports, test }: Suite): void {
  test('everything on a closed storage fails with CLOSED, but to close it again', (h) => {
    const { oid, tid } = h.create('x');
    const { storage } = h;
    const instance = storage.newInstance();
    instance.poll();
    const open = new TransactionMetaData();
    storage.tpcBegin(open);
    storage.close();
    storage.close();
    const txn = new TransactionMetaData();
    const calls: [string, () => unknown][] = [
      ['newOid', () => storage.newOid()],
      ['lastTransaction', () => storage.lastTransaction()],
      ['load', () => storage.load(oid)],
      ['loadBefore', () => storage.loadBefore(oid, MAX_TID)],
      ['loadSerial', () => storage.loadSerial(oid, tid)],
      ['newInstance', () => storage.newInstance()],
      ['objectCount', () => storage.objectCount()],
      ['size', () => storage.size()],
      ['tpcBegin', () => storage.tpcBegin(txn)],
      ['store', () => storage.store(ROOT_OID, ZERO_TID, record('x'), open)],
      ['tpcVote', () => storage.tpcVote(open)],
      ['tpcFinish', () => storage.tpcFinish(open)],
      ['instance.load', () => instance.load(oid)],
      ['instance.poll', () => instance.poll()],
    ];
    if (supports.history) calls.push(['history', () => storage.history!(oid)]);
    if (supports.iterate) calls.push(['iterate', () => [...storage.iterate!()]]);
    if (supports.currentRecords) calls.push(['currentRecords', () => [...storage.currentRecords!()]]);
    if (supports.undo) calls.push(['undoLog', () => storage.undoLog!()]);
    if (supports.pack) calls.push(['pack', () => [...storage.pack!()]]);
    if (supports.blobs) calls.push(['openBlob', () => storage.openBlob!(oid, tid)]);
    for (const [name, call] of calls) {
      try {
        throwsCode(call, 'CLOSED');
      } catch (error) {
        assert.fail(`${name}: ${String(error)}`);
      }
    }
    storage.tpcAbort(open);
    instance.release();
  });
}
