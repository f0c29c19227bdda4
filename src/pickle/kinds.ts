/** Which objects are built-in values, whatever realm they come from, and why others can't be saved. */
import { types } from 'node:util';
import { ByteArray, FrozenSet, PyDict } from './containers';
import { PyDate, PyDateTime, PyTime, PyTimeDelta, PyTimezone } from './datetime';
import { Global } from './global';
import { PyInstance } from './instance';
import { Complex, Decimal, Fraction, PyFloat } from './numbers';
import { UUID } from './uuid';

/** How objects are written, by their prototype. */
export const Kind = {
  /** A plain object, of whatever realm. */
  plain: 0,
  /** Of one of JavaScript's own classes, or of this room's. */
  builtin: 1,
  /** Of any other class, subclasses of those above among them. */
  other: 2,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** Prototypes seen so far. */
const known = new WeakMap<object, Kind>();
const own: readonly { prototype: object }[] = [
  ByteArray,
  Complex,
  Decimal,
  Fraction,
  FrozenSet,
  Global,
  PyDate,
  PyDateTime,
  PyDict,
  PyFloat,
  PyTime,
  PyTimeDelta,
  PyTimezone,
  UUID,
  Buffer,
];
for (const cls of own) known.set(cls.prototype, Kind.builtin);
known.set(PyInstance.prototype, Kind.other);

/** The kind of the objects that have this prototype. */
export function kindOf(prototype: object | null): Kind {
  if (prototype === null || prototype === Object.prototype) return Kind.plain;
  let kind = known.get(prototype);
  if (kind === undefined) {
    kind = kindOfNew(prototype);
    known.set(prototype, kind);
  }
  return kind;
}

function kindOfNew(prototype: object): Kind {
  const constructor: unknown = Object.hasOwn(prototype, 'constructor') ? prototype.constructor : undefined;
  const isNative = typeof constructor === 'function' && isNativeClass(constructor);
  // `Object.prototype` of another realm, or a bare object.
  if (Object.getPrototypeOf(prototype) === null && (isNative || typeof constructor !== 'function'))
    return Kind.plain;
  return isNative ? Kind.builtin : Kind.other;
}

function isNativeClass(constructor: object): boolean {
  const source = Function.prototype.toString.call(constructor);
  // Node's URL is written in JavaScript.
  return /\{\s*\[native code\]\s*\}$/.test(source) || constructor === URL;
}

/** The name of an object's class, for messages. */
export function nameOfClass(object: object): string {
  const constructor = (object as { constructor?: unknown }).constructor;
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name : 'an object';
}

/** Why an object can't be saved. */
export function whyNot(object: object): string {
  if (types.isPromise(object)) return 'promises cannot be saved; await them first';
  if (types.isWeakMap(object) || types.isWeakSet(object) || object instanceof WeakRef) {
    return `a ${nameOfClass(object)} cannot be saved`;
  }
  if (types.isBoxedPrimitive(object)) return 'a boxed primitive cannot be saved; save the primitive itself';
  const name = nameOfClass(object);
  return `objects of the class ${name} cannot be saved; register it with @persistent or @value`;
}
