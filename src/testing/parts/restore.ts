import assert from 'node:assert/strict';
import type { Tid } from '../../ids';
import { copyTransactions, MemoryStorage, runSteps, TransactionMetaData } from '../../storage';
import type { Suite } from '../conformance';
import { Harness, assertRecord, throwsCode } from '../harness';
import { record } from '../records';

/** `RecoveryStorage` of ZODB. */
export function restorePart({ supports, test }: Suite): void {
  test('a copy has the same transactions, records and metadata', (h, also) => {
    const source = new Harness(also(new MemoryStorage()));
    fill(source);
    runSteps(copyTransactions(source.storage, h.storage));
    compare(source, h, supports.history);
  });

  if (supports.history) {
    test('what was copied can be copied on', (h, also) => {
      const source = new Harness(also(new MemoryStorage()));
      fill(source);
      runSteps(copyTransactions(source.storage, h.storage));
      const target = new Harness(also(new MemoryStorage()));
      runSteps(copyTransactions(h.storage, target.storage));
      compare(source, target, true);
    });
  }

  test('restored tids, status and data are kept, without conflict checks', (h) => {
    const oid = h.storage.newOid();
    const meta = new TransactionMetaData({ description: 'restored' });
    const tid = 0x03f4_7f95_55dc_2e22n as Tid;
    h.storage.tpcBegin(meta, tid, 'p');
    h.storage.restore!(oid, record('old'), meta);
    h.storage.tpcVote(meta);
    assert.equal(h.storage.tpcFinish(meta), tid);
    const next = new TransactionMetaData();
    h.storage.tpcBegin(next, (tid + 1n) as Tid);
    h.storage.restore!(oid, record('newer'), next);
    h.storage.tpcVote(next);
    h.storage.tpcFinish(next);
    assertRecord(h.storage.load(oid), 'newer', (tid + 1n) as Tid);
    assert.equal([...h.storage.iterate!()][0]!.status, 'p');
    assert.ok(h.change(oid, 'after') > tid);
  });

  test('a restored deletion makes the object vanish', (h) => {
    const { oid } = h.create('there');
    h.transact((txn) => h.storage.restore!(oid, null, txn));
    throwsCode(() => h.storage.load(oid), 'POS_KEY');
  });

  test('oids go on after restored ones', (h) => {
    h.transact((txn) => h.storage.restore!(77_777 as never, record('x'), txn));
    assert.ok(h.storage.newOid() > 77_777);
  });
}

function fill(source: Harness): void {
  const a = source.create('a');
  const b = source.create('b', [a.oid]);
  source.root([b.oid]);
  const changed = source.commit(
    [
      { oid: a.oid, serial: a.tid, text: 'a2' },
      { oid: b.oid, serial: b.tid, text: 'b2' },
    ],
    new TransactionMetaData({ user: 'Ünal', description: 'both', extension: { n: 1 } }),
  );
  source.commit([], new TransactionMetaData({ description: 'empty' }));
  const undone = source.undo(changed);
  source.undo(undone);
  source.undo(source.create('never').tid);
  source.transact((txn) => {
    source.storage.deleteObject!(b.oid, source.storage.load(b.oid).serial, txn);
  });
}

function compare(source: Harness, target: Harness, withHistory: boolean): void {
  const [expected, found] = [source, target].map((h) => [...h.storage.iterate!()]) as [never[], never[]];
  const facts = ({
    tid,
    status,
    meta,
  }: {
    tid: Tid;
    status: string;
    meta: TransactionMetaData;
  }): unknown => ({
    tid,
    status,
    user: meta.user,
    description: meta.description,
    extension: Buffer.from(meta.extensionBytes).toString('hex'),
  });
  assert.deepEqual(found.map(facts), expected.map(facts));
  if (withHistory) assert.deepEqual(found.map(recordFacts), expected.map(recordFacts));
  for (const { oid, data, serial } of source.storage.currentRecords!()) {
    const copy = target.storage.load(oid);
    assert.deepEqual(Buffer.from(copy.data), Buffer.from(data));
    assert.equal(copy.serial, serial);
  }
}

function recordFacts(transaction: {
  records(): Iterable<{ oid: number; data: Uint8Array | null }>;
}): unknown[] {
  return [...transaction.records()]
    .map(
      ({ oid, data }) =>
        [oid, data === null ? null : Buffer.from(data).toString('hex')] as [number, string | null],
    )
    .sort(([a], [b]) => a - b);
}
