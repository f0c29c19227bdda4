import assert from 'node:assert/strict';
import { TransactionMetaData } from '../../storage';
import type { Suite } from '../conformance';
import { throwsCode } from '../harness';

/** `ReadOnlyStorage` of ZODB. */
export function readOnlyPart({ setup, supports, test }: Suite): void {
  if (!setup.openReadOnly) return;
  test('read-only: reading goes on, writing is refused', (h, also) => {
    const { oid, tid } = h.create('there');
    const reader = also(setup.openReadOnly!(h.storage));
    assert.equal(reader.readOnly, true);
    assert.equal(reader.load(oid).serial, tid);
    assert.equal(reader.lastTransaction(), tid);
    if (supports.history) assert.equal(reader.history!(oid)[0]!.tid, tid);
    const instance = reader.newInstance();
    instance.poll();
    assert.equal(instance.load(oid).serial, tid);
    throwsCode(() => reader.newOid(), 'READ_ONLY');
    throwsCode(() => reader.tpcBegin(new TransactionMetaData()), 'READ_ONLY');
    throwsCode(() => instance.newOid(), 'READ_ONLY');
    throwsCode(() => instance.tpcBegin(new TransactionMetaData()), 'READ_ONLY');
    if (supports.pack) throwsCode(() => [...reader.pack!()], 'READ_ONLY');
  });
}
