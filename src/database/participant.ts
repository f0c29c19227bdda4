import { ConflictError, ReadConflictError } from '../errors';
import { formatOid, type Oid, type Tid } from '../ids';
import type { SerializedObject } from '../persistence/index';
import type { Storage } from '../storage/index';
import type { DataManager, DataManagerSavepoint, Transaction } from '../transaction/index';
import { BlobKeeper } from './blob-keeper';
import { explainConflict } from './conflict-details';
import type { ConnectionJar } from './connection-jar';
import type { OverlayRecord } from './overlay';
import type { ReferenceCheck } from './reference-check';
import { StorageCommit } from './storage-commit';
import { tracing, type CommitMessage, type ConflictMessage, type StoreMessage } from './tracing';

const NONE: readonly Oid[] = [];

/** What a participant asks of its connection. */
export interface ParticipantOwner {
  readonly largeRecordSize: number;
  /** Throws when this connection must not commit. */
  checkWritable(): void;
  /** The participant has left its transaction, which was given up. */
  left(): void;
  readonly references: ReferenceCheck;
  /** The storage that all connections of the database share. */
  readonly wholeStorage: Storage;
  /** Objects that others changed in the same commit: this connection's storage instance does not tell of them. */
  changedElsewhere(oids: readonly Oid[]): void;
  /** The participant has left its transaction, which was committed. */
  committed(tid: Tid, oids: readonly Oid[]): void;
}

/** A connection's part in a transaction: two-phase commit and savepoints (`ZODB/src/ZODB/Connection.py`). */
export class Participant implements DataManager {
  /** Storages across a network can commit without blocking the event loop; the others do it at once either way. */
  readonly mode: 'sync' | 'both';
  readonly #owner: ParticipantOwner;
  readonly #jar: ConnectionJar;
  readonly #sortKey: string;
  readonly #storage: Storage;
  readonly #largeRecordSize: number;
  readonly blobs: BlobKeeper;
  #commit: StorageCommit | undefined;
  #stored: Oid[] = [];
  /** Blobs that were marked as changed, with no content written: their revision stays. */
  #unchanged: Oid[] = [];
  /** Objects that an import brought in: they are in the overlay, and known to the cache only when they were used. */
  #imported: Oid[] = [];
  /** When the commit under way began, if somebody wants to know. */
  #began: number | undefined;
  /** Whether somebody wants to know what is stored. */
  #tracesStores = false;

  constructor(owner: ParticipantOwner, jar: ConnectionJar, sortKey: string, blobs: BlobKeeper) {
    this.mode = jar.storage.supports.asyncCommit ? 'both' : 'sync';
    this.#owner = owner;
    this.#jar = jar;
    this.#sortKey = sortKey;
    this.#storage = owner.wholeStorage;
    this.#largeRecordSize = owner.largeRecordSize;
    this.blobs = blobs;
  }

  sortKey(): string {
    return this.#sortKey;
  }

  tpcBegin(transaction: Transaction): void {
    this.#prepare(transaction).begin();
  }

  async tpcBeginAsync(transaction: Transaction): Promise<void> {
    await this.#prepare(transaction).beginAsync();
  }

  commit(): void {
    const { overlay, cache, current } = this.#jar;
    this.#owner.references.begin();
    if (overlay.size === 0) {
      cache.beginSerializing();
      for (let next = cache.nextSerialized(); next !== undefined; next = cache.nextSerialized()) {
        this.#store(next, next.object, next.refersToGhosts);
      }
    } else {
      this.#saveToOverlay();
      for (const oid of overlay.oids()) {
        const record = overlay.get(oid)!;
        this.#store({ oid, ...record }, cache.peek(oid), true);
      }
    }
    this.#owner.references.verify(this.#commit!.instance, this.#stored);
    if (current.size > 0) this.#checkCurrent();
  }

  tpcVote(): void {
    try {
      this.#commit!.vote();
    } catch (error) {
      throw this.#noteConflict(error);
    }
  }

  async tpcVoteAsync(): Promise<void> {
    try {
      await this.#commit!.voteAsync();
    } catch (error) {
      throw this.#noteConflict(error);
    }
  }

  tpcFinish(): void {
    this.#finished(this.#commit!.finish());
  }

  async tpcFinishAsync(): Promise<void> {
    this.#finished(await this.#commit!.finishAsync());
  }

  tpcCommit(): void {
    let tid: Tid;
    try {
      tid = this.#commit!.commit();
    } catch (error) {
      throw this.#noteConflict(error);
    }
    this.#finished(tid);
  }

  async tpcCommitAsync(): Promise<void> {
    let tid: Tid;
    try {
      tid = await this.#commit!.commitAsync();
    } catch (error) {
      throw this.#noteConflict(error);
    }
    this.#finished(tid);
  }

  tpcAbort(): void {
    try {
      this.#commit?.abort();
    } finally {
      this.#commit = undefined;
      this.#giveUp();
    }
  }

  abort(): void {
    this.#giveUp();
  }

  savepoint(): DataManagerSavepoint {
    const { overlay, cache, current } = this.#jar;
    cache.flushExposed();
    this.#saveToOverlay();
    const mark = overlay.mark;
    const saved = cache.savepoint();
    const reads = new Map(current);
    const blobs = this.blobs.savepoint();
    cache.shrink(true);
    return {
      rollback: () => {
        // New objects that were evicted are read from the overlay once more, before they are set free.
        cache.rollbackTo(saved);
        overlay.rollback(mark);
        this.blobs.rollback(blobs);
        current.clear();
        for (const [oid, serial] of reads) current.set(oid, serial);
      },
    };
  }

  addImported(oids: readonly Oid[]): void {
    for (const oid of oids) this.#imported.push(oid);
  }

  #prepare(transaction: Transaction): StorageCommit {
    this.#owner.checkWritable();
    this.#began = tracing.commit.hasSubscribers ? performance.now() : undefined;
    this.#tracesStores = tracing.store.hasSubscribers;
    this.#stored = [];
    if (this.#unchanged.length > 0) this.#unchanged = [];
    return (this.#commit = StorageCommit.join(transaction, this.#storage, this.#jar.storage));
  }

  #saveToOverlay(): void {
    const { overlay, cache } = this.#jar;
    for (const object of cache.serializeChanged()) {
      overlay.set(object.oid, {
        data: object.data,
        serial: object.serial,
        references: object.references,
        className: `${object.className.module}.${object.className.name}`,
      });
      this.blobs.saved(object.oid, object.object);
    }
  }

  /** `live` is the object itself, if it is in memory; `toGhosts` see {@link ReferenceCheck.doubts}. */
  #store(
    object: SerializedObject | (OverlayRecord & { oid: Oid }),
    live: object | undefined,
    toGhosts: boolean,
  ): void {
    const { oid, serial, data, references } = object;
    const jar = this.#jar;
    const source = this.blobs.sourceOf(oid, live);
    if (source === 'unchanged') {
      // As in Python. A revision of a blob without a content could not be read.
      this.#unchanged.push(oid);
      return;
    }
    if (data.length >= this.#largeRecordSize) this.#warnOfSize(object);
    const check = this.#owner.references;
    if (references.length > 0 && check.doubts(references, toGhosts))
      check.note({ oid, className: nameOf(object), data, references });
    const commit = this.#commit!;
    if (commit.isShared) commit.claim(oid, this);
    const { instance, meta } = commit;
    try {
      if (source === undefined) instance.store(oid, serial, data, meta, references);
      else instance.storeBlob!(oid, serial, data, source, meta);
    } catch (error) {
      throw this.#noteConflict(error, object);
    }
    jar.stores++;
    this.#stored.push(oid);
    if (this.#tracesStores) {
      const message = { database: jar.databaseName, oid, className: nameOf(object), size: data.length };
      tracing.store.publish(message satisfies StoreMessage);
    }
  }

  #checkCurrent(): void {
    const { current } = this.#jar;
    const { instance, meta } = this.#commit!;
    for (const oid of this.#stored) current.delete(oid);
    for (const [oid, serial] of current) {
      try {
        instance.checkCurrentSerial(oid, serial, meta);
      } catch (error) {
        throw this.#noteConflict(error);
      }
    }
  }

  #finished(tid: Tid): void {
    const { cache, overlay, current, databaseName } = this.#jar;
    const commit = this.#commit!;
    const { resolved } = commit;
    for (const oid of resolved) cache.resolved(oid);
    for (const oid of this.#unchanged) cache.resolved(oid);
    overlay.clear();
    if (current.size > 0) current.clear();
    this.blobs.committed();
    cache.afterCommit(tid);
    if (this.#imported.length > 0) this.#forgetImported();
    this.#commit = undefined;
    const others = commit.isShared ? commit.writtenByOthers(this) : NONE;
    if (others.length > 0) this.#owner.changedElsewhere(others);
    if (this.#began !== undefined) {
      const milliseconds = performance.now() - this.#began;
      tracing.commit.publish({
        database: databaseName,
        tid,
        oids: this.#stored,
        milliseconds,
      } satisfies CommitMessage);
    }
    if (resolved.length > 0 && tracing.conflict.hasSubscribers) {
      for (const oid of resolved) this.#traceConflict(oid, undefined, true);
    }
    this.#owner.committed(tid, this.#stored);
  }

  /** Back to the snapshot: nothing of this transaction remains in memory. */
  #giveUp(): void {
    const { cache, overlay, current } = this.#jar;
    // New objects that were evicted are read from the overlay once more, before they are set free.
    cache.abort();
    overlay.clear();
    current.clear();
    this.blobs.abort();
    if (this.#imported.length > 0) this.#forgetImported();
    this.#owner.left();
  }

  /** Imported objects that were used carry the serial of the overlay, or are gone: either way they are stale. */
  #forgetImported(): void {
    this.#jar.cache.invalidate(this.#imported);
    this.#imported = [];
  }

  /** A conflict makes the copy in memory stale, so that the next attempt reads the newer one. */
  #noteConflict(error: unknown, object?: SerializedObject | (OverlayRecord & { oid: Oid })): unknown {
    if (!(error instanceof ConflictError)) return error;
    const explained = explainConflict(error, this.#jar, object);
    this.#traceConflict(explained.oid, explained.className, false);
    if (explained instanceof ReadConflictError && explained.oid !== undefined) {
      this.#jar.cache.invalidate([explained.oid]);
    }
    return explained;
  }

  #traceConflict(oid: Oid | undefined, className: string | undefined, resolved: boolean): void {
    if (!tracing.conflict.hasSubscribers) return;
    const message = { database: this.#jar.databaseName, oid, className, resolved };
    tracing.conflict.publish(message satisfies ConflictMessage);
  }

  #warnOfSize(object: SerializedObject | (OverlayRecord & { oid: Oid })): void {
    this.#jar.warn(
      `large-record:${nameOf(object)}`,
      `${nameOf(object)} ${formatOid(object.oid)} has a record of ${object.data.length} bytes. ` +
        'Large objects are read and written whole: split it, use a BTree, or put the bulk into a Blob.',
    );
  }
}

function nameOf({ className }: SerializedObject | OverlayRecord): string {
  return typeof className === 'string' ? className : `${className.module}.${className.name}`;
}
