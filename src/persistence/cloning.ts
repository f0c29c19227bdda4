/** Copies of plain values, thawed: for a value that would belong to two objects, and for one put back after its state was evicted. */
import { types } from 'node:util';
import { PyDateTime } from '../pickle/index';
import { isFrozenByNature, naturalPrototype } from './sealing';
import { bytesOf, Kind, kindOf, ownNames } from './values';

/** A deep copy with the same aliasing inside, and with what was copied before into `clones`. Persistent objects and references are shared, not copied. */
export function cloneValue(root: object, clones = new Map<object, object>()): object {
  const open: [from: object, to: object, kind: Kind][] = [];
  const clone = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    const known = clones.get(value);
    if (known !== undefined) return known;
    const kind = kindOf(value);
    if (kind > Kind.instance) return value;
    const made = shell(value, kind);
    clones.set(value, made);
    if (kind !== Kind.scalar || types.isDate(value)) open.push([value, made, kind]);
    return made;
  };
  const result = clone(root) as object;
  const frozen: object[] = [];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    fill(next[0], next[1], next[2], clone);
    if (isFrozenByNature(next[0])) frozen.push(next[1]);
  }
  for (const value of frozen) Object.freeze(value);
  return result;
}

/** An empty value of the same kind and class. No constructor of a user's class runs. */
function shell(value: object, kind: Kind): object {
  const prototype = naturalPrototype(value);
  switch (kind) {
    case Kind.array:
      return new Array((value as unknown[]).length);
    case Kind.map:
      return Object.setPrototypeOf(new Map(), prototype) as object;
    case Kind.set:
      return Object.setPrototypeOf(new Set(), prototype) as object;
    case Kind.scalar:
      return cloneScalar(value, prototype);
    default:
      return types.isNativeError(value) ? bareError(prototype) : (Object.create(prototype) as object);
  }
}

/** An error is one by birth, not by its prototype. */
function bareError(prototype: object | null): object {
  const error: { stack?: string } = new Error();
  delete error.stack;
  return Object.setPrototypeOf(error, prototype) as object;
}

function cloneScalar(value: object, prototype: object | null): object {
  if (types.isDate(value)) return Object.setPrototypeOf(cloneDate(value), prototype) as object;
  if (value instanceof URL) return new URL(value.href);
  const bytes = bytesOf(value as ArrayBufferView).slice();
  if (!ArrayBuffer.isView(value)) return bytes.buffer;
  if (Buffer.isBuffer(value)) return Buffer.from(bytes.buffer);
  const view = value.constructor as new (buffer: ArrayBufferLike) => object;
  return new view(bytes.buffer);
}

/** What Python's datetimes have beside their moment is private to their class. */
function cloneDate(date: Date): Date {
  return date instanceof PyDateTime
    ? new PyDateTime(date.fields)
    : new Date(Date.prototype.getTime.call(date));
}

function fill(from: object, to: object, kind: Kind, clone: (value: unknown) => unknown): void {
  if (kind === Kind.array) {
    (from as unknown[]).forEach((item, i) => ((to as unknown[])[i] = clone(item)));
    return;
  }
  if (kind === Kind.map) {
    Map.prototype.forEach.call(from, (item: unknown, key: unknown) => {
      Map.prototype.set.call(to, clone(key), clone(item));
    });
  } else if (kind === Kind.set) {
    Set.prototype.forEach.call(from, (item: unknown) => void Set.prototype.add.call(to, clone(item)));
  }
  for (const name of ownNames(from)) {
    const value = clone((from as Record<string, unknown>)[name]);
    const enumerable = Object.prototype.propertyIsEnumerable.call(from, name);
    Object.defineProperty(to, name, { value, writable: true, enumerable, configurable: true });
  }
}
