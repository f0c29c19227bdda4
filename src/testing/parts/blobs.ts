import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ZERO_TID, type Oid, type Tid } from '../../ids';
import {
  copyTransactions,
  MemoryStorage,
  runSteps,
  TransactionMetaData,
  type BlobSource,
} from '../../storage';
import type { Suite } from '../conformance';
import { Harness, throwsCode } from '../harness';
import { blobRecord } from '../records';

/** `blob_*` of ZODB. */
export function blobsPart({ setup, supports, test }: Suite): void {
  const store = (
    h: Harness,
    source: BlobSource,
    oid = h.storage.newOid(),
    serial = ZERO_TID,
  ): { oid: Oid; tid: Tid } => ({
    oid,
    tid: h.transact((txn) => h.storage.storeBlob!(oid, serial, blobRecord(), source, txn)),
  });

  const content = (h: Harness, oid: Oid, tid: Tid): Buffer => {
    const reader = h.storage.openBlob!(oid, tid);
    try {
      const all = Buffer.alloc(reader.size);
      let done = 0;
      while (done < all.length) {
        const count = reader.read(all, done, 100_000, done);
        assert.ok(count > 0);
        done += count;
      }
      assert.equal(reader.read(Buffer.alloc(1), 0, 1, done), 0);
      return all;
    } finally {
      reader.close();
    }
  };

  test('blobs of all sizes come back', (h) => {
    for (const size of [0, 1, 4_095, 65_536, 65_537, 1_000_003]) {
      const bytes = pattern(size);
      const { oid, tid } = store(h, bytes);
      assert.ok(content(h, oid, tid).equals(bytes), `${size} bytes`);
    }
  });

  test('a blob is read from any place', (h) => {
    const bytes = pattern(300_000);
    const { oid, tid } = store(h, bytes);
    const reader = h.storage.openBlob!(oid, tid);
    for (const [position, length] of [
      [0, 10],
      [65_530, 12],
      [299_990, 100],
      [131_072, 65_536],
      [5, 1],
    ] as const) {
      const target = Buffer.alloc(length + 4, 0xee);
      const count = reader.read(target, 2, length, position);
      assert.equal(count, Math.min(length, 300_000 - position));
      assert.ok(target.subarray(2, 2 + count).equals(bytes.subarray(position, position + count)));
      assert.equal(target[0], 0xee);
    }
    reader.close();
    reader.close();
  });

  test('a blob is taken from a file, which may be consumed', (h) => {
    const directory = h.storage.blobDirectory!();
    const [kept, consumed] = [join(directory, 'kept'), join(directory, 'consumed')];
    for (const path of [kept, consumed]) writeFileSync(path, pattern(100_000));
    const one = store(h, { path: kept, consume: false });
    const two = store(h, { path: consumed, consume: true });
    assert.ok(existsSync(kept));
    assert.ok(!existsSync(consumed));
    for (const { oid, tid } of [one, two]) assert.ok(content(h, oid, tid).equals(pattern(100_000)));
  });

  test('each revision has its own content', (h) => {
    const { oid, tid } = store(h, Buffer.from('one'));
    const second = store(h, Buffer.from('the second'), oid, tid).tid;
    assert.equal(content(h, oid, second).toString(), 'the second');
    if (supports.history) assert.equal(content(h, oid, tid).toString(), 'one');
  });

  test('a revision that is stored without a content has none, and the one before keeps its', (h) => {
    const { oid, tid } = store(h, Buffer.from('one'));
    const bare = h.transact((txn) => h.storage.store(oid, tid, blobRecord(), txn));
    throwsCode(() => h.storage.openBlob!(oid, bare), 'POS_KEY');
    if (supports.history) assert.equal(content(h, oid, tid).toString(), 'one');
    const third = store(h, Buffer.from('three'), oid, bare).tid;
    assert.equal(content(h, oid, third).toString(), 'three');
    throwsCode(() => h.storage.openBlob!(oid, bare), 'POS_KEY');
  });

  test('an instance opens the blobs of its snapshot', (h) => {
    const { oid, tid } = store(h, Buffer.from('one'));
    const instance = h.storage.newInstance();
    instance.poll();
    const reader = instance.openBlob!(oid, instance.load(oid).serial);
    store(h, Buffer.from('two'), oid, tid);
    const target = Buffer.alloc(3);
    reader.read(target, 0, 3, 0);
    assert.equal(target.toString(), 'one');
    reader.close();
  });

  test('objects without a blob say so', (h) => {
    const { oid, tid } = h.create('no blob');
    throwsCode(() => h.storage.openBlob!(oid, tid), 'POS_KEY');
    throwsCode(() => h.storage.openBlob!(h.storage.newOid(), tid), 'POS_KEY');
  });

  test('an aborted blob leaves nothing', (h) => {
    const { oid, tid } = store(h, Buffer.from('kept'));
    const txn = new TransactionMetaData();
    const lost = h.storage.newOid();
    h.storage.tpcBegin(txn);
    h.storage.storeBlob!(oid, tid, blobRecord(), pattern(200_000), txn);
    h.storage.storeBlob!(lost, ZERO_TID, blobRecord(), pattern(200_000), txn);
    h.storage.tpcVote(txn);
    h.storage.tpcAbort(txn);
    assert.equal(content(h, oid, tid).toString(), 'kept');
    throwsCode(() => h.storage.load(lost), 'POS_KEY');
    assert.equal(readdirSync(h.storage.blobDirectory!()).length, 0);
  });

  test('a stale blob is a conflict', (h) => {
    const { oid, tid } = store(h, Buffer.from('one'));
    const second = store(h, Buffer.from('two'), oid, tid).tid;
    throwsCode(() => store(h, Buffer.from('mine'), oid, tid), 'CONFLICT');
    assert.equal(content(h, oid, second).toString(), 'two');
  });

  if (supports.blobPaths) {
    test('the content is a read-only file', (h) => {
      const { oid, tid } = store(h, Buffer.from('in a file'));
      assert.equal(readFileSync(h.storage.blobPath!(oid, tid), 'utf8'), 'in a file');
    });
  }

  if (supports.undo) {
    test('undo brings the former content back; so does redo', (h) => {
      const { oid, tid } = store(h, Buffer.from('one'));
      const second = store(h, Buffer.from('two'), oid, tid).tid;
      const undone = h.undo(second);
      assert.equal(content(h, oid, undone).toString(), 'one');
      const redone = h.undo(undone);
      assert.equal(content(h, oid, redone).toString(), 'two');
      const vanished = h.undo(store(h, Buffer.from('new')).tid);
      assert.ok(vanished > redone);
    });

    test('a blob that was changed again can not be undone, though its record is the same', (h) => {
      const { oid, tid } = store(h, Buffer.from('one'));
      const second = store(h, Buffer.from('two'), oid, tid).tid;
      const third = store(h, Buffer.from('three'), oid, second).tid;
      throwsCode(() => h.undo(second), 'UNDO');
      assert.equal(content(h, oid, third).toString(), 'three');
    });
  }

  if (supports.pack) {
    test('packing removes the contents of dropped revisions and objects only', (h) => {
      const [kept, garbage] = [store(h, pattern(150_000)), store(h, pattern(90_000))];
      const second = store(h, Buffer.from('second'), kept.oid, kept.tid).tid;
      h.root([kept.oid]);
      const report = runSteps(h.storage.pack!());
      assert.equal(content(h, kept.oid, second).toString(), 'second');
      throwsCode(() => h.storage.openBlob!(kept.oid, kept.tid), 'POS_KEY');
      throwsCode(() => h.storage.openBlob!(garbage.oid, garbage.tid), 'POS_KEY');
      assert.equal(report.blobs, 2);
      assert.equal(report.objects, 1);
    });

    test('a blob that is open stays readable across a pack', (h) => {
      const { oid, tid } = store(h, pattern(200_000));
      h.root([]);
      const reader = h.storage.openBlob!(oid, tid);
      runSteps(h.storage.pack!());
      const target = Buffer.alloc(200_000);
      assert.equal(reader.read(target, 0, 200_000, 0), 200_000);
      assert.ok(target.equals(pattern(200_000)));
      reader.close();
    });
  }

  if (supports.restore && supports.iterate) {
    test('blobs are copied with their transactions', (h, also) => {
      const source = new Harness(also(new MemoryStorage()));
      const { oid, tid } = store(source, pattern(100_000));
      const second = store(source, Buffer.from('two'), oid, tid).tid;
      source.undo(second);
      runSteps(copyTransactions(source.storage, h.storage));
      for (const { tid: each } of source.storage.iterate!()) {
        if (!supports.history && each !== h.storage.lastTransaction()) continue;
        assert.ok(content(h, oid, each).equals(content(source, oid, each)));
      }
    });
  }

  if (supports.persistent && setup.reopen) {
    test('blobs are there after the database was closed and opened again', (h, also) => {
      const { oid, tid } = store(h, pattern(100_000));
      const again = new Harness(also(setup.reopen!(h.storage)));
      assert.ok(content(again, oid, tid).equals(pattern(100_000)));
    });
  }
}

function pattern(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at++) bytes[at] = (at * 7 + (at >> 8)) & 0xff;
  return bytes;
}
