import assert from 'node:assert/strict';
import { TransactionMetaData } from '../../storage';
import type { Suite } from '../conformance';
import { throwsCode } from '../harness';
import { record } from '../records';

/** `HistoryStorage` of ZODB. */
export function historyPart({ test }: Suite): void {
  test('history lists revisions newest first, as many as are asked for', (h) => {
    const { oid, tid } = h.create('one');
    const second = h.commit(
      [{ oid, serial: tid, text: 'the second' }],
      new TransactionMetaData({ user: 'jürgen', description: 'why', extension: { answer: 42 } }),
    );
    h.create('unrelated');
    const third = h.change(oid, 'three');
    const tids = (size?: number): unknown[] => h.storage.history!(oid, size).map((entry) => entry.tid);
    assert.deepEqual(tids(), [third]);
    assert.deepEqual(tids(2), [third, second]);
    assert.deepEqual(tids(99), [third, second, tid]);
    const entry = h.storage.history!(oid, 2)[1]!;
    assert.equal(entry.size, record('the second').length);
    assert.equal(entry.meta.user, 'jürgen');
    assert.equal(entry.meta.description, 'why');
    assert.deepEqual(entry.meta.extension, { answer: 42 });
  });

  test('an unknown object has no history', ({ storage }) => {
    throwsCode(() => storage.history!(storage.newOid()), 'POS_KEY');
  });
}
