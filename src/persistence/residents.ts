/** The objects of a cache that are in memory: found by oid, loaded, set aside, dropped. Knows nothing of transactions. */
import { InvalidArgumentError, POSKeyError } from '../errors';
import type { Oid } from '../ids';
import type { Budget, BudgetMember } from './budget';
import type { ObjectCacheImpl } from './cache';
import { dropVolatile, isManaged, mayBeGhost } from './classes';
import { ClosedCacheError } from './errors';
import { Eviction } from './eviction';
import { IdentityMap } from './identity-map';
import type { CacheDetail, CacheOptions, CacheStatistics, Jar, LoadedRecord } from './interfaces';
import type { Loader } from './loading';
import type { ForeignRef, Ref } from './ref';
import type { DropReason } from './sealing';
import { Siblings } from './siblings';
import { dropPending, Place, recordOf, Status, type ObjectRecord } from './stamp';
import { statusWord } from './status';
import { ADOPTED_STAY_FAST } from './v8';

const DEFAULT_TARGET = 10_000;
/** So many records are asked for in one call. */
const BATCH = 2000;
/** What is loaded before it is asked for is less than one part of so many of what the cache may hold. */
const SMALL_SHARE = 8;

/** See the head of the file. One a cache. */
export class Residents implements BudgetMember {
  /** States loaded since the cache was made. */
  loads = 0;
  readonly eviction: Eviction;
  readonly #siblings = new Siblings();
  readonly #cache: ObjectCacheImpl;
  readonly #jar: Jar;
  readonly #loader: Loader;
  readonly #identity = new IdentityMap();
  /** Invalidated objects that somebody may hold. */
  readonly #refresh = new Set<Oid>();

  constructor(cache: ObjectCacheImpl, loader: Loader, options: CacheOptions) {
    this.#cache = cache;
    this.#jar = cache.jar;
    this.#loader = loader;
    const budget = options.budget as Budget | undefined;
    const host = {
      recordOf: (object: object) => recordOf(object)!,
      owns: (record: ObjectRecord) => record.cache === cache,
      pinned: cache.pinned,
      setAside,
      drop: (object: object, record: ObjectRecord) => {
        this.drop(object, record, 'eviction');
      },
    };
    this.eviction = new Eviction(host, DEFAULT_TARGET, budget);
    this.targetCount = options.targetCount ?? DEFAULT_TARGET;
    budget?.enter(this);
  }

  get targetCount(): number {
    return this.eviction.targetCount;
  }

  set targetCount(count: number) {
    if (!(Number.isInteger(count) && count >= 0)) {
      throw new InvalidArgumentError(`A cache's target is a number of objects, 0 or more: not ${count}.`);
    }
    this.eviction.targetCount = count;
  }

  get bytes(): number {
    return this.eviction.bytes;
  }

  shrink(): void {
    this.eviction.round();
  }

  /** The object of an oid if it is in memory. */
  find(oid: Oid): object | undefined {
    return this.#identity.get(oid);
  }

  objects(): IterableIterator<object> {
    return this.#identity.objects();
  }

  hold(oid: Oid, object: object): void {
    this.#identity.hold(oid, object);
  }

  get(oid: Oid): object {
    const object = this.#identity.get(oid);
    if (object === undefined) return this.#load(oid);
    this.#awaken(object);
    return object;
  }

  getMany(oids: readonly Oid[]): object[] {
    this.loadMissing(oids, true);
    return oids.map((oid) => this.get(oid));
  }

  follow(ref: Ref | ForeignRef): object {
    if (ref.kind === 'foreign') return this.#jar.sibling(ref.database).cache.get(ref.oid);
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

  /** @param holder the object in whose field `slot` they stand, if that is an array of them: the same field of others may be loaded with them */
  followMany(refs: readonly (Ref | ForeignRef)[], holder: object | undefined, slot: number): object[] {
    if (holder !== undefined) this.#loadAhead(holder, slot);
    const objects = this.#together(refs, true) as object[];
    this.#siblings.enter(objects);
    return objects;
  }

  /**
   * As {@link followMany}, for what will probably be asked for: `undefined` where there is no such object, or nothing at all when there is
   * no room for them, or one can't be loaded.
   */
  followAhead(refs: readonly Ref[]): (object | undefined)[] | undefined {
    if (refs.length * SMALL_SHARE > this.targetCount) return undefined;
    let objects: (object | undefined)[];
    try {
      objects = this.#together(refs, false);
    } catch {
      return undefined; // Whoever asks for one of them hears the error.
    }
    if (!objects.includes(undefined)) this.#siblings.enter(objects as object[]);
    return objects;
  }

  #together(refs: readonly (Ref | ForeignRef)[], required: boolean): (object | undefined)[] {
    const objects: (object | undefined)[] = [];
    const missing: Oid[] = [];
    const known: (object | undefined)[] = [];
    for (const ref of refs) {
      if (ref.kind === 'foreign') {
        objects.push(this.follow(ref));
        continue;
      }
      const found = this.#identity.get(ref.oid);
      if (found === undefined || recordOf(found)!.status === Status.ghost) {
        missing.push(ref.oid);
        known.push(found);
        objects.push(undefined);
      } else {
        this.#awaken(found);
        objects.push(found);
      }
    }
    if (missing.length > 0) {
      const simple = missing.length <= BATCH && isAscending(missing);
      if (simple) this.#loadBatch(missing, known, required);
      else this.loadMissing(missing, required);
      let next = 0;
      for (let i = 0; i < objects.length; i++) {
        if (objects[i] !== undefined) continue;
        objects[i] = simple
          ? known[next++]
          : required
            ? this.follow(refs[i]!)
            : this.#identity.get((refs[i] as Ref).oid);
      }
    }
    return objects;
  }

  /** Puts a state in place: from probation, or from the jar. */
  activate(object: object, record: ObjectRecord): void {
    if (record.status === Status.probation) {
      putBack(record);
      return;
    }
    this.makeRoom();
    this.#fill(object, record, this.#jar.load(record.oid!));
  }

  /** Loads what the siblings of `holder` refer to with what itself refers to, when that is likely to pay. */
  #loadAhead(holder: object, slot: number): void {
    const oids = this.#siblings.ahead(holder, slot);
    if (oids === undefined || this.eviction.count + oids.length > this.targetCount) return;
    try {
      this.loadMissing(oids, false);
    } catch {
      // Whoever asks for one of them hears the error.
    }
  }

  /** Loads those of these objects that are not in memory, in batches. */
  loadMissing(oids: readonly Oid[], required: boolean): void {
    const missing: Oid[] = [];
    const known: (object | undefined)[] = [];
    for (const oid of isAscending(oids) ? oids : new Set(oids)) {
      const object = this.#identity.get(oid);
      if (object === undefined || recordOf(object)!.status === Status.ghost) {
        missing.push(oid);
        known.push(object);
      }
    }
    for (let at = 0; at < missing.length; at += BATCH) {
      this.#loadBatch(missing.slice(at, at + BATCH), known.slice(at, at + BATCH), required);
    }
  }

  /** Before a load, so that what is loaded is not the first to go. */
  makeRoom(): void {
    if (this.eviction.crowded) this.eviction.round();
    this.eviction.relieveBudget();
  }

  /** An object's record is stored, and so long: it is clean unless it was changed again meanwhile. */
  settle(object: object, record: ObjectRecord, size: number): void {
    if (record.status !== Status.storing) {
      this.eviction.resized(record, size);
      return;
    }
    record.status = Status.saved;
    // Converted in place, it stays as long as others hold it.
    if (!ADOPTED_STAY_FAST && (record.place & Place.adopted) !== 0) record.place |= Place.loose;
    if ((record.place & Place.loose) !== 0) {
      this.eviction.resized(record, size);
      this.#identity.loosen(record.oid!, object);
    } else this.eviction.stored(object, record, size);
  }

  /** An object leaves the cache with its state. */
  release(object: object, record: ObjectRecord): void {
    this.eviction.unloaded(record);
    if (record.oid !== undefined) this.#identity.delete(record.oid);
    if (record.status === Status.probation) putBack(record);
    if (record.status !== Status.ghost) record.status = Status.unsaved;
    this.#cache.exposures.forget(record);
    record.oid = undefined;
    record.cache = undefined;
    record.place &= Place.loose | Place.adopted;
    dropPending(object);
  }

  /** Lets go of everything. */
  clear(): void {
    for (const object of [...this.#identity.objects()]) this.release(object, recordOf(object)!);
    this.#identity.clear();
    this.eviction.clear();
    this.#refresh.clear();
    this.#siblings.clear();
  }

  /** Drops a state; what the program holds of it is sealed. */
  drop(object: object, record: ObjectRecord, reason: DropReason): void {
    if (record.oid === undefined) throw new ClosedCacheError();
    this.#cache.exposures.seal(record, reason);
    this.eviction.unloaded(record);
    const model = (record.aside ?? record.state)[0].model;
    record.state = model.ghost;
    record.aside = undefined;
    record.ready = 0;
    record.status = Status.ghost;
    if (isManaged(object)) object.dropState();
    if (model.volatile) dropVolatile(object, model);
    this.#identity.loosen(record.oid, object);
  }

  /** Drops the state of an object unless it is changed. */
  dropClean(object: object): void {
    this.#siblings.clear();
    const record = recordOf(object)!;
    if (record.status !== Status.saved && record.status !== Status.probation) return;
    this.eviction.dropped += 1;
    this.drop(object, record, 'eviction');
  }

  /** Notes an invalidated object: if somebody holds it at the boundary, it shows the fields of its new record then. */
  refreshLater(oid: Oid, object: object): void {
    if (!mayBeGhost(object)) this.#refresh.add(oid);
  }

  /** Loads invalidated objects that are held, in one batch. */
  refresh(): void {
    this.#siblings.clear();
    if (this.#refresh.size === 0) return;
    const oids = [...this.#refresh].filter((oid) => {
      const object = this.#identity.get(oid);
      return object !== undefined && recordOf(object)!.status === Status.ghost;
    });
    this.#refresh.clear();
    try {
      this.loadMissing(oids, false);
    } catch {
      // They stay ghosts, and whoever touches one hears the error.
    }
  }

  figures(exposed: number, changed: number): CacheStatistics {
    const { count, bytes, onProbation, targetCount, dropped } = this.eviction;
    return {
      loaded: count,
      ghosts: this.#identity.weakCount,
      bytes,
      probation: onProbation,
      exposed,
      changed,
      targetCount,
      loads: this.loads,
      evictions: dropped,
    };
  }

  *details(classNameOf: (object: object) => string): IterableIterator<CacheDetail> {
    for (const object of this.#identity.objects()) {
      const record = recordOf(object)!;
      if (record.oid === undefined) continue;
      yield {
        oid: record.oid,
        className: classNameOf(object),
        status: statusWord(record),
        estimatedSize: record.size,
      };
    }
  }

  #awaken(object: object): void {
    const record = recordOf(object)!;
    if (record.status >= Status.probation && !mayBeGhost(object)) this.activate(object, record);
  }

  #load(oid: Oid): object {
    this.makeRoom();
    return this.#admit(oid, this.#jar.load(oid));
  }

  #admit(oid: Oid, loaded: LoadedRecord): object {
    const object = this.#loader.make(oid, loaded);
    this.loads += 1;
    this.#identity.hold(oid, object);
    this.eviction.loaded(object, this.#loader.made!);
    return object;
  }

  #fill(object: object, record: ObjectRecord, loaded: LoadedRecord): void {
    this.#loader.fill(object, record, loaded);
    this.loads += 1;
    if ((record.place & Place.loose) !== 0) return;
    this.#identity.hold(record.oid!, object);
    this.eviction.loaded(object, record);
  }

  /** Loads objects, each once, of which those in `known` are ghosts and the others not there; puts all into `known`. */
  #loadBatch(oids: readonly Oid[], known: (object | undefined)[], required: boolean): void {
    this.makeRoom();
    let loads = this.loads;
    let disturbed = false;
    const records = oids.length === 1 && required ? [this.#jar.load(oids[0]!)] : this.#jar.loadMany(oids);
    for (let i = 0; i < oids.length; i++) {
      const record = records[i];
      const oid = oids[i]!;
      if (record === undefined) {
        if (required) throw new POSKeyError(oid);
        continue;
      }
      // Code of classes may have loaded others meanwhile.
      if (this.loads !== loads) disturbed = true;
      loads = this.loads + 1;
      const object = disturbed ? this.#identity.get(oid) : known[i];
      if (object === undefined) known[i] = this.#admit(oid, record);
      else {
        known[i] = object;
        const own = recordOf(object)!;
        if (own.status === Status.ghost) this.#fill(object, own, record);
      }
    }
  }
}

/** Whether each is greater than the one before, as they mostly come: then none is there twice. */
function isAscending(oids: readonly Oid[]): boolean {
  for (let i = 1; i < oids.length; i++) if (oids[i - 1]! >= oids[i]!) return false;
  return true;
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
