/**
 * The slow paths of tracked fields: what the generated accessors and the guard leave over.
 */
import { types } from 'node:util';
import { connectSlowPaths, readyBit } from './accessors';
import type { ClassModel } from './class-model';
import { ClosedCacheError, NotPersistableError } from './errors';
import { modelFor } from './guard';
import type { ForeignRef, Ref } from './ref';
import { checkNotStale } from './sealing';
import { stampOf, Status, type ObjectRecord, type State } from './stamp';
import { unwrapProxy } from './unwrap';
import { Kind, kindOf } from './values';

/** Makes sure that an object's state is in place. */
export function ensureLoaded(object: object, record: ObjectRecord): void {
  if (record.status < Status.probation) return;
  if (record.cache === undefined) throw new ClosedCacheError();
  record.cache.activate(object, record);
}

/** The value of a slot as the program is to see it. */
export function readSlot(object: object, record: ObjectRecord, slot: number): unknown {
  for (;;) {
    ensureLoaded(object, record);
    const state = record.state;
    const value = state[slot];
    if (typeof value !== 'object' || value === null || (record.ready & readyBit(slot)) !== 0) return value;
    const kind = kindOf(value);
    if (kind === Kind.ref && record.cache === undefined) throw new ClosedCacheError();
    if (kind === Kind.persistent || kind === Kind.opaque || record.cache === undefined) {
      record.ready |= readyBit(slot);
      return value;
    }
    if (kind === Kind.ref) {
      const cache = record.cache;
      const loadsBefore = cache.loads;
      const target = cache.follow(value as Ref | ForeignRef);
      if (cache.loads !== loadsBefore) cache.jar.followed?.(object, state[0].model.nameOfSlot(slot));
      state[slot] = target;
      if (record.state !== state) continue;
      record.ready |= readyBit(slot);
      return target;
    }
    const { exposures } = record.cache;
    if (!exposures.isOut(record, slot, value)) {
      const seen = exposures.expose(object, record, slot, value);
      state[slot] = seen;
    }
    if (record.state !== state) continue;
    record.ready |= readyBit(slot);
    return state[slot];
  }
}

/** Writes a field that is there. */
export function writeSlot(object: object, record: ObjectRecord, slot: number, value: unknown): void {
  if (typeof value === 'object' && value !== null) checkNotStale(value, describeField(object, record, slot));
  if (record.status >= Status.probation) ensureLoaded(object, record);
  if (record.status < Status.changed) {
    if (Object.isFrozen(object))
      throw new TypeError(`Cannot assign to a field of a frozen ${object.constructor.name}.`);
    record.cache!.markChanged(object, record);
  }
  const state = record.state;
  const layout = state[0];
  if (!layout.straight || slot > layout.top) makeRoom(state, slot);
  if (typeof value === 'object') put(object, record, slot, value);
  else state[slot] = value;
}

/** A field that the state has not yet, perhaps: objects of one class may have different ones. */
function makeRoom(state: State, slot: number): void {
  while (state.length <= slot) state.push(undefined);
  const name = state[0].model.nameOfSlot(slot);
  if (name !== undefined && state[0].slotOf(name) === 0) state[0] = state[0].plus(name);
}

function put(object: object, record: ObjectRecord, slot: number, value: unknown): void {
  record.state[slot] = value;
  if (typeof value !== 'object' || value === null) return;
  const kind = kindOf(value);
  if (kind === Kind.ref) record.ready &= ~readyBit(slot);
  else if (kind <= Kind.instance && record.cache !== undefined && record.cache.filling !== record) {
    record.cache.exposures.assigned(object, record, slot, value);
  } else if (kind > Kind.instance) record.ready |= readyBit(slot);
  else record.ready &= ~readyBit(slot);
}

/** A name that neither the object nor its class has is set: a new field. */
export function setUnknown(receiver: object, key: PropertyKey, value: unknown): boolean {
  const record = stampOf(receiver);
  if (record === undefined) return setOnOrdinary(receiver, key, value);
  const name = typeof key === 'symbol' ? undefined : String(key);
  if (name === undefined) return defineOwn(receiver, key, value);
  if (name.startsWith('_p_')) {
    throw new TypeError(`${name}: names that begin with _p_ are reserved for persistence.`);
  }
  const model = modelFor(receiver)!.model;
  if (model.isVolatile(name)) {
    model.volatile = true;
    return defineOwn(receiver, key, value);
  }
  if (record.cache === undefined) return defineOwn(receiver, key, value);
  if (!Object.isExtensible(receiver)) return false;
  if (typeof value === 'object' && value !== null)
    checkNotStale(value, `${receiver.constructor.name}.${name}`);
  ensureLoaded(receiver, record);
  if (Object.hasOwn(receiver, name)) return Reflect.set(receiver, name, value);
  addField(receiver, record, name, value);
  return true;
}

/** Puts a new field on a tracked object. */
export function addField(object: object, record: ObjectRecord, name: string, value: unknown): void {
  const cache = record.cache!;
  if (record.status < Status.changed) cache.markChanged(object, record);
  const layout = record.state[0].plus(name);
  const slot = layout.slotOf(name);
  const state = record.state;
  while (state.length <= slot) state.push(undefined);
  state[0] = layout;
  put(object, record, slot, value);
  const accessor = layout.model.accessorOf(name);
  if (accessor === undefined) return;
  const firm = cache.filling === record;
  Object.defineProperty(object, name, firm ? accessor : { ...accessor, configurable: true });
  if (!firm) cache.addedFields.add(object, name);
}

/** One class a name, whose field definition is five times as fast as `defineProperty`. */
const definers = new Map<PropertyKey, new (object: object, value: unknown) => object>();
const DEFINER_LIMIT = 2000;

class Identity {
  constructor(object: object) {
    return object;
  }
}

function setOnOrdinary(receiver: object, key: PropertyKey, value: unknown): boolean {
  if (types.isProxy(receiver)) {
    const target = unwrapProxy(receiver);
    return target !== undefined && Reflect.set(target, key, value);
  }
  return defineOwn(receiver, key, value);
}

function defineOwn(receiver: object, key: PropertyKey, value: unknown): boolean {
  if (!Object.isExtensible(receiver)) return false;
  let definer = definers.get(key);
  if (definer === undefined) {
    if (definers.size >= DEFINER_LIMIT) {
      return Reflect.defineProperty(receiver, key, {
        value,
        writable: true,
        enumerable: true,
        configurable: true,
      });
    }
    definer = class extends Identity {
      [key]: unknown;
      constructor(object: object, initial: unknown) {
        super(object);
        (this as Record<PropertyKey, unknown>)[key] = initial;
      }
    };
    definers.set(key, definer);
  }
  new definer(receiver, value);
  return true;
}

/**
 * Whoever has no mark of its own is no persistent object: a proxy of one, or an heir made by `Object.create`.
 */
function persistentBehind(receiver: object): object | undefined {
  if (types.isProxy(receiver)) return unwrapProxy(receiver);
  for (let at: object | null = receiver; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    if (stampOf(at) !== undefined) return at;
  }
  return undefined;
}

function nameOf(model: ClassModel, slot: number): string {
  return model.nameOfSlot(slot) ?? '?';
}

function describeField(object: object, record: ObjectRecord, slot: number): string {
  return `${object.constructor.name}.${nameOf(record.state[0].model, slot)}`;
}

/** Slots of fields beyond the limit depend on the state they are in. */
function namedSlot(object: object, record: ObjectRecord, name: string): number {
  ensureLoaded(object, record);
  return record.state[0].slotOf(name);
}

connectSlowPaths({
  get(receiver, slot) {
    const record = stampOf(receiver);
    if (record !== undefined) return readSlot(receiver, record, slot);
    const behind = persistentBehind(receiver);
    return behind && readSlot(behind, stampOf(behind)!, slot);
  },
  set(receiver, slot, value) {
    const record = stampOf(receiver);
    if (record !== undefined) {
      writeSlot(receiver, record, slot, value);
      return;
    }
    const behind = persistentBehind(receiver);
    if (behind === undefined)
      throw new NotPersistableError('This is no persistent object, nor made from one.');
    const own = stampOf(behind)!;
    if (types.isProxy(receiver)) writeSlot(behind, own, slot, value);
    else if (!defineOwn(receiver, nameOf(own.state[0].model, slot), value))
      throw new TypeError('Cannot add a property.');
  },
  getNamed(receiver, name) {
    const behind = persistentBehind(receiver);
    if (behind === undefined) return undefined;
    const record = stampOf(behind)!;
    const slot = namedSlot(behind, record, name);
    return slot === 0 ? undefined : readSlot(behind, record, slot);
  },
  setNamed(receiver, name, value) {
    const behind = persistentBehind(receiver);
    if (behind === undefined)
      throw new NotPersistableError('This is no persistent object, nor made from one.');
    if (behind !== receiver && !types.isProxy(receiver)) {
      defineOwn(receiver, name, value);
      return;
    }
    const record = stampOf(behind)!;
    const slot = namedSlot(behind, record, name);
    if (slot !== 0) writeSlot(behind, record, slot, value);
    else {
      if (record.status < Status.changed) record.cache!.markChanged(behind, record);
      const layout = record.state[0].plus(name);
      const state = record.state;
      while (state.length <= layout.top) state.push(undefined);
      state[0] = layout;
      put(behind, record, layout.slotOf(name), value);
    }
  },
});
