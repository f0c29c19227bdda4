/** Registered classes with the usual behaviour, for whoever has no registry of a database. */
import { Global } from './global';
import type { ReaderHooks, Reduction, ValueClass, WriterHooks } from './interfaces';
import { define } from './shapes';

/** A class whose objects may stand in pickles. */
export type PickledClass = abstract new (...args: never[]) => object;

/**
 * How objects of a class are read and written under a name: their own enumerable properties are the state. The constructor
 * does not run on reading. Throws `TypeError` on reading when the state is no dict of string keys.
 */
export function valueClass(module: string, name: string, cls: PickledClass): ValueClass {
  const global = Global.of(module, name);
  return {
    global,
    create: () => Object.create(cls.prototype as object) as object,
    setState(object, state) {
      if (typeof state !== 'object' || state === null || Object.getPrototypeOf(state) !== Object.prototype) {
        throw new TypeError(`The state of ${global.toString()} is no dict of properties.`);
      }
      for (const [key, value] of Object.entries(state)) define(object, key, value);
    },
    reduce: (object): Reduction => {
      const state = {};
      for (const [key, value] of Object.entries(object)) define(state, key, value);
      return { by: 'newobj', cls: global, args: [], state };
    },
  };
}

/**
 * The hooks for `loads` and `dumps` of some classes by `module.Name`.
 *
 * ```ts
 * const classes = valueClasses({ 'shop.Money': Money });
 * loads(dumps(new Money(5), classes), classes);
 * ```
 */
export function valueClasses(
  classes: Readonly<Record<string, PickledClass>>,
): Required<Pick<ReaderHooks, 'resolve'> & Pick<WriterHooks, 'reduce'>> {
  const byName = new Map<string, ValueClass>();
  const byPrototype = new Map<object, ValueClass>();
  for (const [name, cls] of Object.entries(classes)) {
    const dot = name.lastIndexOf('.');
    const made = valueClass(name.slice(0, Math.max(dot, 0)) || '__main__', name.slice(dot + 1), cls);
    byName.set(made.global.toString(), made);
    byPrototype.set(cls.prototype as object, made);
  }
  return {
    resolve: (global) => byName.get(global.toString()),
    reduce: (object) => byPrototype.get(Object.getPrototypeOf(object) as object)?.reduce(object),
  };
}
