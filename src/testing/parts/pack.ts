import assert from 'node:assert/strict';
import { timeOfTid, type Oid } from '../../ids';
import { runSteps, runStepsAsync, TransactionMetaData, type PackOptions } from '../../storage';
import type { Suite } from '../conformance';
import { assertRecord, throwsCode, type Harness } from '../harness';
import { record, textOf } from '../records';

/** A server may not be able to stop a pack that was given up: then the next one has to wait for its end. */
function whenFree(work: () => void): void {
  for (let tries = 4_000; ; tries--) {
    try {
      work();
      return;
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'PACKING' || tries === 0) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 25);
    }
  }
}

/** `PackableStorage`, `PackableUndoStorage` of ZODB, and the hazards of its pack. */
export function packPart({ supports, test }: Suite): void {
  const pack = (h: Harness, options?: PackOptions): ReturnType<typeof runSteps> =>
    runSteps(h.storage.pack!(options));
  const exists = (h: Harness, oid: Oid): boolean => {
    try {
      h.storage.load(oid);
      return true;
    } catch {
      return false;
    }
  };

  test('packing an empty storage does nothing', (h) => {
    assert.deepEqual(pack(h), { revisions: 0, objects: 0, blobs: 0, bytes: 0 });
  });

  test('packing for yesterday leaves everything, for tomorrow is packing now', (h) => {
    const { oid, tid } = h.create('one');
    h.root([oid]);
    const second = h.change(oid, 'two');
    const day = 86_400_000;
    pack(h, { time: Date.now() - day });
    if (supports.history) assertRecord(h.storage.loadSerial(oid, tid), 'one', tid);
    pack(h, { time: Date.now() + day });
    assertRecord(h.storage.load(oid), 'two', second);
    throwsCode(() => h.storage.loadSerial(oid, tid), 'POS_KEY');
  });

  test('superseded revisions go, current ones stay', (h) => {
    const [a, b] = [h.create('a'), h.create('b')];
    h.root([a.oid, b.oid]);
    const second = h.change(a.oid, 'a2');
    const third = h.change(a.oid, 'a3');
    pack(h);
    assertRecord(h.storage.load(a.oid), 'a3', third);
    assertRecord(h.storage.loadSerial(a.oid, third), 'a3', third);
    assertRecord(h.storage.load(b.oid), 'b', b.tid);
    throwsCode(() => h.storage.loadSerial(a.oid, second), 'POS_KEY');
    throwsCode(() => h.storage.loadSerial(a.oid, a.tid), 'POS_KEY');
    const before = h.storage.lastTransaction();
    assert.ok(h.change(a.oid, 'a4') > before);
  });

  test('unreachable objects go, reachable ones stay, also through cycles', (h) => {
    const [a, b, c] = [h.storage.newOid(), h.storage.newOid(), h.storage.newOid()];
    const [d, e] = [h.storage.newOid(), h.storage.newOid()];
    h.root([a]);
    h.commit([
      { oid: a, text: 'a', references: [b] },
      { oid: b, text: 'b', references: [a, c] },
      { oid: c, text: 'c' },
      { oid: d, text: 'garbage', references: [e, a] },
      { oid: e, text: 'more of it', references: [d] },
    ]);
    const removals = h.storage.newInstance().removals?.();
    const report = pack(h) as { objects: number };
    assert.equal(report.objects, 2);
    for (const oid of [0 as Oid, a, b, c]) assert.ok(exists(h, oid));
    for (const oid of [d, e]) throwsCode(() => h.storage.load(oid), 'POS_KEY');
    assert.equal(h.storage.objectCount(), 4);
    if (removals !== undefined) assert.notEqual(h.storage.newInstance().removals!(), removals);
  });

  test('without garbage collection unreachable objects stay', (h) => {
    const { oid: garbage } = h.create('garbage');
    h.root([]);
    pack(h, { gc: false });
    assert.equal(h.text(garbage), 'garbage');
    pack(h);
    assert.ok(!exists(h, garbage));
  });

  test('what other databases refer to stays, with all it leads to', (h) => {
    const { oid: inner } = h.create('inner');
    const { oid: outer } = h.create('outer', [inner]);
    const { oid: garbage } = h.create('garbage');
    h.root([]);
    pack(h, { roots: [outer] });
    assert.deepEqual(
      [inner, outer, garbage].map((oid) => exists(h, oid)),
      [true, true, false],
    );
  });

  test('without a root nothing is collected', (h) => {
    const { oid } = h.create('no root yet');
    pack(h);
    assert.equal(h.text(oid), 'no root yet');
  });

  test('a dry run tells, and removes nothing', (h) => {
    const a = h.create('a');
    const { oid: garbage } = h.create('garbage');
    h.root([a.oid]);
    h.change(a.oid, 'a2');
    const would = pack(h, { dryRun: true });
    assert.equal(h.text(garbage), 'garbage');
    if (supports.history) assertRecord(h.storage.loadSerial(a.oid, a.tid), 'a', a.tid);
    assert.deepEqual(pack(h), would);
    assert.deepEqual(would, { ...(would as object), revisions: supports.history ? 2 : 1, objects: 1 });
  });

  test('packing twice changes nothing more', (h) => {
    const { oid } = h.create('one');
    h.root([oid]);
    h.change(oid, 'two');
    pack(h);
    const last = h.storage.lastTransaction();
    assert.deepEqual(pack(h), { revisions: 0, objects: 0, blobs: 0, bytes: 0 });
    assert.equal(h.text(oid), 'two');
    assert.equal(h.storage.lastTransaction(), last);
  });

  test('objects stored after the pack time stay, with what they refer to', async (h) => {
    const { oid: old } = h.create('old garbage');
    const rooted = h.root([]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const { oid: later } = h.create('later', [old]);
    pack(h, { time: timeOfTid(rooted) + 0.5 });
    assert.equal(h.text(old), 'old garbage');
    assert.equal(h.text(later), 'later');
  });

  if (supports.history) {
    test('what a retained former revision refers to stays', async (h) => {
      const { oid: target } = h.create('target');
      const { oid: holder } = h.create('holder', [target]);
      const rooted = h.root([holder]);
      await new Promise((resolve) => setTimeout(resolve, 5));
      h.change(holder, 'lets go');
      pack(h, { time: timeOfTid(rooted) + 0.5 });
      assert.equal(h.text(target), 'target');
      pack(h);
      assert.ok(!exists(h, target));
    });

    test('only what is before the pack time is dropped', async (h) => {
      const { oid, tid } = h.create('one');
      h.root([oid]);
      const second = h.change(oid, 'two');
      await new Promise((resolve) => setTimeout(resolve, 5));
      const third = h.change(oid, 'three');
      const fourth = h.change(oid, 'four');
      pack(h, { time: timeOfTid(second) + 0.5 });
      throwsCode(() => h.storage.loadSerial(oid, tid), 'POS_KEY');
      assertRecord(h.storage.loadSerial(oid, second), 'two', second);
      assertRecord(h.storage.loadSerial(oid, third), 'three', third);
      assertRecord(h.storage.loadBefore(oid, fourth), 'three', third);
    });

    test('a snapshot from before the pack reads what it needs, or is told to run again', (h) => {
      const { oid, tid } = h.create('one');
      h.root([oid]);
      const instance = h.storage.newInstance();
      instance.poll();
      h.change(oid, 'two');
      pack(h);
      try {
        assertRecord(instance.load(oid), 'one', tid);
      } catch (error) {
        assert.equal((error as { code: string }).code, 'READ_CONFLICT');
      }
      instance.poll();
      assert.equal(textOf(instance.load(oid).data), 'two');
    });
  }

  if (supports.undo) {
    test('an object unlinked and linked again by undo stays', async (h) => {
      const { oid } = h.create('linked');
      const rooted = h.root([oid]);
      await new Promise((resolve) => setTimeout(resolve, 5));
      const unlinked = h.root([]);
      pack(h, { time: timeOfTid(rooted) + 0.5 });
      h.undo(unlinked);
      pack(h);
      assert.equal(h.text(oid), 'linked');
    });

    test('packing after many undos keeps what is current', (h) => {
      const { oid } = h.create('one');
      h.root([oid]);
      let tid = h.change(oid, 'two');
      for (let count = 0; count < 7; count++) tid = h.undo(tid);
      pack(h);
      assertRecord(h.storage.load(oid), 'one', tid);
      assert.ok(h.storage.objectCount() === 2);
    });
  }

  test('commits between the steps of a pack are kept, garbage that is linked again too', (h) => {
    const garbage = Array.from({ length: 60 }, (_, count) => h.create(`garbage ${count}`).oid);
    const kept = Array.from({ length: 200 }, (_, count) => h.create(`kept ${count}`).oid);
    h.root(kept);
    const instance = h.storage.newInstance();
    instance.poll();
    const steps = h.storage.pack!();
    for (let step = steps.next(), round = 0; !step.done; step = steps.next(), round++) {
      const { oid } = h.create(`during ${round}`);
      kept.push(oid);
      // A program that still has the object in memory links it again, unless it learns that it is gone.
      const again = garbage[round % garbage.length]!;
      const serial = h.storage.load(0 as Oid).serial;
      const txn = new TransactionMetaData();
      instance.tpcBegin(txn);
      const linked = instance.missing([again]).length === 0;
      if (linked) kept.push(again);
      instance.store(0 as Oid, serial, record('root', kept), txn);
      instance.tpcVote(txn);
      instance.tpcFinish(txn);
      instance.poll();
    }
    for (const oid of kept) assert.ok(exists(h, oid));
  });

  test('a second pack is refused while one is under way', (h) => {
    for (let count = 0; count < 50; count++) h.create(`garbage ${count}`);
    h.root([]);
    const first = h.storage.pack!();
    if (first.next().done) return;
    throwsCode(() => pack(h), 'PACKING');
    first.return(undefined as never);
    whenFree(() => pack(h));
    assert.equal(h.storage.objectCount(), 1);
  });

  test('a pack that is stopped leaves everything whole, and can be done again', (h) => {
    const kept = Array.from({ length: 30 }, (_, count) => h.create(`kept ${count}`).oid);
    for (let count = 0; count < 100; count++) h.create(`garbage ${count}`);
    h.root(kept);
    for (let stop = 1; stop < 6; stop++) {
      whenFree(() => {
        const steps = h.storage.pack!();
        for (let count = 0; count < stop && !steps.next().done; count++);
        steps.return(undefined as never);
      });
      for (const oid of kept) assert.ok(exists(h, oid));
    }
    whenFree(() => pack(h));
    assert.equal(h.storage.objectCount(), 31);
  });

  test('packs asynchronously, with progress, and stops at a signal', async (h) => {
    for (let count = 0; count < 50; count++) h.create(`garbage ${count}`);
    h.root([]);
    const aborted = AbortSignal.abort(new Error('enough'));
    await assert.rejects(runStepsAsync(h.storage.pack!(), { signal: aborted }), /enough/);
    const phases = new Set<string>();
    const report = await runStepsAsync(h.storage.pack!(), { onProgress: ({ phase }) => phases.add(phase) });
    assert.equal(report.objects, 50);
  });
}
