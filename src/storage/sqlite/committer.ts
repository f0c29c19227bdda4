import { ReadOnlyError, StorageTransactionError, UnsupportedError } from '../../errors';
import type { Oid, Tid } from '../../ids';
import { keepSpecimen, objectList } from '../../specimens';
import { CommitLock } from '../commit-lock';
import type { BlobSource, TransactionStatus } from '../interfaces';
import { checkRecord } from '../record-check';
import { TransactionMetaData } from '../transaction-meta';
import type { Blobs } from './blobs';
import { areDoomed } from './doomed';
import type { Engine } from './engine';
import { areManyStores, type Change } from './change';
import { checkIdentity, type Handle } from './handle';
import type { SqliteInstance } from './instance';
import { OidSource } from './oid-source';
import { checkDoomed, checkReferences } from './removal-checks';
import { Revisions } from './revisions';
import { WriteContext } from './write-context';
import { WriteTransaction } from './write-transaction';

/** Buffered changes of more bytes than this are written before the vote, under the write lock. */
const MAX_BUFFERED = 64 * 1024 * 1024;

/** The transaction of this thread that is between begin and finish. */
interface Current {
  readonly txn: TransactionMetaData;
  readonly tid: Tid | undefined;
  readonly status: TransactionStatus;
  readonly instance: SqliteInstance | undefined;
  changes: Change[];
  bytes: number;
  written: number;
  /** It rewrites what its own connection may have cached. */
  tellOwn: boolean;
  writing: WriteTransaction | undefined;
  voted: boolean;
  contents: number[];
}

function begun(
  txn: TransactionMetaData,
  tid: Tid | undefined,
  status: TransactionStatus,
  instance: SqliteInstance | undefined,
): Current {
  return {
    txn,
    tid,
    status,
    instance,
    changes: objectList(),
    bytes: 0,
    written: 0,
    tellOwn: false,
    writing: undefined,
    voted: false,
    contents: [],
  };
}

keepSpecimen(begun(new TransactionMetaData(), undefined, ' ', undefined));

/**
 * Two-phase commit for the storage and its instances. What a transaction stores is buffered until the vote, so that the
 * file's write lock is held from vote to finish only; one transaction of this thread is under way at a time.
 */
export class SqliteCommitter {
  readonly #engine: Engine;
  readonly #blobs: Blobs;
  readonly #context: WriteContext;
  readonly #oids: OidSource;
  readonly #lock: CommitLock;
  readonly #afterCommit: (pages: number, instance: SqliteInstance | undefined) => void;
  readonly #committed: Revisions;
  #current: Current | undefined;

  /**
   * @param revisions what is committed, as the reader sees it
   * @param committed called after each commit, with about how many pages it wrote and who made it
   */
  constructor(
    engine: Engine,
    blobs: Blobs,
    revisions: Revisions,
    committed: (pages: number, instance: SqliteInstance | undefined) => void,
  ) {
    this.#engine = engine;
    this.#blobs = blobs;
    this.#afterCommit = committed;
    this.#committed = revisions;
    this.#oids = new OidSource(engine);
    this.#context = this.contextFor(engine.writer, new Revisions(engine.writer, engine.tids));
    this.#lock = new CommitLock(engine.path);
  }

  newOid(): Oid {
    if (this.#engine.isClosed || this.#engine.options.readOnly) this.#checkWritable();
    return this.#oids.newOid();
  }

  tpcBegin(
    txn: TransactionMetaData,
    tid?: Tid,
    status: TransactionStatus = ' ',
    instance?: SqliteInstance,
  ): void {
    this.#checkWritable();
    this.#lock.acquire(txn);
    this.#current = begun(txn, tid, status, instance);
  }

  async tpcBeginAsync(
    txn: TransactionMetaData,
    tid?: Tid,
    status: TransactionStatus = ' ',
    instance?: SqliteInstance,
  ): Promise<void> {
    this.#checkWritable();
    await this.#lock.acquireAsync(txn);
    this.#current = begun(txn, tid, status, instance);
  }

  store(
    oid: Oid,
    serial: Tid,
    data: Uint8Array,
    txn: TransactionMetaData,
    references?: readonly Oid[],
  ): void {
    const current = this.#current?.txn === txn ? this.#current : this.#require(txn);
    checkRecord(oid, data);
    current.changes.push({ kind: 'store', oid, serial, data, references, content: undefined });
    current.bytes += data.length;
    if (current.bytes > MAX_BUFFERED || current.voted) this.#applyNow(current);
  }

  storeBlob(oid: Oid, serial: Tid, data: Uint8Array, source: BlobSource, txn: TransactionMetaData): void {
    const current = this.#require(txn);
    checkRecord(oid, data);
    const content = this.#stage(current, source);
    this.#add(current, { kind: 'store', oid, serial, data, references: undefined, content });
  }

  restore(oid: Oid, data: Uint8Array | null, txn: TransactionMetaData): void {
    const current = this.#require(txn);
    if (data !== null) checkRecord(oid, data);
    current.tellOwn = true;
    this.#add(current, {
      kind: 'restore',
      oid,
      serial: 0n as Tid,
      data,
      references: undefined,
      content: undefined,
    });
  }

  restoreBlob(oid: Oid, data: Uint8Array, source: BlobSource, txn: TransactionMetaData): void {
    const current = this.#require(txn);
    checkRecord(oid, data);
    current.tellOwn = true;
    const content = this.#stage(current, source);
    this.#add(current, { kind: 'restore', oid, serial: 0n as Tid, data, references: undefined, content });
  }

  deleteObject(oid: Oid, serial: Tid, txn: TransactionMetaData): void {
    const current = this.#require(txn);
    current.tellOwn = true;
    this.#add(current, {
      kind: 'delete',
      oid,
      serial,
      data: null,
      references: undefined,
      content: undefined,
    });
  }

  checkCurrentSerial(oid: Oid, serial: Tid, txn: TransactionMetaData): void {
    const current = this.#require(txn);
    this.#add(current, { kind: 'check', oid, serial, data: null, references: undefined, content: undefined });
  }

  undo(tid: Tid, txn: TransactionMetaData): readonly Oid[] {
    const current = this.#require(txn);
    if (this.#engine.history === 'none') {
      throw new UnsupportedError(`${this.#engine.path} keeps no history, so nothing can be undone.`);
    }
    current.tellOwn = true;
    const writing = this.#enter(current);
    try {
      this.#apply(current, writing);
      return writing.undo(tid);
    } catch (error) {
      throw this.#engine.writer.failed(error);
    }
  }

  /** For an instance that commits through a handle of its own. */
  contextFor(handle: Handle, revisions: Revisions): WriteContext {
    return new WriteContext(this.#engine, handle, revisions, this.#oids, this.#blobs);
  }

  /**
   * Which objects do not exist. The answer stays true for the transaction: either it holds the write lock from here on, or
   * the vote finds out that something was removed after its instance had looked for removals.
   */
  missing(oids: readonly Oid[], txn: TransactionMetaData | undefined): readonly Oid[] {
    const current = this.#current?.txn === txn ? this.#current : undefined;
    if (current !== undefined && current.instance?.knownRemovals === undefined) this.#enter(current);
    return (current?.writing ? this.#context.revisions : this.#committed).missing(oids);
  }

  tpcVote(txn: TransactionMetaData): readonly Oid[] {
    const current = this.#require(txn);
    return this.#vote(current, this.#enterFromSnapshot(current) ?? this.#enter(current));
  }

  async tpcVoteAsync(txn: TransactionMetaData): Promise<readonly Oid[]> {
    const current = this.#require(txn);
    if (this.#enterFromSnapshot(current) === undefined) {
      this.#checkFile();
      await this.#engine.writer.beginImmediateAsync(this.#engine.options.lockTimeout);
      if (this.#current !== current) {
        this.#engine.writer.rollback();
        return [];
      }
      this.#entered(current, this.#context);
    }
    return this.#vote(current, current.writing!);
  }

  #vote(current: Current, writing: WriteTransaction): readonly Oid[] {
    try {
      this.#apply(current, writing);
      if (!current.voted) writing.finish(current.txn, current.status);
      current.voted = true;
      return writing.resolved;
    } catch (error) {
      throw this.#engine.writer.failed(error);
    }
  }

  tpcFinish(txn: TransactionMetaData, callback?: (tid: Tid) => void): Tid {
    const current = this.#require(txn);
    if (!current.voted) this.tpcVote(txn);
    const { seq, tid, changed } = current.writing!;
    const { log, checkpoints } = this.#engine;
    const removals = current.tellOwn ? current.writing!.removals() : log.removals;
    checkpoints.space.provide();
    try {
      current.writing!.handle.commit();
    } catch (error) {
      this.tpcAbort(txn);
      throw error;
    }
    this.#engine.writing = undefined;
    // The write lock made sure that nobody else committed: first what they did before, then this.
    if (log.latest < seq - 1) log.catchUp();
    if (log.latest < seq) log.add(seq, tid, changed);
    if (removals > log.removals) log.removals = removals;
    if (!current.tellOwn) current.instance?.committed(current.writing!);
    this.#oids.committed();
    this.#end(txn);
    callback?.(tid);
    // An object's page; that of the transaction, and those of what was superseded and of what is large.
    this.#afterCommit(2 + changed.length + current.written / 1_024, current.instance);
    return tid;
  }

  tpcAbort(txn: TransactionMetaData): void {
    const current = this.#current;
    if (current?.txn !== txn) {
      this.#lock.release(txn);
      return;
    }
    try {
      const { writing } = this.#engine;
      this.#engine.writing = undefined;
      writing?.rollback();
      current.instance?.rolledBack();
      this.#oids.rolledBack();
      this.#blobs.discard(current.contents);
    } finally {
      this.#end(txn);
    }
  }

  close(error: unknown): void {
    if (this.#current) this.tpcAbort(this.#current.txn);
    this.#lock.close(error);
  }

  #end(txn: TransactionMetaData): void {
    this.#current = undefined;
    this.#lock.release(txn);
  }

  #add(current: Current, change: Change): void {
    current.changes.push(change);
    current.bytes += change.data?.length ?? 0;
    if (current.bytes > MAX_BUFFERED || current.voted) this.#applyNow(current);
  }

  /** Does not wait for the vote. */
  #applyNow(current: Current): void {
    const writing = this.#enter(current);
    try {
      this.#apply(current, writing);
    } catch (error) {
      throw this.#engine.writer.failed(error);
    }
  }

  #stage(current: Current, source: BlobSource): number {
    if (current.voted) {
      throw new StorageTransactionError('The contents of blobs must be stored before tpcVote.');
    }
    const content = this.#blobs.stage(source);
    current.contents.push(content);
    return content;
  }

  /** Takes the file's write lock. */
  #enter(current: Current): WriteTransaction {
    if (current.writing) return current.writing;
    this.#checkFile();
    this.#engine.writer.beginImmediate(this.#engine.options.lockTimeout);
    return this.#entered(current, this.#context);
  }

  /**
   * Takes the file's write lock through the instance's own handle, where nobody committed since its snapshot: what it has
   * cached stays good, and there is nothing to look up again. Not for what writes through the writer's statements.
   */
  #enterFromSnapshot(current: Current): WriteTransaction | undefined {
    if (current.writing) return current.writing;
    if (current.instance === undefined || current.tellOwn || current.contents.length > 0) return undefined;
    this.#checkFile();
    const context = current.instance.beginWriting();
    return context && this.#entered(current, context);
  }

  #entered(current: Current, context: WriteContext): WriteTransaction {
    this.#engine.writing = context.handle;
    try {
      return (current.writing = new WriteTransaction(context, current.instance, current.tid));
    } catch (error) {
      throw this.#engine.writer.failed(error);
    }
  }

  #apply(current: Current, writing: WriteTransaction): void {
    const { changes } = current;
    this.#checkRemovals(current, writing);
    if (areManyStores(changes)) writing.storeMany(changes);
    else for (const change of changes) writing.apply(change);
    current.changes = objectList();
    current.written += current.bytes;
    current.bytes = 0;
  }

  /** Another process removed objects after the connection had asked: what this transaction refers to may be among them. */
  #checkRemovals({ instance, changes }: Current, writing: WriteTransaction): void {
    const isSnapshot = writing.handle !== this.#engine.writer;
    const removals = isSnapshot ? this.#engine.log.removals : writing.removals();
    if (areDoomed(removals)) checkDoomed(this.#context, changes);
    if (isSnapshot || instance?.knownRemovals === undefined || instance.knownRemovals === removals) return;
    const stored = new Set(writing.changed);
    for (const { oid } of changes) stored.add(oid);
    checkReferences(this.#context, changes, stored);
  }

  #require(txn: TransactionMetaData): Current {
    const current = this.#current;
    if (current?.txn === txn) return current;
    this.#engine.checkOpen();
    this.#lock.require(txn);
    throw new StorageTransactionError('This transaction has not begun yet: wait for tpcBeginAsync.');
  }

  #checkFile(): void {
    checkIdentity(this.#engine.path, this.#engine.identity);
  }

  #checkWritable(): void {
    this.#engine.checkOpen();
    if (this.#engine.options.readOnly) throw new ReadOnlyError(`${this.#engine.path} is open read-only.`);
  }
}
