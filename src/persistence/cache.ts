/**
 * The objects of one connection: identity, loading, and what becomes of them at commit and abort. See {@link ObjectCache} for the contract.
 */
import { InvalidArgumentError, InvalidObjectReference, POSKeyError } from '../errors';
import { ZERO_TID, type Oid, type Tid } from '../ids';
import { AddedFields } from './added-fields';
import type { Budget } from './budget';
import { classNameOf, dropVolatile, isManaged, mayBeGhost, requireModel } from './classes';
import { ClosedCacheError } from './errors';
import type { ClassModel } from './class-model';
import { Eviction } from './eviction';
import { Exposures } from './exposures';
import { IdentityMap } from './identity-map';
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
import { followAll } from './following';
import { Loader } from './loading';
import type { ForeignRef, Ref } from './ref';
import { Saver } from './saving';
import type { DropReason } from './sealing';
import { ObjectRecord, Place, recordOf, setPending, Status } from './stamp';
import { statusWord } from './status';
import { ADOPTED_STAY_FAST } from './v8';

const DEFAULT_TARGET = 10_000;
/** So many records are asked for in one call. */
const BATCH = 2000;

/** See {@link ObjectCache}. */
export class ObjectCacheImpl implements ObjectCache {
  readonly jar: Jar;
  /** Fields that new since the last commit: they can be deleted, and go with an abort. */
  readonly addedFields = new AddedFields();
  /** What the program got hold of. */
  readonly exposures: Exposures;
  /** The record that is being given its state, whose fields may be set without marking it changed. */
  filling: ObjectRecord | undefined;
  /** Objects in the middle of an operation that loads others: they must not lose their states meanwhile. */
  readonly pinned: ObjectRecord[] = [];
  readonly #identity = new IdentityMap();
  readonly #eviction: Eviction;
  readonly #loader: Loader;
  readonly #saver: Saver;
  /** Objects changed or added since the last commit, abort or savepoint. */
  #changed: object[] = [];
  /** Serialized since then. */
  #stored: object[] = [];
  /** Objects given an oid since the last commit or abort, in order. */
  #created: Oid[] = [];
  /** Oids stored at savepoints of this transaction, in order. */
  #overlay: Oid[] = [];
  readonly #resolved = new Set<Oid>();
  /** Invalidated objects that somebody may hold. */
  readonly #refresh = new Set<Oid>();
  #savepoints: { readonly sequence: number; readonly created: number; readonly overlay: number }[] = [];
  #sequence = 0;
  #loads = 0;

  constructor(jar: Jar, options: CacheOptions = {}) {
    this.jar = jar;
    const budget = options.budget as Budget | undefined;
    this.#eviction = new Eviction(
      {
        recordOf: (object) => recordOf(object)!,
        pinned: this.pinned,
        setAside,
        drop: (object, record) => {
          this.#drop(object, record, 'eviction');
        },
      },
      checkTarget(options.targetCount ?? DEFAULT_TARGET),
      budget,
    );
    budget?.enter(this);
    this.exposures = new Exposures((object, record) => {
      this.markChanged(object, record);
    });
    this.#loader = new Loader(this);
    this.#saver = new Saver(this, this.#loader);
  }

  get(oid: Oid): object {
    const object = this.#identity.get(oid);
    if (object === undefined) return this.#load(oid);
    this.#awaken(object);
    return object;
  }

  getMany(oids: readonly Oid[]): object[] {
    this.#loadMissing(oids, true);
    return oids.map((oid) => this.get(oid));
  }

  prefetch(oids: readonly Oid[]): void {
    this.#loadMissing(oids, false);
  }

  peek(oid: Oid): object | undefined {
    return this.#identity.get(oid);
  }

  /** The object that a reference stands for, loaded unless it is managed. */
  follow(ref: Ref | ForeignRef): object {
    if (ref.kind === 'foreign') return this.jar.sibling(ref.database).cache.get(ref.oid);
    const found = this.#identity.get(ref.oid);
    if (found !== undefined) {
      this.#awaken(found);
      return found;
    }
    const ghost = ref.cls && this.#loader.managedGhost(ref.oid, ref.cls);
    if (ghost === undefined) return this.#load(ref.oid);
    this.#identity.loosen(ref.oid, ghost);
    return ghost;
  }

  /** As {@link follow}, missing ones in one batch. */
  followMany(refs: readonly (Ref | ForeignRef)[]): object[] {
    this.#loadMissing(
      refs.filter((ref) => ref.kind === 'strong').map((ref) => ref.oid),
      true,
    );
    return refs.map((ref) => this.follow(ref));
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
    if (this.#identity.get(oid) !== undefined)
      throw new InvalidArgumentError('There is an object with this oid already.');
    if (this.#changed.length === 0) this.jar.objectChanged();
    this.enter(object, record ?? pendingRecord(object, model), oid);
    this.#changed.push(object);
  }

  /** Gives a new object, reached while another is saved, its oid. */
  adoptReached(object: object): ObjectRecord {
    const model = requireModel(object, this.jar.registry);
    const record = recordOf(object) ?? pendingRecord(object, model);
    this.enter(object, record, this.jar.newOid());
    return record;
  }

  /** Notes an object as new and this cache's. */
  enter(object: object, record: ObjectRecord, oid: Oid): void {
    if (isManaged(object) && record.state.length === 1)
      record.state = emptyState(modelFor(object)!.model.empty, 0);
    record.oid = oid;
    record.cache = this;
    record.serial = ZERO_TID;
    record.status = Status.changed;
    record.size = 0;
    this.#created.push(oid);
    this.#identity.hold(oid, object);
  }

  /** The first change of a clean object: the connection joins before anything is different. */
  markChanged(object: object, record: ObjectRecord): void {
    if (this.#changed.length === 0) this.jar.objectChanged();
    record.status = Status.changed;
    this.#changed.push(object);
    this.#identity.hold(record.oid!, object);
  }

  /** Takes a state that is not in place back: from probation, or from the jar. */
  activate(object: object, record: ObjectRecord): void {
    if (record.status === Status.probation) {
      putBack(record);
      return;
    }
    this.#makeRoom();
    this.#fill(object, record, this.jar.load(record.oid!));
  }

  flushExposed(): void {
    this.exposures.flush();
  }

  get hasChanges(): boolean {
    return this.#changed.length > 0 || this.#overlay.length > 0;
  }

  changedObjects(): object[] {
    return [...this.#changed];
  }

  *serializeChanged(): IterableIterator<SerializedObject> {
    this.#stored = [];
    this.#saver.start(this.#changed);
    for (let next = this.#saver.next(); next !== undefined; next = this.#saver.next()) {
      this.#stored.push(next.object);
      yield next;
    }
  }

  resolved(oid: Oid): void {
    this.#resolved.add(oid);
  }

  afterCommit(tid: Tid): void {
    for (const oid of this.#overlay) {
      const object = this.#identity.get(oid);
      if (object !== undefined) recordOf(object)!.serial = tid;
    }
    for (const object of this.#stored) {
      const record = recordOf(object)!;
      record.serial = tid;
      this.#settle(object, record);
    }
    this.addedFields.commit();
    this.#endTransaction();
    for (const oid of this.#resolved) this.#invalidate(oid);
    this.#resolved.clear();
  }

  abort(): void {
    const touched = new Set<object>([...this.exposures.takeChanged(), ...this.#changed, ...this.#stored]);
    for (const oid of this.#overlay) addIfFound(touched, this.#identity.get(oid));
    const created = this.#created;
    this.addedFields.abort();
    this.#strip(created, touched);
    for (const object of touched) this.#forget(object);
    this.#endTransaction();
    this.#resolved.clear();
  }

  savepoint(): CacheSavepoint {
    for (const object of this.#stored) {
      const record = recordOf(object)!;
      this.#overlay.push(record.oid!);
      this.#settle(object, record);
    }
    this.#changed = [];
    this.#stored = [];
    const savepoint = {
      sequence: ++this.#sequence,
      created: this.#created.length,
      overlay: this.#overlay.length,
    };
    this.#savepoints.push(savepoint);
    return savepoint;
  }

  rollbackTo(savepoint: CacheSavepoint): void {
    const mark = this.#savepoints.find((known) => known.sequence === savepoint.sequence);
    if (mark === undefined)
      throw new InvalidArgumentError('This savepoint is not of the transaction under way.');
    this.#savepoints = this.#savepoints.filter((known) => known.sequence <= mark.sequence);
    const touched = new Set<object>([...this.exposures.takeChanged(), ...this.#changed, ...this.#stored]);
    for (const oid of this.#overlay.splice(mark.overlay)) addIfFound(touched, this.#identity.get(oid));
    for (const object of touched) this.addedFields.withdraw(object);
    this.#strip(this.#created.splice(mark.created), touched);
    for (const object of touched) this.#forget(object);
    this.#changed = [];
    this.#stored = [];
  }

  invalidate(oids: Iterable<Oid>): void {
    for (const oid of oids) this.#invalidate(oid);
  }

  invalidateAll(): void {
    for (const object of [...this.#identity.objects()]) {
      const oid = recordOf(object)!.oid;
      if (oid !== undefined) this.#invalidate(oid);
    }
  }

  boundary(): void {
    this.#refreshHeld();
    if (this.#eviction.targetCount === 0) this.minimize();
    else {
      for (const object of this.exposures.trim(Math.max(1, this.#eviction.targetCount))) {
        this.#dropClean(object);
      }
      this.shrink();
    }
  }

  shrink(): void {
    this.#eviction.round();
  }

  /** For the budget that this cache shares. */
  relieve(): void {
    this.#eviction.round();
  }

  get bytes(): number {
    return this.#eviction.bytes;
  }

  minimize(): void {
    this.exposures.flush();
    for (const object of [...this.#identity.objects()]) this.#dropClean(object);
  }

  clear(): void {
    for (const object of this.#identity.objects()) {
      const record = recordOf(object)!;
      if (record.status === Status.probation) putBack(record);
      record.cache = undefined;
      record.oid = undefined;
      record.watch = undefined;
      record.place &= Place.loose;
      if (record.status !== Status.ghost) record.status = Status.unsaved;
      setPending(object, undefined);
    }
    this.#identity.clear();
    this.#eviction.clear();
    this.exposures.clear();
    this.addedFields.commit();
    this.#endTransaction();
    this.#refresh.clear();
  }

  get targetCount(): number {
    return this.#eviction.targetCount;
  }

  set targetCount(count: number) {
    this.#eviction.targetCount = checkTarget(count);
  }

  /** States loaded since the cache was made. */
  get loads(): number {
    return this.#loads;
  }

  get statistics(): CacheStatistics {
    return {
      loaded: this.#eviction.count,
      ghosts: this.#identity.weakCount,
      bytes: this.#eviction.bytes,
      probation: this.#eviction.onProbation,
      exposed: this.exposures.count,
      changed: this.#changed.length,
      targetCount: this.#eviction.targetCount,
      loads: this.#loads,
      evictions: this.#eviction.dropped,
    };
  }

  *details(): IterableIterator<CacheDetail> {
    for (const object of this.#identity.objects()) {
      const record = recordOf(object)!;
      if (record.oid === undefined) continue;
      yield {
        oid: record.oid,
        className: this.#saver.metaOf(object, record).toString(),
        status: statusWord(record),
        estimatedSize: record.size,
      };
    }
  }

  /** Drops the state of a clean object, when nothing of it is changed: `_p_deactivate`. True when it is a ghost now. */
  deactivate(object: object, record: ObjectRecord): boolean {
    if (record.status === Status.saved && !this.exposures.isClean(record)) this.markChanged(object, record);
    if (record.status !== Status.saved && record.status !== Status.probation) return false;
    this.#drop(object, record, 'eviction');
    return true;
  }

  /** Drops the state of an object whatever was done to it: `_p_invalidate`. */
  discard(object: object, record: ObjectRecord): void {
    if (record.serial === ZERO_TID && this.#created.includes(record.oid!)) return;
    if (record.status === Status.changed) this.#changed.splice(this.#changed.indexOf(object), 1);
    this.addedFields.withdraw(object);
    if (record.status !== Status.ghost) this.#drop(object, record, 'invalidation');
  }

  /** `_p_changed = false`: the change stays in memory and is not saved. */
  unmark(object: object, record: ObjectRecord): void {
    if (record.serial === ZERO_TID) return;
    this.#changed.splice(this.#changed.indexOf(object), 1);
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

  #awaken(object: object): void {
    const record = recordOf(object)!;
    if (record.status >= Status.probation && !mayBeGhost(object)) this.activate(object, record);
  }

  #load(oid: Oid): object {
    this.#makeRoom();
    return this.#admit(oid, this.jar.load(oid));
  }

  #admit(oid: Oid, loaded: { data: Uint8Array; serial: Tid }): object {
    const object = this.#loader.make(oid, loaded);
    this.#loads += 1;
    this.#identity.hold(oid, object);
    this.#eviction.loaded(object, recordOf(object)!);
    return object;
  }

  #fill(object: object, record: ObjectRecord, loaded: { data: Uint8Array; serial: Tid }): void {
    this.#loader.fill(object, record, loaded);
    this.#loads += 1;
    if ((record.place & Place.loose) !== 0) return;
    this.#identity.hold(record.oid!, object);
    this.#eviction.loaded(object, record);
  }

  #loadMissing(oids: readonly Oid[], required: boolean): void {
    const missing: Oid[] = [];
    const asked = new Set<Oid>();
    for (const oid of oids) {
      if (asked.has(oid)) continue;
      asked.add(oid);
      const object = this.#identity.get(oid);
      if (object === undefined || recordOf(object)!.status === Status.ghost) missing.push(oid);
    }
    for (let at = 0; at < missing.length; at += BATCH) {
      this.#makeRoom();
      this.#loadBatch(missing.slice(at, at + BATCH), required);
    }
  }

  #loadBatch(oids: readonly Oid[], required: boolean): void {
    const records = oids.length === 1 && required ? [this.jar.load(oids[0]!)] : this.jar.loadMany(oids);
    for (let i = 0; i < oids.length; i++) {
      const record = records[i];
      const oid = oids[i]!;
      if (record === undefined) {
        if (required) throw new POSKeyError(oid);
        continue;
      }
      const object = this.#identity.get(oid);
      if (object === undefined) this.#admit(oid, record);
      else if (recordOf(object)!.status === Status.ghost) this.#fill(object, recordOf(object)!, record);
    }
  }

  /** Before a load, so that what is loaded is not the first to go. */
  #makeRoom(): void {
    if (this.#eviction.crowded) this.#eviction.round();
    this.#eviction.relieveBudget();
  }

  /** What was serialized is stored: the object is clean, and what the program may hold of it is compared from here. */
  #settle(object: object, record: ObjectRecord): void {
    if (record.status !== Status.changed) return;
    record.status = Status.saved;
    const oid = record.oid!;
    if (!ADOPTED_STAY_FAST && this.#saver.isAdopted(object)) record.place |= Place.loose;
    this.#eviction.resized(record, this.#saver.sizeOf(oid));
    if ((record.place & Place.loose) !== 0) this.#identity.loosen(oid, object);
    else this.#eviction.loaded(object, record);
    this.exposures.settle(object, record);
  }

  #endTransaction(): void {
    this.#changed = [];
    this.#stored = [];
    this.#created = [];
    this.#overlay = [];
    this.#savepoints = [];
    this.#saver.finish();
  }

  /** New objects lose oid and jar and keep their fields. */
  #strip(oids: readonly Oid[], touched: Set<object>): void {
    for (const oid of oids) {
      const object = this.#identity.get(oid);
      if (object === undefined) continue;
      touched.delete(object);
      const record = recordOf(object)!;
      this.#complete(object, record);
      this.#eviction.unloaded(record);
      this.#identity.delete(oid);
      this.exposures.forget(record);
      record.oid = undefined;
      record.cache = undefined;
      record.serial = ZERO_TID;
      record.size = 0;
      record.status = Status.unsaved;
      setPending(object, undefined);
    }
  }

  /** Loads what an object would miss without its jar. */
  #complete(object: object, record: ObjectRecord): void {
    try {
      if (record.status >= Status.probation) this.activate(object, record);
      if (!isManaged(object)) followAll(this, object, record);
    } catch {
      // It was written to a savepoint that is gone; what remains is an object without fields.
    }
  }

  #forget(object: object): void {
    const record = recordOf(object)!;
    if (
      record.status === Status.changed ||
      record.status === Status.saved ||
      record.status === Status.probation
    ) {
      this.#drop(object, record, 'abort');
    }
  }

  #invalidate(oid: Oid): void {
    const object = this.#identity.get(oid);
    if (object === undefined) return;
    const record = recordOf(object)!;
    if (record.status === Status.changed) return;
    if (record.status === Status.saved && !this.exposures.isClean(record)) {
      this.markChanged(object, record);
      return;
    }
    if (record.status !== Status.ghost) this.#drop(object, record, 'invalidation');
    if (!mayBeGhost(object)) this.#refresh.add(oid);
  }

  /** Objects that somebody holds show the fields of their new record, not those of the old one. */
  #refreshHeld(): void {
    if (this.#refresh.size === 0) return;
    const oids = [...this.#refresh].filter((oid) => {
      const object = this.#identity.get(oid);
      return object !== undefined && recordOf(object)!.status === Status.ghost;
    });
    this.#refresh.clear();
    try {
      this.#loadMissing(oids, false);
    } catch {
      // They stay ghosts, and whoever touches one hears the error.
    }
  }

  #dropClean(object: object): void {
    const record = recordOf(object)!;
    if (record.status !== Status.saved && record.status !== Status.probation) return;
    this.#eviction.dropped += 1;
    this.#drop(object, record, 'eviction');
  }

  #drop(object: object, record: ObjectRecord, reason: DropReason): void {
    if (record.oid === undefined) throw new ClosedCacheError();
    this.exposures.seal(record, reason);
    this.#eviction.unloaded(record);
    const model = (record.aside ?? record.state)[0].model;
    record.state = model.ghost;
    record.aside = undefined;
    record.ready = 0;
    record.status = Status.ghost;
    if (isManaged(object)) object.dropState();
    if (model.volatile) dropVolatile(object, model);
    this.#identity.loosen(record.oid, object);
  }
}

function pendingRecord(object: object, model: ClassModel): ObjectRecord {
  const record = new ObjectRecord(emptyState(model.empty, 0), Status.unsaved, undefined, undefined);
  setPending(object, record);
  return record;
}

function setAside(object: object, record: ObjectRecord): void {
  if (!isManaged(object)) {
    record.aside = record.state;
    record.state = record.state[0].model.ghost;
  }
  record.status = Status.probation;
}

function putBack(record: ObjectRecord): void {
  if (record.aside !== undefined) {
    record.state = record.aside;
    record.aside = undefined;
  }
  record.status = Status.saved;
}

function addIfFound(objects: Set<object>, object: object | undefined): void {
  if (object !== undefined) objects.add(object);
}

function checkTarget(count: number): number {
  if (Number.isInteger(count) && count >= 0) return count;
  throw new InvalidArgumentError(`A cache's target is a number of objects, 0 or more: not ${count}.`);
}
