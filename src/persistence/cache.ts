/**
 * The objects of one connection: identity, loading, and what becomes of them at commit and abort. See {@link ObjectCache} for the contract.
 */
import { InvalidArgumentError, InvalidObjectReference } from '../errors';
import { ZERO_TID, type Oid, type Tid } from '../ids';
import { AddedFields } from './added-fields';
import { Changes } from './changes';
import type { ClassModel } from './class-model';
import { classNameOf, requireModel } from './classes';
import { Exposures } from './exposures';
import type {
  CacheDetail,
  CacheOptions,
  CacheSavepoint,
  CacheStatistics,
  Jar,
  ObjectCache,
  SerializedObject,
} from './interfaces';
import { modelFor } from './guard';
import { emptyState } from './makers';
import { complete } from './following';
import { Loader } from './loading';
import type { ForeignRef, Ref } from './ref';
import { Saver } from './saving';
import { Residents } from './residents';
import { pendingRecord, Place, recordOf, Status, type ObjectRecord } from './stamp';

/** See {@link ObjectCache}. */
export class ObjectCacheImpl implements ObjectCache {
  readonly jar: Jar;
  /** Fields that new since the last commit: they can be deleted, and go with an abort. */
  readonly addedFields = new AddedFields();
  /** What the program got hold of. */
  readonly exposures: Exposures;
  /** The record that is being given its state, whose fields may be set without marking it changed. */
  filling: ObjectRecord | undefined;
  /** Objects in the middle of an operation that loads others: they keep their states. */
  readonly pinned: ObjectRecord[] = [];
  readonly #residents: Residents;
  readonly #loader: Loader;
  readonly #saver: Saver;
  readonly #changes = new Changes();
  readonly #resolved = new Set<Oid>();

  constructor(jar: Jar, options: CacheOptions = {}) {
    this.jar = jar;
    this.exposures = new Exposures(this, (object, record) => {
      this.#noteChanged(object, record);
    });
    this.#loader = new Loader(this);
    this.#residents = new Residents(this, this.#loader, options);
    this.#saver = new Saver(this, this.#loader);
  }

  get(oid: Oid): object {
    return this.#residents.get(oid);
  }

  getMany(oids: readonly Oid[]): object[] {
    return this.#residents.getMany(oids);
  }

  prefetch(oids: readonly Oid[]): void {
    this.#residents.loadMissing(oids, false);
  }

  peek(oid: Oid): object | undefined {
    return this.#residents.find(oid);
  }

  isGhost(oid: Oid): boolean {
    const object = this.#residents.find(oid);
    return object !== undefined && recordOf(object)!.status === Status.ghost;
  }

  /** The object that a reference stands for, loaded unless it may be a ghost. */
  follow(ref: Ref | ForeignRef): object {
    return this.#residents.follow(ref);
  }

  /** As {@link follow}, missing ones in one batch. */
  followMany(refs: readonly (Ref | ForeignRef)[], holder?: object, slot = 0): object[] {
    return this.#residents.followMany(refs, holder, slot);
  }

  /** As {@link followMany}, for what will probably be asked for; see {@link Residents.followAhead}. */
  followAhead(refs: readonly Ref[]): (object | undefined)[] | undefined {
    return this.#residents.followAhead(refs);
  }

  add(object: object): Oid {
    const record = recordOf(object);
    if (record?.cache === this) return record.oid!;
    const oid = this.jar.newOid();
    this.addAt(object, oid);
    return oid;
  }

  addAt(object: object, oid: Oid): void {
    const model = requireModel(object, this.jar.registry);
    const record = recordOf(object);
    if (record?.cache !== undefined) {
      throw new InvalidObjectReference(
        `This ${classNameOf(model, this.jar.registry)} belongs to ${record.cache === this ? 'this connection already' : 'another connection'}.`,
      );
    }
    if (this.#residents.find(oid) !== undefined)
      throw new InvalidArgumentError('There is an object with this oid already.');
    if (this.#changes.changed.length === 0) this.jar.objectChanged();
    this.enter(object, record ?? pendingRecord(object, emptyState(model.empty, 0)), oid);
    this.#changes.changed.push(object);
  }

  /** Notes an object as new and this cache's. */
  enter(object: object, record: ObjectRecord, oid: Oid): void {
    // A collection's class is not looked at before.
    if ((record.state[0].model as ClassModel | undefined) === undefined)
      record.state = emptyState(modelFor(object)!.model.empty, 0);
    record.oid = oid;
    record.cache = this;
    record.serial = ZERO_TID;
    record.status = Status.changed;
    record.size = 0;
    this.#changes.created.push(oid);
    this.#residents.hold(oid, object);
  }

  /** The first change of a clean object: the connection joins before anything is different. */
  markChanged(object: object, record: ObjectRecord): void {
    if (this.#changes.changed.length === 0) this.jar.objectChanged();
    record.status = Status.changed;
    this.#changes.changed.push(object);
    // What counts as loaded is held.
    if ((record.place & Place.counted) === 0) this.#residents.hold(record.oid!, object);
  }

  /** A change inside a plain value was found. When the jar takes none, it can only be given up: the object shows what is stored again. */
  #noteChanged(object: object, record: ObjectRecord): void {
    try {
      this.markChanged(object, record);
    } catch (error) {
      for (const other of this.exposures.takeChanged())
        this.#residents.drop(other, recordOf(other)!, 'abort');
      throw error;
    }
  }

  /** Takes a state that is not in place back: from probation, or from the jar. */
  activate(object: object, record: ObjectRecord): void {
    this.#residents.activate(object, record);
  }

  flushExposed(): void {
    if (this.#changes.anyLate) this.#takeLate();
    this.exposures.flush();
  }

  get hasChanges(): boolean {
    return this.#changes.any;
  }

  changedObjects(): object[] {
    return [...this.#changes.changed];
  }

  *serializeChanged(): IterableIterator<SerializedObject> {
    this.beginSerializing();
    for (let next = this.nextSerialized(); next !== undefined; next = this.nextSerialized()) yield next;
  }

  beginSerializing(): void {
    this.#saver.start(this.#changes.beginStoring());
  }

  nextSerialized(): SerializedObject | undefined {
    const next = this.#saver.next();
    if (next === undefined) return undefined;
    const { object, data } = next;
    const record = this.#saver.record!;
    this.#changes.written(object, record, data.length);
    record.status = Status.storing;
    if (record.watch !== undefined) this.exposures.settle(object, record);
    return next;
  }

  resolved(oid: Oid): void {
    this.#resolved.add(oid);
  }

  afterCommit(tid: Tid): void {
    const { overlay, stored, records, sizes } = this.#changes;
    for (const oid of overlay) {
      const object = this.#residents.find(oid);
      if (object !== undefined) recordOf(object)!.serial = tid;
    }
    for (let i = 0; i < stored.length; i++) {
      const record = records[i]!;
      // What was changed again meanwhile, and resolved to something else, must conflict.
      if (record.status === Status.storing || !this.#resolved.has(record.oid!)) record.serial = tid;
      this.#residents.settle(stored[i]!, record, sizes[i]!);
    }
    this.addedFields.commit();
    this.#changes.commit(this.#isNew);
    this.#saver.finish();
    if (this.#resolved.size > 0) this.invalidate(this.#resolved);
    this.#resolved.clear();
  }

  abort(): void {
    this.#undo(this.#changes.overlay, this.#changes.created);
    this.addedFields.abort();
    this.#endTransaction();
    this.#resolved.clear();
  }

  savepoint(): CacheSavepoint {
    const { stored, records, sizes, overlay } = this.#changes;
    for (let i = 0; i < stored.length; i++) {
      overlay.push(records[i]!.oid!);
      this.#residents.settle(stored[i]!, records[i]!, sizes[i]!);
    }
    return this.#changes.savepoint();
  }

  rollbackTo(savepoint: CacheSavepoint): void {
    const { overlay, created } = this.#changes.since(savepoint);
    this.#undo(overlay, created);
    this.#changes.rollBack();
  }

  invalidate(oids: Iterable<Oid>): void {
    for (const oid of oids) this.#invalidate(oid);
  }

  invalidateAll(): void {
    for (const object of [...this.#residents.objects()]) {
      const oid = recordOf(object)!.oid;
      if (oid !== undefined) this.#invalidate(oid);
    }
  }

  boundary(): void {
    this.#residents.refresh();
    const { eviction } = this.#residents;
    if (eviction.targetCount === 0) this.#dropUnchanged();
    else {
      for (const object of this.exposures.trim(eviction.targetCount)) this.#residents.dropClean(object);
      eviction.round();
    }
  }

  shrink(): void {
    this.#residents.shrink();
  }

  minimize(): void {
    this.exposures.flush();
    this.#dropUnchanged();
  }

  clear(): void {
    this.#residents.clear();
    this.exposures.clear();
    this.addedFields.clear();
    this.#endTransaction();
  }

  get targetCount(): number {
    return this.#residents.targetCount;
  }

  set targetCount(count: number) {
    this.#residents.targetCount = count;
  }

  get loads(): number {
    return this.#residents.loads;
  }

  get statistics(): CacheStatistics {
    return this.#residents.figures(this.exposures.count, this.#changes.changed.length);
  }

  details(): IterableIterator<CacheDetail> {
    return this.#residents.details((object) => this.classNameOf(object));
  }

  /** Drops the state of a clean object, when nothing of it is changed: `_p_deactivate`. True when it is a ghost now. */
  deactivate(object: object, record: ObjectRecord): boolean {
    if (record.status === Status.saved && !this.exposures.isClean(record)) this.markChanged(object, record);
    if (record.status !== Status.saved && record.status !== Status.probation) return false;
    this.#residents.drop(object, record, 'eviction');
    return true;
  }

  /** Drops the state of an object whatever was done to it: `_p_invalidate`. */
  discard(object: object, record: ObjectRecord): void {
    if (record.serial === ZERO_TID && this.#changes.created.includes(record.oid!)) return;
    if (record.status === Status.changed) this.#changes.remove(object);
    this.addedFields.withdraw(object);
    if (record.status !== Status.ghost) this.#residents.drop(object, record, 'invalidation');
  }

  /** `_p_changed = false`: the change stays in memory and is not saved. */
  unmark(object: object, record: ObjectRecord): void {
    if (record.serial === ZERO_TID) return;
    this.#changes.remove(object);
    record.status = Status.saved;
    this.exposures.settle(object, record);
  }

  /** Dotted name of the class an object is stored as. */
  classNameOf(object: object): string {
    return this.#saver.metaOf(object, recordOf(object)!).toString();
  }

  /** The state of a stored record, decoded: for `oldState`. */
  stateOf(oid: Oid, data: Uint8Array, serial: Tid): unknown {
    return this.#loader.stateOf(oid, { data, serial });
  }

  readonly #isNew = (oid: Oid): boolean => {
    const object = this.#residents.find(oid);
    return object !== undefined && recordOf(object)!.serial === ZERO_TID;
  };

  /** What was changed during a commit is part of the transaction that is now under way. When the jar takes no changes, it is given up. */
  #takeLate(): void {
    try {
      if (this.#changes.changed.length === 0) this.jar.objectChanged();
    } catch (error) {
      this.abort();
      throw error;
    }
    this.#changes.takeLate();
  }

  /** Takes back what was done since the last commit or savepoint, and to these oids; sets those created free. */
  #undo(overlay: readonly Oid[], created: readonly Oid[]): void {
    const touched = this.#changes.all();
    for (const object of this.exposures.takeChanged()) touched.add(object);
    for (const oid of overlay) {
      const object = this.#residents.find(oid);
      if (object !== undefined) touched.add(object);
    }
    // First: setting new objects free may load others once more, as the savepoints have them.
    this.#strip(created, touched);
    for (const object of touched) {
      this.addedFields.withdraw(object);
      const record = recordOf(object)!;
      if (record.status !== Status.ghost && record.status !== Status.unsaved) {
        this.#residents.drop(object, record, 'abort');
      }
    }
  }

  /** Drops all states that can be loaded again. What was changed inside during a commit is the next one's. */
  #dropUnchanged(): void {
    for (const object of [...this.#residents.objects()]) {
      if (this.exposures.isClean(recordOf(object)!)) this.#residents.dropClean(object);
    }
  }

  #endTransaction(): void {
    this.#changes.abort();
    this.#saver.finish();
  }

  /** New objects lose oid and jar and keep their fields. */
  #strip(oids: readonly Oid[], touched: Set<object>): void {
    for (const oid of oids) {
      const object = this.#residents.find(oid);
      if (object === undefined) continue;
      touched.delete(object);
      const record = recordOf(object)!;
      complete(this, object, record);
      this.addedFields.forget(object);
      this.#residents.release(object, record);
      record.serial = ZERO_TID;
      record.size = 0;
    }
  }

  #invalidate(oid: Oid): void {
    const object = this.#residents.find(oid);
    if (object === undefined) return;
    const record = recordOf(object)!;
    if (record.status === Status.changed || record.status === Status.storing) return;
    if (record.status === Status.saved && !this.exposures.isClean(record)) {
      // It will conflict. Between two transactions there is none to join: the next look for changes does.
      record.status = Status.changed;
      this.#changes.addLate(object);
      this.#residents.hold(oid, object);
      return;
    }
    if (record.status !== Status.ghost) this.#residents.drop(object, record, 'invalidation');
    this.#residents.refreshLater(oid, object);
  }
}
