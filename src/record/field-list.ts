/**
 * The names of a state's fields, and how each is written. States with the same list share one {@link FieldList}
 * object, so that whoever builds objects from states can keep one generated constructor per list.
 *
 * Lists live in a trie of bounded size; a database of endless different names gets fresh lists beyond the bound.
 */

/** How a field is written. Reading yields `auto` and `float` only. */
export const FieldKind = {
  /** By the value: a number is an int when it is a safe integer, else a float. */
  auto: 0,
  /** A number is a float, integral or not. */
  float: 1,
  /** A bigint is a plain int of Python, whatever its size (by itself it reads back as a bigint only beyond 2^53). */
  int: 2,
  /** An array is a tuple. */
  tuple: 3,
  /** An array is a list, frozen or not. */
  list: 4,
  /** A Map is a plain dict. */
  dict: 5,
  /** Bytes are a bytearray. */
  bytearray: 6,
  /** A Set is a frozenset. */
  frozenset: 7,
} as const;
export type FieldKind = (typeof FieldKind)[keyof typeof FieldKind];

/** How many lists are kept canonical in a process. */
const CANONICAL_LIMIT = 20_000;
let canonicalCount = 0;

/** Names and kinds of the fields of a state, in the order of the record. Immutable. */
export class FieldList {
  readonly names: readonly string[];
  /** One {@link FieldKind} a name. */
  readonly kinds: readonly FieldKind[];
  /** How many fields there are. */
  readonly length: number;
  /** False beyond the bound of the trie: then the same names may come in another object. */
  readonly canonical: boolean;
  /**
   * The list with one more field that was met last after this one, and the others.
   * @internal
   */
  lastNext: FieldList | undefined = undefined;
  /** @internal */
  nexts: Map<string, FieldList> | undefined = undefined;
  /** The last name of `names`, and its kind: what the trie compares. */
  readonly lastName: string;
  readonly lastKind: FieldKind;
  /**
   * Room for the writer: the names as they stand in a pickle.
   * @internal
   */
  encoded: Uint8Array | undefined = undefined;

  private constructor(names: readonly string[], kinds: readonly FieldKind[], canonical: boolean) {
    this.names = names;
    this.kinds = kinds;
    this.length = names.length;
    this.canonical = canonical;
    this.lastName = names.length > 0 ? names[names.length - 1]! : '';
    this.lastKind = kinds.length > 0 ? kinds[kinds.length - 1]! : FieldKind.auto;
  }

  /** The list of no fields: where every other one starts. */
  static readonly empty = new FieldList([], [], true);

  /** The list of these names. `kinds` may be left out, or be shorter: then the rest is `auto`. */
  static of(names: readonly string[], kinds: readonly FieldKind[] = []): FieldList {
    let list = FieldList.empty;
    for (let i = 0; i < names.length; i++) list = list.with(names[i]!, kinds[i] ?? FieldKind.auto);
    return list;
  }

  /** This list and one more field. */
  with(name: string, kind: FieldKind): FieldList {
    const last = this.lastNext;
    if (last !== undefined && last.lastName === name && last.lastKind === kind) return last;
    return this.#withOther(name, kind);
  }

  #withOther(name: string, kind: FieldKind): FieldList {
    const key = kind + name;
    let next = this.nexts?.get(key);
    if (next === undefined) {
      const canonical = this.canonical && canonicalCount < CANONICAL_LIMIT && this.length < 1000;
      next = new FieldList([...this.names, name], [...this.kinds, kind], canonical);
      if (!canonical) return next;
      canonicalCount++;
      (this.nexts ??= new Map()).set(key, next);
    }
    this.lastNext = next;
    return next;
  }

  /** The index of a name, or -1. */
  indexOf(name: string): number {
    return this.names.indexOf(name);
  }
}
