import assert from 'node:assert/strict';
import { ZERO_TID, type Oid, type Tid } from '../../ids';
import { TransactionMetaData } from '../../storage';
import type { Suite } from '../conformance';
import { Harness, throwsCode } from '../harness';
import { record, textOf } from '../records';

/** Commits that meet each other (`Synchronization`, `MTStorage` of ZODB). */
export function synchronisationPart({ setup, supports, test }: Suite): void {
  test('a commit that meets another of its own thread gets a retryable error at once', ({ storage }) => {
    const [first, second] = [new TransactionMetaData(), new TransactionMetaData()];
    storage.tpcBegin(first);
    assert.throws(
      () => {
        storage.tpcBegin(second);
        storage.tpcVote(second);
      },
      (error: unknown) => error instanceof Error && 'retryable' in error && error.retryable === true,
    );
    storage.tpcAbort(second);
    storage.store(storage.newOid(), ZERO_TID, record('x'), first);
    storage.tpcVote(first);
    const tid = storage.tpcFinish(first);
    storage.tpcBegin(second);
    storage.tpcVote(second);
    assert.ok(storage.tpcFinish(second) > tid);
  });

  if (supports.asyncCommit) {
    test('asynchronous commits queue in order', async ({ storage }) => {
      const order: number[] = [];
      const commitLater = async (place: number): Promise<Tid> => {
        const txn = new TransactionMetaData();
        await storage.tpcBeginAsync!(txn);
        storage.store(storage.newOid(), ZERO_TID, record(`commit ${place}`), txn);
        await new Promise((resolve) => setTimeout(resolve, 1));
        await storage.tpcVoteAsync!(txn);
        order.push(place);
        return storage.tpcFinishAsync!(txn);
      };
      const tids = await Promise.all(Array.from({ length: 8 }, (_, place) => commitLater(place)));
      assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7]);
      assert.deepEqual(
        [...tids].sort((a, b) => (a < b ? -1 : 1)),
        tids,
      );
      assert.equal(storage.objectCount(), 8);
    });

    test('a synchronous commit between an asynchronous vote and finish is refused, and oids are not', async (h) => {
      const txn = new TransactionMetaData();
      await h.storage.tpcBeginAsync!(txn);
      h.storage.store(h.storage.newOid(), ZERO_TID, record('async'), txn);
      await h.storage.tpcVoteAsync!(txn);
      const oids = Array.from({ length: 500 }, () => h.storage.newOid());
      throwsCode(() => h.storage.tpcBegin(new TransactionMetaData()), 'COMMIT_BUSY');
      h.storage.tpcAbort(txn);
      const after = Array.from({ length: 500 }, () => h.storage.newOid());
      assert.equal(new Set([...oids, ...after]).size, 1_000);
    });

    test('a transaction that is aborted while it waits leaves the queue', async ({ storage }) => {
      const [first, second, third] = [
        new TransactionMetaData(),
        new TransactionMetaData(),
        new TransactionMetaData(),
      ];
      await storage.tpcBeginAsync!(first);
      const waiting = storage.tpcBeginAsync!(second);
      const last = storage.tpcBeginAsync!(third);
      storage.tpcAbort(second);
      await assert.rejects(waiting);
      storage.tpcAbort(first);
      await last;
      storage.tpcAbort(third);
    });
  }

  if (!supports.multiProcess || !setup.openAgain) return;

  test('another process is noticed by the next poll, and by its conflicts', (h, also) => {
    const other = new Harness(also(setup.openAgain!(h.storage)));
    const { oid, tid } = h.create('count:1');
    const mine = h.storage.newInstance();
    mine.poll();
    const foreign = other.commit([{ oid, serial: tid, text: 'count:5' }]);
    assert.equal(textOf(mine.load(oid).data), 'count:1');
    assert.deepEqual(mine.poll(), [oid]);
    assert.equal(textOf(mine.load(oid).data), 'count:5');
    assert.deepEqual(h.invalidated, [[foreign, [oid]]]);
    assert.equal(h.storage.lastTransaction(), foreign);
    const theirs = other.storage.newInstance();
    theirs.poll();
    h.commit([{ oid, serial: foreign, text: 'count:6' }], undefined, mine);
    other.commit([{ oid, serial: foreign, text: 'count:8' }], undefined, theirs);
    assert.equal(h.text(oid), 'count:9');
    assert.deepEqual(mine.poll(), [oid]);
  });

  test('two processes never give out one oid, and their objects are kept apart', (h, also) => {
    const other = new Harness(also(setup.openAgain!(h.storage)));
    const oids: Oid[] = [];
    for (let round = 0; round < 200; round++) {
      oids.push(h.create(`mine ${round}`).oid, other.create(`theirs ${round}`).oid);
    }
    assert.equal(new Set(oids).size, 400);
    assert.equal(h.storage.objectCount(), 400);
    assert.equal(h.text(oids.at(-1)!), 'theirs 199');
  });
}
