/**
 * Values of JavaScript that Python has no type for. They are written as calls of names in a module `zodb_js`, which Python
 * does not have: ZODB there sees broken instances and keeps them intact.
 *
 * | value | call |
 * |---|---|
 * | `undefined` | `undefined()` |
 * | `RegExp` | `RegExp(source, flags)` |
 * | `URL` | `URL(href)` |
 * | `Error` and its built-in subclasses | `Error(name, message)`, then its other own properties as state |
 * | a `Date` that datetime can't hold | `Date(milliseconds or None)` |
 * | typed arrays but `Uint8Array`, `ArrayBuffer`, `DataView` | `Float64Array(bytes)`, … |
 */
import { types } from 'node:util';
import { Global } from './global';
import { define } from './shapes';

export const JS_MODULE = 'zodb_js';

const ERRORS: Record<string, (message: string) => Error> = {
  Error: (message) => new Error(message),
  EvalError: (message) => new EvalError(message),
  RangeError: (message) => new RangeError(message),
  ReferenceError: (message) => new ReferenceError(message),
  SyntaxError: (message) => new SyntaxError(message),
  TypeError: (message) => new TypeError(message),
  URIError: (message) => new URIError(message),
  AggregateError: (message) => new AggregateError([], message),
};

const VIEWS: Record<string, (buffer: ArrayBuffer) => object> = {
  ArrayBuffer: (buffer) => buffer,
  DataView: (buffer) => new DataView(buffer),
  Int8Array: (buffer) => new Int8Array(buffer),
  Uint8ClampedArray: (buffer) => new Uint8ClampedArray(buffer),
  Int16Array: (buffer) => new Int16Array(buffer),
  Uint16Array: (buffer) => new Uint16Array(buffer),
  Int32Array: (buffer) => new Int32Array(buffer),
  Uint32Array: (buffer) => new Uint32Array(buffer),
  Float32Array: (buffer) => new Float32Array(buffer),
  Float64Array: (buffer) => new Float64Array(buffer),
  BigInt64Array: (buffer) => new BigInt64Array(buffer),
  BigUint64Array: (buffer) => new BigUint64Array(buffer),
};

/** The calls that bring JavaScript's own values back; each gives `NONE` for arguments that are none of its. */
export const jsReaders: [name: string, read: (args: readonly unknown[], none: unknown) => unknown][] = [
  ['undefined', () => undefined],
  [
    'RegExp',
    ([source, flags], none) => {
      if (typeof source !== 'string' || typeof flags !== 'string') return none;
      try {
        return new RegExp(source, flags);
      } catch {
        return none;
      }
    },
  ],
  ['URL', ([href], none) => (typeof href === 'string' && URL.canParse(href) ? new URL(href) : none)],
  ['Error', ([name, message], none) => makeError(name, message, none)],
  [
    'Date',
    ([time], none) => (time === null ? new Date(NaN) : typeof time === 'number' ? new Date(time) : none),
  ],
  ...Object.entries(VIEWS).map(
    ([name, make]) =>
      [
        name,
        ([bytes]: readonly unknown[], none: unknown) => {
          if (!(bytes instanceof Uint8Array)) return none;
          try {
            return make(Uint8Array.from(bytes).buffer);
          } catch {
            return none;
          }
        },
      ] as [string, (args: readonly unknown[], none: unknown) => unknown],
  ),
];

function makeError(name: unknown, message: unknown, none: unknown): unknown {
  if (typeof name !== 'string' || typeof message !== 'string' || !Object.hasOwn(ERRORS, name)) return none;
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return ERRORS[name]!(message);
  } finally {
    Error.stackTraceLimit = limit;
  }
}

/** Gives an error read from a pickle its own properties; false when the state is no plain object. */
export function setErrorState(error: Error, state: unknown): boolean {
  if (typeof state !== 'object' || state === null || Array.isArray(state) || state instanceof Map)
    return false;
  for (const [key, value] of Object.entries(state)) {
    const hidden = key === 'stack' || key === 'cause' || key === 'errors';
    if (hidden) {
      Object.defineProperty(error, key, { value, writable: true, enumerable: false, configurable: true });
    } else {
      define(error, key, value);
    }
  }
  return true;
}

/** How a value of JavaScript's own is written: name and arguments of the call, and a state; `undefined` for others. */
export interface JsCall {
  readonly global: Global;
  readonly args: readonly unknown[];
  readonly state: Record<string, unknown> | undefined;
}

const globals = new Map<string, Global>(
  jsReaders.map(([name]) => [name, Global.of(JS_MODULE, name)] as [string, Global]),
);

function call(name: string, args: readonly unknown[], state?: Record<string, unknown>): JsCall {
  return { global: globals.get(name)!, args, state };
}

/** `undefined` as a call. */
export const undefinedCall = call('undefined', []);

/** A `Date` that no datetime can hold: invalid, or outside the years 1 to 9999. */
export function dateCall(time: number): JsCall {
  return call('Date', [Number.isNaN(time) ? null : time]);
}

/** A built-in object of JavaScript as a call, whatever realm it comes from; `undefined` for anything else. */
export function jsCall(value: object): JsCall | undefined {
  if (types.isRegExp(value)) return call('RegExp', [value.source, value.flags]);
  if (value instanceof URL) return call('URL', [value.href]);
  if (types.isNativeError(value)) return errorCall(value);
  if (ArrayBuffer.isView(value)) {
    const name = types.isDataView(value)
      ? 'DataView'
      : (value as { [Symbol.toStringTag]?: string })[Symbol.toStringTag]!;
    return globals.has(name)
      ? call(name, [Buffer.from(value.buffer, value.byteOffset, value.byteLength)])
      : undefined;
  }
  if (types.isArrayBuffer(value)) return call('ArrayBuffer', [Buffer.from(value)]);
  return undefined;
}

function errorCall(error: Error): JsCall | undefined {
  const proto = Object.getPrototypeOf(error) as object;
  const name = Object.hasOwn(proto, 'name') ? (proto as Error).name : undefined;
  // A subclass is a class like any other: it must be registered. A built-in one has the name and the native constructor.
  if (name === undefined || !Object.hasOwn(ERRORS, name) || !isNative(proto.constructor)) return undefined;
  const state: Record<string, unknown> = {};
  for (const key of ['stack', 'cause', 'errors']) {
    if (Object.hasOwn(error, key)) state[key] = (error as unknown as Record<string, unknown>)[key];
  }
  for (const key of Object.keys(error))
    define(state, key, (error as unknown as Record<string, unknown>)[key]);
  delete state['message'];
  return call('Error', [name, error.message], state);
}

function isNative(constructor: unknown): boolean {
  return (
    typeof constructor === 'function' &&
    /\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(constructor))
  );
}
