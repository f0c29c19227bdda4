import { CorruptionError, InvalidArgumentError } from '../../errors';
import { formatTid, newTid, ZERO_TID, type Oid, type Tid } from '../../ids';
import type {
  AsyncCommitCapability,
  BlobSource,
  Committer,
  OptionalCommitCalls,
  StorageHost,
  Storage,
  TransactionStatus,
} from '../interfaces';
import { CommitLock } from '../commit-lock';
import { checkRecord } from '../record-check';
import type { TransactionMetaData } from '../transaction-meta';
import { undoByStoring, type UndoByStoring } from '../undo-by-storing';
import type { RecordTransform } from './transform';

/** How often a tid is chosen anew when another process was faster. */
const ATTEMPTS = 20;

/** What a wrapping storage and its instances share. */
export class TransformContext {
  readonly base: Storage;
  readonly transform: RecordTransform;
  /** Tids of transactions under way, where the transform needs them. */
  readonly tids = new WeakMap<TransactionMetaData, Tid>();
  host: StorageHost | undefined;
  /** One commit at a time, from the choice of its tid on. */
  readonly lock: CommitLock;
  /** The wrapping storage itself. */
  outer: Storage | undefined;

  constructor(base: Storage, transform: RecordTransform) {
    this.base = base;
    this.transform = transform;
    this.lock = new CommitLock(base.name);
  }

  readonly #undone = new WeakMap<TransactionMetaData, Map<Oid, Uint8Array | null>>();

  /** What {@link undoByStoring} needs to know. */
  undoing(txn: TransactionMetaData): Omit<UndoByStoring, 'target'> {
    let undone = this.#undone.get(txn);
    if (undone === undefined) this.#undone.set(txn, (undone = new Map()));
    return { storage: this.outer!, host: this.host, undone };
  }

  tidOf(txn: TransactionMetaData): Tid {
    return this.tids.get(txn) ?? ZERO_TID;
  }
}

/** The commit calls of a wrapper: what goes down is encoded. */
export abstract class TransformCommitter<Base extends Committer & OptionalCommitCalls> implements Committer {
  readonly undo?: (tid: Tid, txn: TransactionMetaData) => readonly Oid[];
  readonly restore?: NonNullable<OptionalCommitCalls['restore']>;
  readonly restoreBlob?: NonNullable<OptionalCommitCalls['restoreBlob']>;
  readonly deleteObject?: NonNullable<OptionalCommitCalls['deleteObject']>;
  readonly storeBlob?: NonNullable<OptionalCommitCalls['storeBlob']>;
  readonly tpcBeginAsync?: AsyncCommitCapability['tpcBeginAsync'];
  readonly tpcVoteAsync?: AsyncCommitCapability['tpcVoteAsync'];
  readonly tpcFinishAsync?: AsyncCommitCapability['tpcFinishAsync'];

  /** What undo stored in the transaction under way: news to the one that commits it, too. */
  protected undone: Oid[] = [];
  protected readonly base: Base;
  protected readonly context: TransformContext;

  constructor(base: Base, context: TransformContext) {
    this.base = base;
    this.context = context;
    const { transform } = context;
    if (base.undo) {
      this.undo = transform.boundToTid
        ? (tid, txn) => {
            const oids = undoByStoring({ ...context.undoing(txn), target: this }, tid, txn);
            this.undone.push(...oids);
            return oids;
          }
        : (tid, txn) => base.undo!(tid, txn);
    }
    if (base.restore) {
      this.restore = (oid, data, txn, dataTid) => {
        const encoded = data === null ? null : this.#encode(oid, data, txn);
        // Bytes bound to a tid are never those of another one.
        if (transform.boundToTid || dataTid === undefined) base.restore!(oid, encoded, txn);
        else base.restore!(oid, encoded, txn, dataTid);
      };
    }
    if (base.restoreBlob) {
      this.restoreBlob = (oid, data, source, txn) =>
        base.restoreBlob!(oid, this.#encode(oid, data, txn), this.#encodeBlob(oid, source, txn), txn);
    }
    if (base.deleteObject) this.deleteObject = (oid, serial, txn) => base.deleteObject!(oid, serial, txn);
    if (base.storeBlob) {
      this.storeBlob = (oid, serial, data, source, txn) =>
        base.storeBlob!(oid, serial, this.#encode(oid, data, txn), this.#encodeBlob(oid, source, txn), txn);
    }
    if (base.tpcBeginAsync) {
      this.tpcBeginAsync = (txn, tid, status) => this.#beginAsync(txn, tid, status);
      this.tpcVoteAsync = (txn) => base.tpcVoteAsync!(txn);
      this.tpcFinishAsync = async (txn, callback) =>
        this.#finished(txn, await base.tpcFinishAsync!(txn, callback));
    }
  }

  newOid(): Oid {
    return this.base.newOid();
  }

  tpcBegin(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): void {
    if (!this.context.transform.boundToTid) {
      this.base.tpcBegin(txn, tid, status);
      return;
    }
    this.checkOpen();
    this.context.lock.acquire(txn);
    try {
      for (
        let attempt = 1;
        !this.#begun(txn, tid, attempt, (chosen) => this.base.tpcBegin(txn, chosen, status));
        attempt++
      );
    } catch (error) {
      this.context.lock.release(txn);
      throw error;
    }
  }

  /** Throws `ClosedError`. */
  protected checkOpen(): void {
    this.context.base.lastTransaction();
  }

  store(
    oid: Oid,
    serial: Tid,
    data: Uint8Array,
    txn: TransactionMetaData,
    references?: readonly Oid[],
  ): void {
    this.base.store(oid, serial, this.#encode(oid, data, txn), txn, references);
  }

  checkCurrentSerial(oid: Oid, serial: Tid, txn: TransactionMetaData): void {
    this.base.checkCurrentSerial(oid, serial, txn);
  }

  tpcVote(txn: TransactionMetaData): readonly Oid[] {
    return this.base.tpcVote(txn);
  }

  tpcFinish(txn: TransactionMetaData, callback?: (tid: Tid) => void): Tid {
    return this.#finished(txn, this.base.tpcFinish(txn, callback));
  }

  tpcAbort(txn: TransactionMetaData): void {
    this.undone = [];
    this.context.tids.delete(txn);
    this.base.tpcAbort(txn);
    this.context.lock.release(txn);
  }

  async #beginAsync(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): Promise<void> {
    if (!this.context.transform.boundToTid) return this.base.tpcBeginAsync!(txn, tid, status);
    this.checkOpen();
    await this.context.lock.acquireAsync(txn);
    try {
      for (let attempt = 1; ; attempt++) {
        const chosen = tid ?? newTid(this.context.base.lastTransaction());
        try {
          await this.base.tpcBeginAsync!(txn, chosen, status);
          this.context.tids.set(txn, chosen);
          return;
        } catch (error) {
          if (!mayTryAgain(error, tid, attempt)) throw error;
        }
      }
    } catch (error) {
      this.context.lock.release(txn);
      throw error;
    }
  }

  /** Chooses the tid here, because what is written depends on it. False when it has to be chosen anew. */
  #begun(
    txn: TransactionMetaData,
    tid: Tid | undefined,
    attempt: number,
    begin: (chosen: Tid) => void,
  ): boolean {
    const chosen = tid ?? newTid(this.context.base.lastTransaction());
    try {
      begin(chosen);
    } catch (error) {
      if (mayTryAgain(error, tid, attempt)) return false;
      throw error;
    }
    this.context.tids.set(txn, chosen);
    return true;
  }

  #finished(txn: TransactionMetaData, tid: Tid): Tid {
    const chosen = this.context.tids.get(txn);
    this.context.tids.delete(txn);
    this.context.lock.release(txn);
    if (chosen !== undefined && chosen !== tid) {
      throw new CorruptionError(
        `The storage ${this.context.base.name} committed as ${formatTid(tid)} what was encoded for ${formatTid(chosen)}; ` +
          'it must not be changed behind its wrapper.',
      );
    }
    return tid;
  }

  #encode(oid: Oid, data: Uint8Array, txn: TransactionMetaData): Uint8Array {
    checkRecord(oid, data);
    return this.context.transform.encode(data, oid, this.context.tidOf(txn));
  }

  #encodeBlob(oid: Oid, source: BlobSource, txn: TransactionMetaData): BlobSource {
    const { transform, base } = this.context;
    if (transform.blobs === undefined) return source;
    return transform.blobs.encode(source, oid, this.context.tidOf(txn), base.blobDirectory!());
  }
}

/** Another process may have committed between the choice of the tid and the beginning. */
function mayTryAgain(error: unknown, tid: Tid | undefined, attempt: number): boolean {
  return tid === undefined && attempt < ATTEMPTS && error instanceof InvalidArgumentError;
}
