import { ClosedError, ConflictError, POSKeyError, ReadConflictError, UnsupportedError } from '../../errors';
import { MAX_TID, newTid, ROOT_OID, ZERO_TID, type Oid, type Tid } from '../../ids';
import type {
  BlobReader,
  BlobSource,
  BoundedRecord,
  CurrentRecord,
  HistoryEntry,
  InstanceOptions,
  LoadedRecord,
  PackOptions,
  PackReport,
  Storage,
  StorageHost,
  StorageInstance,
  StorageSupports,
  TransactionInfo,
  TransactionRecord,
  TransactionStatus,
} from '../interfaces';
import { MemoryStorage } from '../memory';
import { mergeConflict } from '../merge-conflict';
import { MvccAdapter } from '../mvcc-adapter';
import type { Steps } from '../steps';
import { TransactionMetaData } from '../transaction-meta';
import { undoByStoring } from '../undo-by-storing';
import { FreeOids } from './free-oids';
import { Layers, orMissing } from './layers';
import { currentOfLayers, newestChanges } from './merge-records';
import type { Pending } from './pending';
import { supportsOf } from './supports';
import { checkOptions, type DemoStorageOptions } from './options';

/**
 * Changes layered over a base that stays as it is: try something on a real database, run tests on prepared data. Deletions are
 * changes, too. Layers can be stacked with {@link push} and taken off with {@link pop}.
 */
export class DemoStorage implements Storage {
  readonly name: string;
  readonly supports: StorageSupports;
  readonly readOnly: boolean;
  readonly sortKey: string;
  readonly base: Storage;
  readonly changes: Storage;

  readonly #layers: Layers;
  readonly #oids: FreeOids;
  readonly #adapter = new MvccAdapter(this);
  readonly #closeBase: boolean;
  readonly #closeChanges: boolean;
  #host: StorageHost | undefined;
  #pending: Pending | undefined;
  #created: number;
  #removals = 0;
  #isClosed = false;

  constructor(options: DemoStorageOptions = {}) {
    checkOptions(options);
    const { base, changes, closeBase = true, closeChanges = true } = options;
    this.base = base ?? new MemoryStorage({ name: 'empty' });
    this.changes = changes ?? new MemoryStorage({ name: 'changes' });
    if (!this.changes.supports.history) {
      throw new UnsupportedError(
        `${this.changes.name} keeps no history, so it can't take the changes of a DemoStorage.`,
      );
    }
    this.name = `demo(${this.base.name})`;
    this.sortKey = `demo:${this.changes.sortKey}`;
    this.readOnly = this.changes.readOnly;
    this.#closeBase = closeBase;
    this.#closeChanges = closeChanges;
    this.#layers = new Layers(this.base, this.changes);
    this.#oids = new FreeOids(this.#layers);
    this.supports = supportsOf(this.base.supports, this.changes.supports);
    this.#created = this.changes.objectCount();
    this.changes.registerDB({
      invalidate: () => undefined,
      invalidateAll: () => undefined,
      // Conflicts are merged here, where both layers are seen.
      resolveConflict: () => undefined,
      references: (record) => this.#host?.references(record) ?? [],
    });
  }

  /** A storage for changes over this one; this one is not changed any more. */
  push(changes?: Storage): DemoStorage {
    return new DemoStorage({ base: this, ...(changes && { changes }) });
  }

  /** Closes the changes, and gives the base back. */
  pop(): Storage {
    this.#adapter.close();
    this.#isClosed = true;
    this.changes.close();
    return this.base;
  }

  registerDB(host: StorageHost): void {
    this.#host = host;
  }

  newInstance(options?: InstanceOptions): StorageInstance {
    this.#checkOpen();
    return this.#adapter.newInstance(options);
  }

  lastTransaction(): Tid {
    this.#checkOpen();
    const last = this.changes.lastTransaction();
    return last > this.#layers.baseLast ? last : this.#layers.baseLast;
  }

  load(oid: Oid): LoadedRecord {
    this.#checkOpen();
    return this.#layers.load(oid);
  }

  loadBefore(oid: Oid, tid: Tid): BoundedRecord | undefined {
    this.#checkOpen();
    return this.#layers.loadBefore(oid, tid);
  }

  loadSerial(oid: Oid, tid: Tid): LoadedRecord {
    this.#checkOpen();
    return this.#layers.loadSerial(oid, tid);
  }

  history(oid: Oid, size = 1): HistoryEntry[] {
    this.#checkOpen();
    return this.#layers.history(oid, size);
  }

  objectCount(): number {
    this.#checkOpen();
    return this.base.objectCount() + this.#created;
  }

  size(): number {
    this.#checkOpen();
    return this.base.size() + this.changes.size();
  }

  removals(): number {
    return this.#removals;
  }

  newOid(): Oid {
    this.#checkOpen();
    // Also throws when the changes are read-only or closed.
    this.changes.newOid();
    return this.#oids.take();
  }

  tpcBegin(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): void {
    this.#checkOpen();
    this.changes.tpcBegin(txn, tid ?? this.#tidAfterBase(), status);
    this.#begun(txn);
  }

  async tpcBeginAsync(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): Promise<void> {
    this.#checkOpen();
    await this.changes.tpcBeginAsync!(txn, tid ?? this.#tidAfterBase(), status);
    this.#begun(txn);
  }

  store(
    oid: Oid,
    serial: Tid,
    data: Uint8Array,
    txn: TransactionMetaData,
    references?: readonly Oid[],
  ): void {
    const { below, record } = this.#resolved(oid, serial, data, txn, false);
    this.changes.store(oid, below, record, txn, record === data ? references : undefined);
    this.#note(oid);
  }

  storeBlob(oid: Oid, serial: Tid, data: Uint8Array, source: BlobSource, txn: TransactionMetaData): void {
    const { below } = this.#resolved(oid, serial, data, txn, true);
    this.changes.storeBlob!(oid, below, data, source, txn);
    this.#note(oid);
  }

  deleteObject(oid: Oid, serial: Tid, txn: TransactionMetaData): void {
    const place = this.#layers.place(oid);
    if (place === 'changes') {
      this.changes.deleteObject!(oid, serial, txn);
    } else {
      const current = this.#layers.load(oid).serial;
      if (current !== serial) throw new ConflictError(undefined, { oid, serials: [current, serial] });
      this.changes.restore!(oid, null, txn);
    }
    this.#note(oid);
    this.#pending!.removed = true;
  }

  restore(oid: Oid, data: Uint8Array | null, txn: TransactionMetaData, dataTid?: Tid): void {
    this.changes.restore!(oid, data, txn, dataTid);
    this.#note(oid);
    if (data === null) this.#pending!.removed = true;
  }

  restoreBlob(oid: Oid, data: Uint8Array, source: BlobSource, txn: TransactionMetaData): void {
    this.changes.restoreBlob!(oid, data, source, txn);
    this.#note(oid);
  }

  checkCurrentSerial(oid: Oid, serial: Tid, txn: TransactionMetaData): void {
    if (this.#layers.place(oid) !== 'base') {
      this.changes.checkCurrentSerial(oid, serial, txn);
      return;
    }
    const current = this.#layers.load(oid).serial;
    if (current !== serial) throw new ReadConflictError(undefined, { oid, serials: [current, serial] });
  }

  undo(tid: Tid, txn: TransactionMetaData): readonly Oid[] {
    const pending = this.#pending;
    if (pending?.txn !== txn) return this.changes.undo!(tid, txn);
    return undoByStoring({ storage: this, target: this, host: this.#host, undone: pending.undone }, tid, txn);
  }

  undoLog(first?: number, last?: number, filter?: (entry: TransactionInfo) => boolean): TransactionInfo[] {
    this.#checkOpen();
    return this.changes.undoLog!(first, last, filter);
  }

  tpcVote(txn: TransactionMetaData): readonly Oid[] {
    const resolved = this.changes.tpcVote(txn);
    return [...resolved, ...(this.#pending?.resolved ?? [])];
  }

  async tpcVoteAsync(txn: TransactionMetaData): Promise<readonly Oid[]> {
    const resolved = await this.changes.tpcVoteAsync!(txn);
    return [...resolved, ...(this.#pending?.resolved ?? [])];
  }

  tpcFinish(txn: TransactionMetaData, callback?: (tid: Tid) => void): Tid {
    return this.#finished(txn, this.changes.tpcFinish(txn, callback));
  }

  async tpcFinishAsync(txn: TransactionMetaData, callback?: (tid: Tid) => void): Promise<Tid> {
    return this.#finished(txn, await this.changes.tpcFinishAsync!(txn, callback));
  }

  tpcAbort(txn: TransactionMetaData): void {
    if (this.#pending?.txn === txn) this.#pending = undefined;
    this.changes.tpcAbort(txn);
  }

  iterate(start: Tid = ZERO_TID, stop: Tid = MAX_TID): IterableIterator<TransactionRecord> {
    this.#checkOpen();
    return this.#iterate(start, stop);
  }

  *#iterate(start: Tid, stop: Tid): IterableIterator<TransactionRecord> {
    const { baseLast } = this.#layers;
    yield* this.base.iterate!(start, stop < baseLast ? stop : baseLast);
    yield* this.changes.iterate!(start, stop);
  }

  currentRecords(from: Oid = ROOT_OID): IterableIterator<CurrentRecord> {
    this.#checkOpen();
    return currentOfLayers(this.#layers, from);
  }

  openBlob(oid: Oid, serial: Tid): BlobReader {
    this.#checkOpen();
    const changed = orMissing(() => this.changes.openBlob!(oid, serial));
    if (changed !== undefined) return changed;
    if (this.base.openBlob === undefined) throw new POSKeyError(oid);
    return this.base.openBlob(oid, serial);
  }

  blobPath(oid: Oid, serial: Tid): string {
    this.#checkOpen();
    return orMissing(() => this.changes.blobPath!(oid, serial)) ?? this.base.blobPath!(oid, serial);
  }

  blobDirectory(): string {
    this.#checkOpen();
    return this.changes.blobDirectory!();
  }

  /**
   * Packs the changes. Garbage is what nothing in the changes leads to: the base stays as it is, and can't refer to what
   * is new.
   */
  *pack(options: PackOptions = {}): Steps<PackReport> {
    this.#checkOpen();
    const newest = newestChanges(this.changes);
    const overBase = [...newest.keys()].filter((oid) => this.#layers.inBase(oid) !== undefined);
    const roots = [...(options.roots ?? []), ...overBase];
    const report = yield* this.changes.pack!({ ...options, roots });
    if (options.dryRun !== true) {
      this.#removals++;
      this.#created = this.changes.objectCount() - overBase.length;
      this.#deleteAgain(overBase.filter((oid) => newest.get(oid) === null));
    }
    return report;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#adapter.close();
    if (this.#closeChanges) this.changes.close();
    if (this.#closeBase) this.base.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** The record to be stored, and the serial that it follows in the changes. */
  #resolved(
    oid: Oid,
    serial: Tid,
    data: Uint8Array,
    txn: TransactionMetaData,
    isBlob: boolean,
  ): { below: Tid; record: Uint8Array } {
    this.#checkOpen();
    if (this.#pending?.txn !== txn) return { below: serial, record: data };
    const changed = this.#layers.inChanges(oid);
    const deletion = changed === undefined ? this.#layers.changeHistory(oid)[0]?.tid : undefined;
    if (deletion !== undefined) return { below: serial, record: data };
    const current = changed ?? this.#layers.inBase(oid);
    if (current === undefined) {
      this.#pending.created++;
      return { below: ZERO_TID, record: data };
    }
    const below = changed?.serial ?? ZERO_TID;
    if (current.serial === serial) return { below, record: data };
    if (isBlob) throw new ConflictError(undefined, { oid, serials: [current.serial, serial] });
    const record = mergeConflict(this.#host, {
      oid,
      committedSerial: current.serial,
      oldSerial: serial,
      committed: current.data,
      newData: data,
      loadOld: () => this.#layers.loadSerial(oid, serial),
    });
    this.#pending.resolved.push(oid);
    return { below, record };
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new ClosedError(`The storage ${this.name} is closed.`);
  }

  /** A tid later than those of the base, when the clock is behind them. */
  #tidAfterBase(): Tid | undefined {
    const { baseLast } = this.#layers;
    if (this.changes.lastTransaction() > baseLast || newTid(ZERO_TID) > baseLast) return undefined;
    return newTid(baseLast);
  }

  #begun(txn: TransactionMetaData): void {
    this.#pending = { txn, changed: new Set(), resolved: [], undone: new Map(), removed: false, created: 0 };
  }

  #note(oid: Oid): void {
    this.#pending?.changed.add(oid);
  }

  #finished(txn: TransactionMetaData, tid: Tid): Tid {
    const pending = this.#pending;
    this.#pending = undefined;
    this.#created += pending?.created ?? 0;
    if (pending?.removed) this.#removals++;
    this.#adapter.committed(tid, [...(pending?.changed ?? [])], txn);
    return tid;
  }

  /** A pack forgets deleted objects; here that would bring the base's back. */
  #deleteAgain(deleted: readonly Oid[]): void {
    const forgotten = deleted.filter((oid) => this.#layers.place(oid) === 'base');
    if (forgotten.length === 0) return;
    const txn = new TransactionMetaData({ description: 'objects deleted over the base' });
    this.tpcBegin(txn);
    for (const oid of forgotten) this.restore(oid, null, txn);
    this.tpcVote(txn);
    this.tpcFinish(txn);
  }
}
