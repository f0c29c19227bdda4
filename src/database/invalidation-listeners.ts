import type { Oid } from '../ids';
import { oidOf, type ObjectCache } from '../persistence/index';

/** Told that an object was changed by somebody else's commit. */
export type InvalidationListener = (oids: readonly Oid[]) => void;

/** Who wants to know of changes to an object or to the objects of a class, in one connection. */
export class InvalidationListeners {
  #byOid = new Map<Oid, Set<InvalidationListener>>();
  #byClass = new Map<object, Set<InvalidationListener>>();

  /** @returns a function that takes the listener away again */
  add(target: object, listener: InvalidationListener): () => void {
    const oid = typeof target === 'function' ? undefined : oidOf(target);
    if (oid === undefined) return addTo(this.#byClass, target, listener);
    return addTo(this.#byOid, oid, listener);
  }

  notify(oids: readonly Oid[], cache: ObjectCache): void {
    if (this.#byOid.size === 0 && this.#byClass.size === 0) return;
    const news = new Map<InvalidationListener, Set<Oid>>();
    const tell = (listeners: Set<InvalidationListener> | undefined, oid: Oid) => {
      for (const listener of listeners ?? []) {
        const known = news.get(listener);
        if (known) known.add(oid);
        else news.set(listener, new Set([oid]));
      }
    };
    for (const oid of new Set(oids)) {
      tell(this.#byOid.get(oid), oid);
      const object = this.#byClass.size > 0 ? cache.peek(oid) : undefined;
      for (let at: unknown = object; at && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
        const { constructor } = at as { constructor?: object };
        if (constructor && Object.hasOwn(at as object, 'constructor'))
          tell(this.#byClass.get(constructor), oid);
      }
    }
    for (const [listener, changed] of news) listener([...changed]);
  }

  /** Anything may have changed: everybody is told of the objects in memory that are theirs. */
  notifyAll(cache: ObjectCache): void {
    const oids = [...this.#byOid.keys()];
    if (this.#byClass.size > 0) for (const { oid } of cache.details()) oids.push(oid);
    this.notify(oids, cache);
  }
}

function addTo<K>(
  map: Map<K, Set<InvalidationListener>>,
  key: K,
  listener: InvalidationListener,
): () => void {
  const listeners = map.get(key) ?? new Set();
  map.set(key, listeners.add(listener));
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) map.delete(key);
  };
}
