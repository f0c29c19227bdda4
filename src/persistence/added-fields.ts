/**
 * Fields that objects got since the last commit. Until then they can be deleted, and an abort takes them away again; after it they are as firm as the others.
 */
import { stampOf } from './stamp';

/** The added fields of one cache. */
export class AddedFields {
  readonly #names = new Map<object, string[]>();

  add(object: object, name: string): void {
    const names = this.#names.get(object);
    if (names === undefined) this.#names.set(object, [name]);
    else if (!names.includes(name)) names.push(name);
  }

  /** Added fields that the program has deleted meanwhile. */
  deletedOf(object: object): string[] {
    return this.#names.get(object)?.filter((name) => !Object.hasOwn(object, name)) ?? [];
  }

  /** They stay: from now on they can't be deleted. In reverse order off and in order on again, which keeps fast maps where that is possible. */
  commit(): void {
    for (const [object, names] of this.#names) {
      const present = names.filter((name) => Object.hasOwn(object, name));
      const descriptors = present.map((name) => Object.getOwnPropertyDescriptor(object, name)!);
      for (const name of present.toReversed()) Reflect.deleteProperty(object, name);
      present.forEach((name, i) => {
        Object.defineProperty(object, name, { ...descriptors[i], configurable: false });
      });
    }
    this.#names.clear();
  }

  /** They go. */
  abort(): void {
    for (const object of [...this.#names.keys()]) this.abortOne(object);
  }

  /** Those of one object go. */
  abortOne(object: object): void {
    const names = this.#names.get(object);
    if (names === undefined) return;
    this.#names.delete(object);
    const state = stampOf(object)?.state;
    if (state === undefined) return;
    for (const name of names.toReversed()) Reflect.deleteProperty(object, name);
  }
}
