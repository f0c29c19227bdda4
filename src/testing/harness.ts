import assert from 'node:assert/strict';
import { ZERO_TID, type Oid, type Tid } from '../ids';
import {
  TransactionMetaData,
  type Committer,
  type LoadedRecord,
  type Storage,
  type StorageHost,
} from '../storage';
import { mergeCounters, record, referencesOf, textOf } from './records';

/** What to do to an object in {@link Harness.commit}. */
export interface Write {
  readonly oid: Oid;
  /** Default: a new object. */
  readonly serial?: Tid;
  readonly text: string;
  readonly references?: readonly Oid[];
}

/** A storage under test, with a host that can merge counters, and short ways to use it. */
export class Harness {
  readonly storage: Storage;
  /** What the host was told, in order. */
  readonly invalidated: [Tid, readonly Oid[]][] = [];

  constructor(storage: Storage) {
    this.storage = storage;
    const host: StorageHost = {
      invalidate: (tid, oids) => void this.invalidated.push([tid, oids]),
      invalidateAll: () => undefined,
      resolveConflict: mergeCounters,
      references: referencesOf,
    };
    storage.registerDB(host);
  }

  /** Commits some records and returns the tid. */
  commit(
    writes: readonly Write[],
    meta = new TransactionMetaData(),
    committer: Committer = this.storage,
  ): Tid {
    return this.transact(
      (txn) => {
        for (const { oid, serial, text, references } of writes) {
          committer.store(oid, serial ?? ZERO_TID, record(text, references), txn);
        }
      },
      meta,
      committer,
    );
  }

  /** Runs `work` between begin and vote; whatever it throws aborts. */
  transact(
    work: (txn: TransactionMetaData) => void,
    txn = new TransactionMetaData(),
    committer: Committer = this.storage,
  ): Tid {
    committer.tpcBegin(txn);
    try {
      work(txn);
      committer.tpcVote(txn);
    } catch (error) {
      committer.tpcAbort(txn);
      throw error;
    }
    return committer.tpcFinish(txn);
  }

  /** Commits one new object; its oid and tid. */
  create(text: string, references: readonly Oid[] = []): { oid: Oid; tid: Tid } {
    const oid = this.storage.newOid();
    return { oid, tid: this.commit([{ oid, text, references }]) };
  }

  /** Commits a new revision of an object. */
  change(oid: Oid, text: string, references: readonly Oid[] = []): Tid {
    return this.commit([{ oid, serial: this.storage.load(oid).serial, text, references }]);
  }

  /** Undoes transactions in one transaction. */
  undo(...tids: Tid[]): Tid {
    return this.transact((txn) => {
      for (const tid of tids) this.storage.undo!(tid, txn);
    });
  }

  /** The current text of an object. */
  text(oid: Oid): string {
    return textOf(this.storage.load(oid).data);
  }

  /** Commits a new object as the root, with these references. */
  root(references: readonly Oid[]): Tid {
    let serial = ZERO_TID;
    try {
      serial = this.storage.load(0 as Oid).serial;
    } catch {
      // It is the first one.
    }
    return this.commit([{ oid: 0 as Oid, serial, text: 'root', references }]);
  }
}

/** Asserts that a call throws an error of this package with this code. */
export function throwsCode(call: () => unknown, ...codes: string[]): void {
  assert.throws(call, (error: unknown) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    assert.ok(codes.includes(code), `expected ${codes.join(' or ')}, not ${code}: ${String(error)}`);
    return true;
  });
}

/** Asserts a record's text and serial. */
export function assertRecord(found: LoadedRecord | undefined, text: string, serial: Tid): void {
  assert.ok(found, `no revision with the text ${text}`);
  assert.equal(textOf(found.data), text);
  assert.equal(found.serial, serial);
}
