/**
 * The state of a leaf of a BTree, taken apart: instead of `((k0, v0, k1, v1, …), link)`, or of `((k0, k1, …), link)` for keys
 * without values.
 */
export class Items {
  readonly keys: unknown[];
  /** Empty for keys without values. */
  readonly values: unknown[];
  /** `undefined` when there is none. */
  readonly link: unknown;

  constructor(keys: unknown[], values: unknown[], link: unknown) {
    this.keys = keys;
    this.values = values;
    this.link = link;
  }
}

/** How a class takes its state: as it is, or, where it has that form, as {@link Items}, of keys alone or of pairs. */
export const ItemForm = { none: 0, keys: 1, pairs: 2 } as const;
export type ItemForm = (typeof ItemForm)[keyof typeof ItemForm];
