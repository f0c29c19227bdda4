/** Which objects are built-in values, whatever realm they come from, and why others can't be saved. */
import { types } from 'node:util';
import { ByteArray, FrozenSet, PyDict } from './containers';
import { PyDate, PyDateTime, PyTime, PyTimeDelta, PyTimezone } from './datetime';
import { Global } from './global';
import { PyInstance } from './instance';
import { Complex, Decimal, Fraction, PyFloat } from './numbers';
import { UUID } from './uuid';

/** Prototypes seen so far, and whether their objects are built-in values. */
const known = new WeakMap<object, boolean>();
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
for (const cls of own) known.set(cls.prototype, true);
known.set(PyInstance.prototype, false);

/** Whether an object's class is one of JavaScript's own or of this room's; a subclass of them is not. */
export function isBuiltinPrototype(object: object): boolean {
  const prototype = Object.getPrototypeOf(object) as object | null;
  if (prototype === null) return true;
  let answer = known.get(prototype);
  if (answer === undefined) {
    const constructor: unknown = Object.hasOwn(prototype, 'constructor') ? prototype.constructor : undefined;
    answer = typeof constructor === 'function' && isNativeClass(constructor);
    known.set(prototype, answer);
  }
  return answer;
}

function isNativeClass(constructor: object): boolean {
  const source = Function.prototype.toString.call(constructor);
  // Node's URL is written in JavaScript.
  return /\{\s*\[native code\]\s*\}$/.test(source) || constructor === URL;
}

/** Whether objects with this prototype are plain: none, or `Object.prototype` of some realm, or a bare one above none. */
export function isPlainPrototype(prototype: object | null): boolean {
  if (prototype === null || prototype === Object.prototype) return true;
  if (Object.getPrototypeOf(prototype) !== null) return false;
  const constructor: unknown = Object.hasOwn(prototype, 'constructor') ? prototype.constructor : undefined;
  return typeof constructor !== 'function' || isNativeClass(constructor);
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
