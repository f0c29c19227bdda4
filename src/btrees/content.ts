import { keepSpecimen } from '../specimens';
import type { KeyArray } from './key-search';

/**
 * What a loaded node holds. One class for leaves and inner nodes of all families, so that the loops over nodes see one
 * shape of object.
 */
export class Content {
  /** Leaf: the keys of its items. Inner node: `keys[i]` separates child `i` from child `i + 1`. May be longer than needed. */
  keys: KeyArray;
  /** Leaf: the values, inner forms (empty for sets). Inner node: the children, or references to them. */
  slots: unknown[];
  /** Leaf: number of items. Inner node: number of children. */
  length: number;
  /** Leaf: the next leaf. Inner node: its leftmost leaf. Or a reference to it; `undefined` when there is none. */
  link: unknown;
  readonly leaf: boolean;

  constructor(leaf: boolean, keys: KeyArray, slots: unknown[], length: number, link: unknown) {
    this.leaf = leaf;
    this.keys = keys;
    this.slots = slots;
    this.length = length;
    this.link = link;
  }
}

keepSpecimen(new Content(true, [], [], 0, undefined));
