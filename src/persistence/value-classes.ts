/** Registered `@value` classes, as the pickle floor wants them. */
import { Global, type Reduction, type ValueClass } from '../pickle/index';
import type { Registry } from './registry';

/** Finds value classes of one registry, by stored name for reading and by object for writing. */
export class ValueClasses {
  readonly #registry: Registry;
  readonly #byGlobal = new Map<Global, ValueClass>();
  /** The last object that {@link reduce} knew nothing of: when the write fails, this is why. */
  refused: object | undefined = undefined;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  resolve(global: Global): ValueClass | undefined {
    const known = this.#byGlobal.get(global);
    if (known !== undefined) return known;
    const entry = this.#registry.find(global.module, global.name);
    if (entry?.kind !== 'value') return undefined;
    const made = valueClassOf(Global.of(entry.module, entry.name), entry.ctor.prototype as object);
    this.#byGlobal.set(global, made);
    return made;
  }

  reduce(object: object): Reduction | undefined {
    const ctor = (Object.getPrototypeOf(object) as { constructor?: unknown } | null)?.constructor;
    const entry = typeof ctor === 'function' ? this.#registry.entryOf(ctor as never) : undefined;
    if (entry?.kind !== 'value') {
      this.refused = object;
      return undefined;
    }
    return reduction(Global.of(entry.module, entry.name), object);
  }
}

interface WithState {
  __getstate__?: () => unknown;
  __setstate__?: (state: unknown) => void;
}

/**
 * The usual behaviour: own enumerable fields are the state, no constructor runs; `__getstate__` and `__setstate__` where the class has them. What Python makes with arguments (a named tuple) or
 * gives another state (one of slots) would lose them: it is kept as it was.
 */
function valueClassOf(global: Global, prototype: object): ValueClass {
  return {
    global,
    create: () => Object.create(prototype) as object,
    takes: (args) => args.length === 0,
    setState(object, state) {
      const { __setstate__ } = object as WithState;
      if (__setstate__ === undefined) return setFields(object, state);
      __setstate__.call(object, state);
      return true;
    },
    reduce: (object) => reduction(global, object),
  };
}

function reduction(global: Global, object: object): Reduction {
  const { __getstate__ } = object as WithState;
  if (__getstate__ !== undefined)
    return { by: 'newobj', cls: global, args: [], state: __getstate__.call(object) };
  const state = { ...object };
  return { by: 'newobj', cls: global, args: [], state: Object.keys(state).length > 0 ? state : undefined };
}

function setFields(object: object, state: unknown): boolean {
  if (typeof state !== 'object' || state === null || Object.getPrototypeOf(state) !== Object.prototype)
    return false;
  for (const [name, value] of Object.entries(state)) {
    if (name === '__proto__') continue;
    Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
  }
  return true;
}
