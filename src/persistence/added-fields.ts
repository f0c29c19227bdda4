/**
 * Fields that objects got since the last commit. Until then they can be deleted, and an abort takes them away again; after it they are as firm as the others.
 */
import { recordOf, Status } from './stamp';

const NONE: readonly string[] = [];

/** The added fields of one cache. */
export class AddedFields {
  readonly #names = new Map<object, string[]>();

  get any(): boolean {
    return this.#names.size > 0;
  }

  add(object: object, name: string): void {
    const names = this.#names.get(object);
    if (names === undefined) this.#names.set(object, [name]);
    else if (!names.includes(name)) names.push(name);
  }

  /** Added fields that the program has deleted meanwhile. */
  deletedOf(object: object): readonly string[] {
    if (this.#names.size === 0) return NONE;
    return this.#names.get(object)?.filter((name) => !Object.hasOwn(object, name)) ?? NONE;
  }

  /**
   * They stay: from now on they can't be deleted. In reverse order off and in order on again, which keeps fast maps where that is possible. Those of an object that was changed again meanwhile
   * wait for the commit of that.
   */
  commit(): void {
    if (this.#names.size === 0) return;
    for (const [object, names] of this.#names) {
      if (recordOf(object)!.status === Status.changed) continue;
      this.#names.delete(object);
      const present = names.filter((name) => Object.hasOwn(object, name));
      const descriptors = present.map((name) => Object.getOwnPropertyDescriptor(object, name)!);
      for (const name of present.toReversed()) Reflect.deleteProperty(object, name);
      present.forEach((name, i) => {
        Object.defineProperty(object, name, { ...descriptors[i], configurable: false });
      });
    }
  }

  /** They go. */
  abort(): void {
    for (const object of this.#names.keys()) this.withdraw(object);
    this.#names.clear();
  }

  /** Those of one object go until its state is loaded again: a savepoint may have kept them. */
  withdraw(object: object): void {
    for (const name of this.#names.get(object)?.toReversed() ?? []) Reflect.deleteProperty(object, name);
  }

  /** Those of an object that is set free stay as they are. */
  forget(object: object): void {
    this.#names.delete(object);
  }

  /** All of them stay as they are. */
  clear(): void {
    this.#names.clear();
  }

  /** Whether a field of an object is not committed yet. */
  has(object: object, name: string): boolean {
    return this.#names.get(object)?.includes(name) ?? false;
  }
}
