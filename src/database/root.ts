/**
 * `connection.root`: the root mapping's keys as attributes (`ZODB/src/ZODB/Connection.py`, `RootConvenience`). Calling
 * it gives the mapping itself, for keys that are no attribute names.
 */
import { inspect } from 'node:util';
import { InvalidArgumentError } from '../errors';
import type { PersistentMapping } from '../persistence/index';

/** The root by attributes, and by a call the mapping. */
export type Root<R extends object> = R & (() => PersistentMapping<string, unknown>);

/** How many characters of its keys a root shows to `util.inspect`. */
const SHOWN = 60;

export function makeRoot<R extends object>(
  mapping: () => PersistentMapping<string, unknown>,
  isOpen: () => boolean,
): Root<R> {
  const show = () => {
    const names = [...mapping().keys()].map(String).sort().join(', ');
    return `<root: ${names.length > SHOWN ? `${names.slice(0, SHOWN)}…` : names}>`;
  };
  // util.inspect looks through a proxy at its target.
  const target = Object.defineProperty(() => mapping(), inspect.custom, { value: show, configurable: true });
  return new Proxy(target, {
    get(_target, key) {
      if (typeof key === 'symbol') return undefined;
      // Whoever gets a root as a result asks whether it is a promise, perhaps after its connection was closed.
      if (key === 'then' && !isOpen()) return undefined;
      return mapping().get(key);
    },
    set(_target, key, value) {
      if (typeof key === 'symbol') {
        throw new InvalidArgumentError(`Entries of the root have text for keys, not ${String(key)}.`);
      }
      mapping().set(key, value);
      return true;
    },
    has: (_target, key) => typeof key === 'string' && mapping().has(key),
    deleteProperty(_target, key) {
      if (typeof key === 'string') mapping().delete(key);
      return true;
    },
    ownKeys: () => [...mapping().keys()].map(String),
    getOwnPropertyDescriptor(_target, key) {
      if (typeof key === 'symbol' || !mapping().has(key)) return undefined;
      return { value: mapping().get(key), writable: true, enumerable: true, configurable: true };
    },
    getPrototypeOf: () => null,
    setPrototypeOf: () => false,
    defineProperty: () => false,
    preventExtensions: () => false,
  }) as unknown as Root<R>;
}
