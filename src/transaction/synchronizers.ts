import type { Synchronizer } from './interfaces';
import { reportSwallowed } from './report';
import type { Transaction } from './transaction';

/**
 * The synchronizers of a transaction manager, held weakly and called in the order in which they were added: a
 * connection that nobody closed would otherwise keep its cache alive through its mere registration.
 */
export class Synchronizers {
  #refs: WeakRef<Synchronizer>[] = [];
  /** How many loops run over `#refs` right now; while there is one, a change makes a copy first. */
  #loops = 0;

  /** Counts what has not been found dead yet, so zero is exact. */
  get size(): number {
    return this.#refs.length;
  }

  add(synchronizer: Synchronizer): void {
    if (this.#refs.some((ref) => ref.deref() === synchronizer)) return;
    if (this.#loops > 0) this.#refs = this.#refs.slice();
    this.#refs.push(new WeakRef(synchronizer));
  }

  remove(synchronizer: Synchronizer): void {
    const index = this.#refs.findIndex((ref) => ref.deref() === synchronizer);
    if (index < 0) return;
    if (this.#loops > 0) this.#refs = this.#refs.slice();
    this.#refs.splice(index, 1);
  }

  clear(): void {
    this.#refs = [];
  }

  /** Whether any is alive. */
  hasLive(): boolean {
    this.#refs = this.#refs.filter((ref) => ref.deref() !== undefined);
    return this.#refs.length > 0;
  }

  /** The first error stops the loop. */
  newTransaction(transaction: Transaction): void {
    const refs = this.#refs;
    this.#loops += 1;
    try {
      for (const ref of refs) ref.deref()?.newTransaction(transaction);
    } finally {
      this.#loops -= 1;
    }
  }

  /** The first error stops the loop. */
  beforeCompletion(transaction: Transaction): void {
    const refs = this.#refs;
    this.#loops += 1;
    try {
      for (const ref of refs) ref.deref()?.beforeCompletion(transaction);
    } finally {
      this.#loops -= 1;
    }
  }

  /** The first error stops the loop. */
  beforeSavepoint(transaction: Transaction): void {
    const refs = this.#refs;
    this.#loops += 1;
    try {
      for (const ref of refs) ref.deref()?.beforeSavepoint?.(transaction);
    } finally {
      this.#loops -= 1;
    }
  }

  /** Calls every one, reports every error, and returns the first as `{ error }`. */
  beforeAbort(transaction: Transaction): { error: unknown } | undefined {
    return this.#callAll(transaction, false);
  }

  /** Calls every one, reports every error, and returns the first as `{ error }`. */
  afterCompletion(transaction: Transaction): { error: unknown } | undefined {
    return this.#callAll(transaction, true);
  }

  #callAll(transaction: Transaction, after: boolean): { error: unknown } | undefined {
    const refs = this.#refs;
    let first: { error: unknown } | undefined;
    let dead = 0;
    this.#loops += 1;
    for (const ref of refs) {
      const synchronizer = ref.deref();
      if (synchronizer === undefined) {
        dead += 1;
        continue;
      }
      try {
        if (after) synchronizer.afterCompletion(transaction);
        else synchronizer.beforeCompletion(transaction);
      } catch (error) {
        first ??= { error };
        reportSwallowed(after ? 'afterCompletion()' : 'beforeCompletion()', error, transaction, synchronizer);
      }
    }
    this.#loops -= 1;
    if (dead > 0) this.hasLive();
    return first;
  }
}
