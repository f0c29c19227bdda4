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

/** The usual behaviour: own enumerable fields are the state, no constructor runs; `__getstate__` and `__setstate__` where the class has them. */
function valueClassOf(global: Global, prototype: object): ValueClass {
  return {
    global,
    create: () => Object.create(prototype) as object,
    setState(object, state) {
      const { __setstate__ } = object as WithState;
      if (__setstate__ !== undefined) __setstate__.call(object, state);
      else setFields(object, state);
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

function setFields(object: object, state: unknown): void {
  if (typeof state !== 'object' || state === null) return;
  for (const [name, value] of Object.entries(state)) {
    if (name === '__proto__') continue;
    Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
  }
}
