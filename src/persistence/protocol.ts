/**
 * ZODB's `_p_*` protocol, and the functions that do the same for objects of any class.
 */
import { inspect, type InspectOptions } from 'node:util';
import { InvalidArgumentError } from '../errors';
import { formatOid, timeOfTid, type Oid, type Tid } from '../ids';
import { isManaged } from './classes';
import { connectGuard, modelFor } from './guard';
import type { Jar, PersistentStatus } from './interfaces';
import { Managed } from './managed';
import { recordOf, stampOf, Status, type ObjectRecord } from './stamp';
import { statusWord } from './status';
import { ensureLoaded, setUnknown } from './tracked';
import { caught } from './unwrap';

/** Whether a value is an object of a persistent class, stored or not. */
export function isPersistent(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  return recordOf(value) !== undefined || modelFor(value) !== undefined;
}

/** The oid of an object; `undefined` for one that was neither stored nor added. */
export function oidOf(object: object): Oid | undefined {
  return recordOf(checked(object))?.oid;
}

/** The tid of the revision an object shows; `undefined` for one that was never stored. Loads a ghost. */
export function serialOf(object: object): Tid | undefined {
  const record = recordOf(checked(object));
  if (record?.cache === undefined) return undefined;
  ensureLoaded(object, record);
  return record.serial === 0n ? undefined : record.serial;
}

/** `'unsaved'`, `'ghost'`, `'saved'`, `'changed'`. */
export function statusOf(object: object): PersistentStatus {
  return statusWord(recordOf(checked(object)));
}

/** The jar of an object; `undefined` for an unsaved one. */
export function jarOf(object: object): Jar | undefined {
  return recordOf(checked(object))?.cache?.jar;
}

/** Says that an object was changed in a way that nothing could notice. No effect on an unsaved one. */
export function markChanged(object: object): void {
  const record = recordOf(checked(object));
  if (record?.cache === undefined) return;
  ensureLoaded(object, record);
  if (record.status < Status.changed) record.cache.markChanged(object, record);
}

/** Loads an object's state if it is not in memory. */
export function activate(object: object): void {
  const record = recordOf(checked(object));
  if (record?.cache !== undefined) ensureLoaded(object, record);
}

/** Drops the state of an unchanged object; it is loaded again when needed. */
export function deactivate(object: object): void {
  const record = recordOf(checked(object));
  record?.cache?.deactivate(object, record);
}

/** Drops the state of an object, changes and all. */
export function invalidate(object: object): void {
  const record = recordOf(checked(object));
  record?.cache?.discard(object, record);
}

/**
 * Takes a field out of an object's state. The property itself can't go (tracked fields are non-configurable): it reads `undefined`, and is missing when the object is next loaded.
 */
export function removeField(object: object, name: string): void {
  const record = stampOf(checked(object));
  if (record === undefined) {
    Reflect.deleteProperty(object, name);
    return;
  }
  ensureLoaded(object, record);
  const state = record.state;
  const slot = state[0].slotOf(name);
  if (slot === 0) return;
  if (record.status < Status.changed) record.cache!.markChanged(object, record);
  state[slot] = undefined;
  state[0] = state[0].minus(name);
}

function checked(object: object): object {
  if (isPersistent(object)) return object;
  throw new InvalidArgumentError(`${inspect(object, { depth: 0 })} is no object of a persistent class.`);
}

function setChanged(object: object, value: boolean | null): void {
  const record = recordOf(object);
  if (record?.cache === undefined) return;
  if (value === true) markChanged(object);
  else if (value === null) deactivate(object);
  else if (record.status === Status.changed) record.cache.unmark(object, record);
}

function changedWord(record: ObjectRecord | undefined): boolean | null {
  if (record?.status === Status.ghost) return null;
  return statusWord(record) === 'changed';
}

const members: Record<string, (this: object, ...args: never[]) => unknown> = {
  _p_activate(): void {
    activate(this);
  },
  _p_deactivate(): void {
    deactivate(this);
  },
  _p_invalidate(): void {
    invalidate(this);
  },
};

const properties: Record<string, { get(this: object): unknown; set?(this: object, value: never): void }> = {
  _p_oid: {
    get() {
      return recordOf(this)?.oid;
    },
  },
  _p_jar: {
    get() {
      const jar = recordOf(this)?.cache?.jar;
      return jar?.owner ?? jar;
    },
  },
  _p_serial: {
    get() {
      return recordOf(this)?.serial ?? 0n;
    },
  },
  _p_changed: {
    get() {
      return changedWord(recordOf(this));
    },
    set(value: boolean | null) {
      setChanged(this, value);
    },
  },
  _p_status: {
    get() {
      return statusWord(recordOf(this));
    },
  },
  _p_mtime: {
    get() {
      const serial = isPersistent(this) ? serialOf(this) : undefined;
      return serial === undefined ? undefined : timeOfTid(serial) / 1000;
    },
  },
  _p_estimatedSize: {
    get() {
      return recordOf(this)?.size ?? 0;
    },
  },
};

/** `util.inspect`: nothing is loaded; what is not in memory is shown as a reference. */
function inspectPersistent(this: object, depth: number, options: InspectOptions): unknown {
  if (caught(this)) return '';
  const record = stampOf(this);
  if (record === undefined || isManaged(this)) return ordinary(this, options);
  const name = this.constructor.name;
  const state = record.aside ?? record.state;
  if (record.status === Status.ghost)
    return `<${record.cache?.classNameOf(this) ?? name} ${record.oid === undefined ? 'ghost' : formatOid(record.oid)}>`;
  if (depth < 0) return `[${name}]`;
  const shown = shownAs(this);
  const layout = state[0];
  for (const key of Object.keys(this)) {
    const slot = layout.slotOf(key);
    const own = Object.getOwnPropertyDescriptor(this, key)!;
    const value: unknown = slot === 0 ? own.value : state[slot];
    Object.defineProperty(shown, key, { value, writable: true, enumerable: true, configurable: true });
  }
  for (const key of Object.getOwnPropertySymbols(this)) {
    Object.defineProperty(shown, key, Object.getOwnPropertyDescriptor(this, key)!);
  }
  return shown;
}

/** An object of the same class, without the hook, that `inspect` shows as it is. */
function shownAs(object: object): object {
  return Object.create(Object.getPrototypeOf(object) as object, {
    [inspect.custom]: { value: undefined },
  }) as object;
}

/** What `inspect` shows of an object that is not tracked yet: its own properties, as they are. */
function ordinary(object: object, options: InspectOptions): unknown {
  void options;
  const shown = shownAs(object);
  for (const key of Reflect.ownKeys(object)) {
    Object.defineProperty(shown, key, Object.getOwnPropertyDescriptor(object, key)!);
  }
  return shown;
}

/** The members of the protocol as property descriptors, non-enumerable. */
export function protocolMembers(): PropertyDescriptorMap {
  const map: PropertyDescriptorMap = {};
  for (const [name, method] of Object.entries(members)) {
    map[name] = { value: method, writable: true, configurable: true, enumerable: false };
  }
  for (const [name, property] of Object.entries(properties)) {
    map[name] = { set: readOnly(name), ...property, configurable: true, enumerable: false };
  }
  return map;
}

function readOnly(name: string): (value: unknown) => void {
  return () => {
    throw new TypeError(`${name} is read-only.`);
  };
}

Object.defineProperties(Managed.prototype, protocolMembers());

connectGuard({
  setUnknown,
  members: {
    ...protocolMembers(),
    [inspect.custom]: { value: inspectPersistent, writable: true, configurable: true, enumerable: false },
  },
});
