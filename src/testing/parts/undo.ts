import assert from 'node:assert/strict';
import type { Oid, Tid } from '../../ids';
import { runSteps, TransactionMetaData } from '../../storage';
import type { Suite } from '../conformance';
import { assertRecord, throwsCode } from '../harness';
import { textOf } from '../records';

/** `TransactionalUndoStorage` of ZODB. */
export function undoPart({ supports, test }: Suite): void {
  test('undo brings the former bytes back under a new tid; undo of the undo brings the later ones back', (h) => {
    const { oid } = h.create('one');
    const second = h.change(oid, 'two');
    const undone = h.undo(second);
    assertRecord(h.storage.load(oid), 'one', undone);
    const redone = h.undo(undone);
    assertRecord(h.storage.load(oid), 'two', redone);
    h.undo(redone);
    assert.equal(h.text(oid), 'one');
    assert.equal(textOf(h.storage.loadBefore(oid, undone)!.data), 'two');
    assert.equal(h.storage.loadBefore(oid, redone)!.serial, undone);
  });

  test('undoing a creation makes the object vanish; redo brings it back', (h) => {
    const { oid, tid } = h.create('one');
    const undone = h.undo(tid);
    throwsCode(() => h.storage.load(oid), 'POS_KEY');
    assertRecord(h.storage.loadBefore(oid, undone), 'one', tid);
    const redone = h.undo(undone);
    assertRecord(h.storage.load(oid), 'one', redone);
    assert.ok(h.change(oid, 'and on') > redone);
  });

  test('two objects of one transaction are undone together', (h) => {
    const [a, b] = [h.create('a1'), h.create('b1')];
    const both = h.commit([
      { oid: a.oid, serial: a.tid, text: 'a2' },
      { oid: b.oid, serial: b.tid, text: 'b2' },
    ]);
    assert.equal(both > b.tid, true);
    h.undo(both);
    assert.equal(h.text(a.oid), 'a1');
    assert.equal(h.text(b.oid), 'b1');
  });

  test('two transactions are undone one after another', (h) => {
    const { oid } = h.create('one');
    const second = h.change(oid, 'two');
    const third = h.change(oid, 'three');
    h.undo(third);
    assert.equal(h.text(oid), 'two');
    h.undo(second);
    assert.equal(h.text(oid), 'one');
  });

  test('what a later transaction changed can not be undone; nothing changes', (h) => {
    const { oid } = h.create('one');
    const { oid: other } = h.create('other');
    const second = h.commit([
      { oid, serial: h.storage.load(oid).serial, text: 'two' },
      { oid: other, serial: h.storage.load(other).serial, text: 'changed' },
    ]);
    const third = h.change(oid, 'three');
    assert.throws(() => h.undo(second), { code: 'UNDO' });
    assertRecord(h.storage.load(oid), 'three', third);
    assert.equal(h.text(other), 'changed');
    assert.equal(h.storage.lastTransaction(), third);
  });

  test('the creation of an object that was changed later can not be undone', (h) => {
    const { oid, tid } = h.create('one');
    h.change(oid, 'two');
    throwsCode(() => h.undo(tid), 'UNDO');
  });

  test('what was changed back can be undone', (h) => {
    const { oid } = h.create('one');
    const second = h.change(oid, 'two');
    h.change(oid, 'three');
    h.change(oid, 'two');
    h.undo(second);
    assert.equal(h.text(oid), 'one');
  });

  test('several transactions are undone in one, each with what the ones before left', (h) => {
    const { oid } = h.create('one');
    const tids = [h.change(oid, 'two'), h.change(oid, 'three'), h.change(oid, 'four')];
    const undone = h.undo(...tids.reverse());
    assertRecord(h.storage.load(oid), 'one', undone);
    h.undo(undone);
    assert.equal(h.text(oid), 'four');
  });

  test('later changes that can be merged stay', (h) => {
    const { oid } = h.create('count:1');
    const second = h.change(oid, 'count:11');
    h.change(oid, 'count:13');
    h.undo(second);
    assert.equal(h.text(oid), 'count:3');
  });

  test('an unknown transaction can not be undone', (h) => {
    const { tid } = h.create('x');
    throwsCode(() => h.undo((tid + 1n) as Tid), 'UNDO');
    throwsCode(() => h.undo(1n as Tid), 'UNDO');
  });

  test('an undo can be aborted', (h) => {
    const { oid, tid } = h.create('one');
    const second = h.change(oid, 'two');
    const txn = new TransactionMetaData();
    h.storage.tpcBegin(txn);
    assert.deepEqual(h.storage.undo!(second, txn), [oid]);
    h.storage.tpcAbort(txn);
    assertRecord(h.storage.load(oid), 'two', second);
    assert.equal(h.storage.loadSerial(oid, tid).serial, tid);
  });

  test('an undo invalidates every instance, that which committed it too', (h) => {
    const { oid } = h.create('one');
    const second = h.change(oid, 'two');
    const [mine, other] = [h.storage.newInstance(), h.storage.newInstance()];
    mine.poll();
    other.poll();
    h.transact((txn) => mine.undo!(second, txn), undefined, mine);
    for (const instance of [mine, other]) {
      assert.equal(textOf(instance.load(oid).data), 'two');
      assert.deepEqual([...new Set(instance.poll() as Oid[])], [oid]);
      assert.equal(textOf(instance.load(oid).data), 'one');
    }
  });

  test('undo and changes go together in one transaction', (h) => {
    const { oid } = h.create('one');
    const { oid: other, tid } = h.create('other');
    const second = h.change(oid, 'two');
    h.transact((txn) => {
      h.storage.undo!(second, txn);
      h.storage.store(other, tid, h.storage.load(oid).data, txn);
    });
    assert.equal(h.text(oid), 'one');
    assert.equal(h.text(other), 'two');
  });

  test('the undo log is newest first and counts what the filter takes', (h) => {
    const tids: Tid[] = [];
    for (let count = 0; count < 8; count++) {
      const user = count % 2 ? 'odd' : 'even';
      tids.unshift(
        h.commit([{ oid: h.storage.newOid(), text: String(count) }], new TransactionMetaData({ user })),
      );
    }
    const log = (...args: Parameters<NonNullable<typeof h.storage.undoLog>>): Tid[] =>
      h.storage.undoLog!(...args).map(({ tid }) => tid);
    assert.deepEqual(log(), tids);
    assert.deepEqual(log(0, 3), tids.slice(0, 3));
    assert.deepEqual(log(2, 5), tids.slice(2, 5));
    assert.deepEqual(log(1, -2), tids.slice(1, 3));
    assert.deepEqual(
      log(1, 3, ({ meta }) => meta.user === 'odd'),
      [tids[2], tids[4]],
    );
    assert.deepEqual(log(99), []);
    assert.equal(h.storage.undoLog!(0, 1)[0]!.meta.user, 'odd');
  });

  if (!supports.pack) return;
  test('the undo log stops at the pack time; what is later can still be undone', (h) => {
    const { oid } = h.create('one');
    h.root([oid]);
    const second = h.change(oid, 'two');
    runSteps(h.storage.pack!());
    const third = h.change(oid, 'three');
    assert.deepEqual(
      h.storage.undoLog!().map(({ tid }) => tid),
      [third],
    );
    throwsCode(() => h.undo(second), 'UNDO');
    h.undo(third);
    assert.equal(h.text(oid), 'two');
  });
}
