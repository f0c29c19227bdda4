/**
 * Persistent objects that keep their own house: collections whose state is no set of fields (BTree nodes, PersistentMapping, blobs).
 */
import { ItemForm, type FieldKind } from '../record/index';
import { ClosedCacheError } from './errors';
import { readyBit } from './accessors';
import { UNTRACKED } from './guard';
import type { ObjectCacheImpl } from './cache';
import { modelOfPrototype, type ClassModel } from './class-model';
import type { AnyClass } from './interfaces';
import { makeState } from './makers';
import { ForeignRef, Ref } from './ref';
import { INSIDE } from './exposure';
import { checkNotStale } from './sealing';
import { mostLike } from './siblings';
import {
  isStamped,
  ObjectRecord,
  stamp,
  stampedRecord,
  stampNew,
  stampOf,
  Status,
  type State,
} from './stamp';
import { Kind, kindOf } from './values';

/** Key of the hook that wraps new objects. */
export const WRAP = Symbol('zodb.wrap');

function wrapped(ctor: unknown, object: object): object {
  const wrap = (ctor as typeof Managed)[WRAP];
  return wrap === undefined ? object : wrap(object);
}

/**
 * Base of collections. Its objects have no tracked fields: the class says itself when its state is needed and when it changes. Unlike tracked objects they may be ghosts in the program's
 * hands, and load when they are used.
 *
 * Rules for a subclass:
 * - instances of stored objects are made without the constructor: fields must be set by `__setstate__`, and must not be `#private`;
 * - every public operation begins with `this.activate()`; one that changes something calls `this.changed()` before it does;
 * - a value taken out of the state goes through `this.follow()`, and is replaced by the result; one put in goes through `this.take()`;
 * - `__getstate__` gives what is stored: arrays (frozen: tuples), plain objects, values, persistent objects, `Ref`s; `__setstate__` gets it back,
 *   references as `Ref`s; `dropState` forgets it all.
 */
export abstract class Managed {
  constructor() {
    const self = wrapped(new.target, this);
    stamp(self, new ObjectRecord(NO_STATE, Status.unsaved, undefined, undefined));
    return self as this;
  }

  /** Gives a class's objects another face, a proxy: applied to each new object before anybody sees it. @internal */
  static [WRAP]?(object: object): object;

  /** An object made without its constructor. @internal */
  static instance(ctor: AnyClass, record: ObjectRecord): Managed {
    const self = wrapped(ctor, Object.create(ctor.prototype as object) as object);
    stampNew(self, record);
    return self as Managed;
  }

  /** What is stored. Called on a loaded object. @internal */
  abstract __getstate__(): unknown;
  /** Takes a stored state over. @internal */
  abstract __setstate__(state: unknown): void;
  /** How `__setstate__` takes states. Asked of the prototype. */
  get itemForm(): ItemForm {
    return ItemForm.none;
  }

  /** A way through the state, such as `[0][3].price`, as the program would write it. Of values that can't be saved. @internal */
  placeInState(path: string): string {
    return path;
  }

  /** Forgets the state: the object becomes a ghost. @internal */
  abstract dropState(): void;

  /** Has the state in place, and tells the cache that the object is in use. Costs one test when there is nothing to do. */
  protected activate(): void {
    const record = stampedRecord(this);
    if (record.status >= Status.probation) activateSlowly(this, record);
  }

  /** To be called before the state is changed. Throws when the connection is closed or read-only; then nothing may be changed. */
  protected changed(): void {
    const record = stampedRecord(this);
    if (record.status === Status.changed || record.status === Status.unsaved) return;
    if (record.status >= Status.probation) activateSlowly(this, record);
    record.cache!.markChanged(this, record);
  }

  /**
   * A value of the state as the program is to see it: the object behind a reference; a plain value with what is in it followed, and watched for changes from now on. Put the result in
   * the value's place when it is another.
   */
  protected follow<T>(value: T | Ref | ForeignRef): T {
    if (typeof value !== 'object' || value === null) return value;
    return handOut(this, value) as T;
  }

  /** To be called for each value put into the state, after {@link changed}. @throws StaleValueError */
  protected take(value: unknown): void {
    if (typeof value !== 'object' || value === null || isPersistentObject(value)) return;
    checkNotStale(value, this.constructor.name);
    const record = stampedRecord(this);
    if (record.cache !== undefined && kindOf(value) <= Kind.instance) {
      record.cache.exposures.assigned(this, record, INSIDE, value);
    }
  }

  /** The values now in the state, so that others need not be watched any more; `undefined` when that would cost too much. */
  heldValues(): Iterable<unknown> | undefined {
    return undefined;
  }

  /** Puts another value in the place of one that belongs to another object already. */
  replaceValue(_old: object, _new: object): void {
    // A collection that holds no plain values has nothing to replace.
  }

  /** Follows all references among `values[start … end)` in place, loading what is missing in one batch. */
  protected followMany(values: unknown[], start = 0, end = values.length): void {
    const refs: (Ref | ForeignRef)[] = [];
    const places: number[] = [];
    for (let i = start; i < end; i++) {
      const value = values[i];
      if (!(value instanceof Ref || value instanceof ForeignRef)) continue;
      refs.push(value);
      places.push(i);
    }
    if (refs.length === 0) return;
    const objects = cacheOf(this).followMany(refs);
    // Code of their classes may have replaced some meanwhile.
    for (let i = 0; i < refs.length; i++) if (values[places[i]!] === refs[i]) values[places[i]!] = objects[i];
  }

  /**
   * As {@link followMany}, for lists that an iteration will come to when it is done with `like`: as many of the first ones as are worth it by what
   * the objects there weigh, and have room. What can't be loaded stays a reference.
   */
  protected followAhead(lists: readonly unknown[][], like: readonly unknown[]): void {
    const most = mostLike(like);
    const refs: Ref[] = [];
    const owners: unknown[][] = [];
    const places: number[] = [];
    for (const list of lists) {
      if (refs.length + list.length > most) break;
      for (let i = 0; i < list.length; i++) {
        const value = list[i];
        if (!(value instanceof Ref)) continue;
        refs.push(value);
        owners.push(list);
        places.push(i);
      }
    }
    const objects = refs.length === 0 ? undefined : cacheOf(this).followAhead(refs);
    if (objects === undefined) return;
    for (let i = 0; i < refs.length; i++) {
      const object = objects[i];
      if (object !== undefined && owners[i]![places[i]!] === refs[i]) owners[i]![places[i]!] = object;
    }
  }

  /** Loads the states of objects (and behind references) in one batch, without following: for nodes that an iteration will come to. */
  protected prefetch(values: readonly unknown[]): void {
    const record = stampedRecord(this);
    if (record.cache === undefined) return;
    const oids = [];
    for (const value of values) {
      if (value instanceof Ref) oids.push(value.oid);
      else if (value instanceof Managed) {
        const other = stampedRecord(value);
        if (other.status === Status.ghost && other.cache === record.cache) oids.push(other.oid!);
      }
    }
    if (oids.length > 0) record.cache.prefetch(oids);
  }

  /** Asks that the commit fails if this node is changed by others: what was decided depends on it. */
  protected readCurrent(): void {
    const { cache, oid, serial, status } = stampedRecord(this);
    if (cache !== undefined && status !== Status.unsaved && serial !== 0n)
      cache.jar.readCurrent(oid!, serial);
  }

  /** Whether the object is in a database, or has been added to one. */
  protected get isStored(): boolean {
    return stampedRecord(this).cache !== undefined;
  }
}

Object.defineProperty(Managed.prototype, UNTRACKED, { value: true, writable: true });

/**
 * Managed collections that keep one value under a name in a dict state, beside fields that a subclass may have: PersistentMapping and its like. Those fields are tracked.
 */
export abstract class ManagedContainer extends Managed {
  /** Name of the value in the state, and how it is written. @internal */
  abstract get dataKind(): FieldKind;
  /** The value to be stored. @internal */
  abstract getData(): unknown;
  /** Takes the stored value over; `undefined` when the record has none. @internal */
  abstract setData(data: unknown): void;

  override __getstate__(): unknown {
    return { data: this.getData() };
  }

  override __setstate__(state: unknown): void {
    this.setData((state as { data?: unknown } | null)?.data);
  }
}

Object.defineProperty(ManagedContainer.prototype, UNTRACKED, { value: false, writable: true });

/** The state of an object whose class is not looked at before it is saved. */
const NO_STATE: State = makeState({ model: undefined as unknown as ClassModel } as never, 0, []);

function handOut(self: Managed, value: object): unknown {
  if (stampOf(value) !== undefined) return value;
  const kind = kindOf(value);
  if (kind === Kind.ref) return cacheOf(self).follow(value as Ref | ForeignRef);
  const record = stampedRecord(self);
  if (kind > Kind.instance || record.cache === undefined) return value;
  // Nodes of trees are read without a look at their records. What is set aside is neither kept nor looked at for changes.
  if (record.status === Status.probation) activateSlowly(self, record);
  // It is in use: see watch-queue.ts.
  record.ready |= readyBit(INSIDE);
  if (record.cache.exposures.isOut(record, INSIDE, value)) return value;
  return record.cache.exposures.expose(self, record, INSIDE, value);
}

function cacheOf(self: Managed): ObjectCacheImpl {
  const cache = stampedRecord(self).cache;
  if (cache === undefined) throw new ClosedCacheError();
  return cache;
}

function activateSlowly(object: Managed, record: ObjectRecord): void {
  if (record.cache === undefined) throw new ClosedCacheError();
  record.cache.activate(object, record);
}

/** Whether an object has the mark, or is of a persistent class. */
function isPersistentObject(value: object): boolean {
  if (stampOf(value) !== undefined) return true;
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype !== null && modelOfPrototype(prototype) !== undefined;
}

/** Whether an object is a persistent one that was saved or loaded: there is nothing to follow, it can be handed out. */
export const isSettled = isStamped;

/** Whether a value stands for an object: for code that must not load. */
export function isReference(value: unknown): value is Ref | ForeignRef {
  return value instanceof Ref || value instanceof ForeignRef;
}
