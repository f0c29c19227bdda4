import type { Oid } from '../ids';

/** Up to so many are looked through; a map costs more for few. */
const FEW = 64;

/**
 * The oids written into one record, and their numbers in the memo. They mostly come in ascending order, as new objects get
 * them: as long as they do, none of them can be there already, and no map is needed.
 */
export class WrittenOids {
  readonly #oids: Oid[] = [];
  readonly #indexes: number[] = [];
  /** 1 for those that stand in the record's list of references. */
  readonly #strong: (0 | 1)[] = [];
  /** How many there are. */
  count = 0;
  /** No oid beyond this one is there. */
  greatest = -Infinity;
  #places: Map<Oid, number> | undefined = undefined;

  clear(): void {
    this.count = 0;
    this.greatest = -Infinity;
    this.#places = undefined;
  }

  /** The place of an oid, or -1. */
  find(oid: Oid): number {
    if (oid > this.greatest) return -1;
    if (this.count <= FEW) {
      const at = this.#oids.indexOf(oid);
      return at < this.count ? at : -1;
    }
    if (this.#places === undefined) {
      this.#places = new Map();
      for (let at = 0; at < this.count; at++) this.#places.set(this.#oids[at]!, at);
    }
    return this.#places.get(oid) ?? -1;
  }

  /** Notes an oid that is not there yet. */
  add(oid: Oid, index: number, strong: 0 | 1): void {
    const at = this.count++;
    this.#oids[at] = oid;
    this.#indexes[at] = index;
    this.#strong[at] = strong;
    if (oid > this.greatest) this.greatest = oid;
    this.#places?.set(oid, at);
  }

  /** Its number in the memo. */
  indexOf(at: number): number {
    return this.#indexes[at]!;
  }

  /** From now on it stands in the list of references; true when it did not before. */
  makeStrong(at: number): boolean {
    if (this.#strong[at] === 1) return false;
    this.#strong[at] = 1;
    return true;
  }
}
