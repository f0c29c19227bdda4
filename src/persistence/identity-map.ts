/** One oid, one object, for as long as anyone holds it. */
import type { Oid } from '../ids';
import { countWeakRef, releaseTargets } from './keep-alive';

/** So many weak entries are tolerated before the first sweep for dead ones. */
const FIRST_SWEEP = 4096;

/** The objects of a cache by oid: those it holds, and those that it only finds as long as somebody else holds them. */
export class IdentityMap {
  readonly #strong = new Map<Oid, object>();
  readonly #weak = new Map<Oid, WeakRef<object>>();
  #sweepAt = FIRST_SWEEP;

  get strongCount(): number {
    return this.#strong.size;
  }

  get weakCount(): number {
    return this.#weak.size;
  }

  get(oid: Oid): object | undefined {
    return this.#strong.get(oid) ?? this.#find(oid);
  }

  /** Holds an object. */
  hold(oid: Oid, object: object): void {
    this.#strong.set(oid, object);
    if (this.#weak.size > 0) this.#weak.delete(oid);
  }

  /** Lets go of an object, but still finds it. */
  loosen(oid: Oid, object: object): void {
    this.#strong.delete(oid);
    this.#weak.set(oid, new WeakRef(object));
    countWeakRef();
    if (this.#weak.size >= this.#sweepAt) this.#sweep();
  }

  delete(oid: Oid): void {
    this.#strong.delete(oid);
    this.#weak.delete(oid);
  }

  clear(): void {
    this.#strong.clear();
    this.#weak.clear();
  }

  /** All objects, held or found. */
  *objects(): IterableIterator<object> {
    yield* this.#strong.values();
    for (const reference of this.#weak.values()) {
      const object = reference.deref();
      countWeakRef();
      if (object !== undefined) yield object;
    }
  }

  #find(oid: Oid): object | undefined {
    const reference = this.#weak.get(oid);
    if (reference === undefined) return undefined;
    countWeakRef();
    return reference.deref();
  }

  /** Forgets dead entries: in a synchronous loop no finalizer would run. */
  #sweep(): void {
    for (const [oid, reference] of this.#weak) if (reference.deref() === undefined) this.#weak.delete(oid);
    releaseTargets();
    this.#sweepAt = Math.max(FIRST_SWEEP, this.#weak.size * 2);
  }
}
