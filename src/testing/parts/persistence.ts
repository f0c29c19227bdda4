import assert from 'node:assert/strict';
import type { Suite } from '../conformance';
import { Harness, assertRecord } from '../harness';

/** `PersistentStorage` of ZODB. */
export function persistencePart({ setup, supports, test }: Suite): void {
  if (!setup.reopen) return;
  test('everything is there after the database was closed and opened again', (h, also) => {
    const a = h.create('a');
    const second = h.change(a.oid, 'a2');
    const count = h.storage.objectCount();
    const again = new Harness(also(setup.reopen!(h.storage)));
    assertRecord(again.storage.load(a.oid), 'a2', second);
    if (supports.history) assertRecord(again.storage.loadSerial(a.oid, a.tid), 'a', a.tid);
    assert.equal(again.storage.lastTransaction(), second);
    assert.equal(again.storage.objectCount(), count);
    assert.ok(again.storage.newOid() > a.oid);
    assert.ok(again.change(a.oid, 'a3') > second);
  });

  test('an open transaction at the close is aborted', (h, also) => {
    const { oid } = h.create('kept');
    const lost = h.storage.newOid();
    assert.throws(() =>
      h.transact((txn) => {
        h.storage.store(lost, 0n as never, Buffer.from('lost'), txn);
        h.storage.close();
      }),
    );
    const again = new Harness(also(setup.reopen!(h.storage)));
    assert.equal(again.text(oid), 'kept');
    assert.throws(() => again.storage.load(lost), { code: 'POS_KEY' });
  });
}
