/**
 * What stands above the topmost persistent prototype of a class:
 *
 * ```
 * object → Account.prototype → relay → guard → (the base class's prototype) → Object.prototype
 * ```
 *
 * The *guard* is a proxy with a `set` trap only: a property that neither the object nor its class has is set through it, and so becomes a
 * tracked field. The *relay* keeps ordinary look-ups from reaching the guard, which would cost 90 ns each: it has copies of everything that undecorated bases and
 * `Object.prototype` define, the `_p_*` protocol and `util.inspect`'s hook.
 */
import { anchored } from './anchor';
import { ClassModel, hasAccessor, modelOfPrototype, setModel, type TransientInit } from './class-model';
import type { AnyClass } from './interfaces';
import type { ClassOptions, FieldType } from './registry';

/** What field decorators noted for the class that is being defined. */
export interface FieldNotes {
  readonly transients: Map<string, TransientInit>;
  readonly types: Map<string, FieldType>;
}

/** Parts that depend on the object machinery, connected by `tracked.ts` and `protocol.ts`. */
export interface GuardHooks {
  /** A property nobody defines is set on an object of a persistent class. */
  setUnknown(receiver: object, key: PropertyKey, value: unknown): boolean;
  /** The `_p_*` members and the inspect hook. */
  members: PropertyDescriptorMap;
}

const hooks = {} as GuardHooks;

export function connectGuard(parts: GuardHooks): void {
  Object.assign(hooks, parts);
}

/** On prototypes of classes whose objects keep their own house: nothing is put above them, their properties are their own. */
export const UNTRACKED = Symbol('zodb.untracked');

/** A method of containers whose elements look like properties: tells whether a name is one. */
export const IS_ELEMENT = Symbol('zodb.isElement');

/** Relays in place: a prototype chain needs one only. */
const relays = anchored('relays', () => new WeakSet<object>());

const handler: ProxyHandler<object> = {
  set(target, key, value, receiver): boolean {
    if (key === '__proto__') return Reflect.set(target, key, value, receiver);
    return hooks.setUnknown(receiver as object, key, value);
  },
};

/** Makes a class one whose objects can be persistent. Again, with other options, when it was one before. */
export function prepareClass(
  ctor: AnyClass,
  options: ClassOptions,
  notes: FieldNotes | undefined,
): ClassModel {
  const prototype = ctor.prototype as object;
  const inherited = inheritedModel(prototype);
  const known = modelOfPrototype(prototype);
  const transients = new Map([...(inherited?.transients ?? []), ...(known?.transients ?? [])]);
  const types = new Map([...(inherited?.types ?? []), ...(known?.types ?? [])]);
  for (const name of options.transient ?? []) transients.set(name, transients.get(name));
  for (const [name, init] of notes?.transients ?? []) transients.set(name, init);
  for (const [name, type] of Object.entries(options.fields ?? {})) types.set(name, type);
  for (const [name, type] of notes?.types ?? []) types.set(name, type);
  if (!hasRelay(prototype) && (prototype as { [UNTRACKED]?: boolean })[UNTRACKED] !== true) raise(prototype);
  const model = known ?? new ClassModel(ctor);
  model.configure({ ...inherited?.options, ...known?.options, ...options }, transients, types);
  setModel(prototype, model);
  for (const [name, init] of transients) if (init !== undefined) defineLazy(prototype, model, name, init);
  return model;
}

/** The model of the nearest base class that has one. */
function inheritedModel(prototype: object): ClassModel | undefined {
  for (let at = above(prototype); at !== null; at = above(at)) {
    const model = modelOfPrototype(at);
    if (model !== undefined) return model;
  }
  return undefined;
}

/**
 * The model of an object's class, or of the nearest base class that has one: `exact` tells which. Own properties of the object don't count.
 */
export function modelFor(object: object): { model: ClassModel; exact: boolean } | undefined {
  const prototype = above(object);
  if (prototype === null) return undefined;
  const model = modelOfPrototype(prototype);
  if (model !== undefined) return { model, exact: true };
  const base = inheritedModel(prototype);
  return base && { model: base, exact: false };
}

function above(object: object): object | null {
  return Object.getPrototypeOf(object) as object | null;
}

function hasRelay(prototype: object): boolean {
  for (let at: object | null = prototype; at !== null; at = above(at)) if (relays.has(at)) return true;
  return false;
}

/** Puts relay and guard above a prototype. */
function raise(prototype: object): void {
  const base = above(prototype);
  const guard = new Proxy(Object.create(base) as object, handler);
  const relay = Object.create(guard) as object;
  for (let at = base; at !== null; at = above(at)) copyMembers(at, relay);
  Object.defineProperties(relay, hooks.members);
  relays.add(relay);
  Object.setPrototypeOf(prototype, relay);
}

function copyMembers(from: object, to: object): void {
  for (const key of Reflect.ownKeys(from)) {
    if (key === '__proto__' || key === 'constructor' || Object.hasOwn(to, key)) continue;
    Object.defineProperty(to, key, { ...Object.getOwnPropertyDescriptor(from, key)!, configurable: true });
  }
}

/** A transient field with an initialiser: its first read makes it a property of the object. */
function defineLazy(
  prototype: object,
  model: ClassModel,
  name: string,
  init: NonNullable<TransientInit>,
): void {
  if (Object.hasOwn(prototype, name) && hasAccessor(prototype, name)) return;
  model.volatile = true;
  const put = (object: object, value: unknown): void => {
    Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
  };
  Object.defineProperty(prototype, name, {
    get(this: object): unknown {
      if (this === prototype) return undefined;
      const value = init.call(this, this);
      put(this, value);
      return value;
    },
    set(this: object, value: unknown): void {
      put(this, value);
    },
    enumerable: false,
    configurable: true,
  });
}
