/**
 * The names of a state's fields, and how each is written. States with the same list share one {@link FieldList}
 * object, so that whoever builds objects from states can keep one generated constructor per list.
 *
 * Lists live in a trie of bounded size. When it is full it starts anew: then a list met again is another object, once.
 */
import { PreparedNames, WriteAs } from '../pickle/index';

/** How a field is written. Reading yields `auto` and `float` only. */
export const FieldKind = WriteAs;
export type FieldKind = WriteAs;

/** How many lists are kept canonical in a process. */
const CANONICAL_LIMIT = 20_000;
const KINDS = Object.keys(WriteAs).length;
/** Longer lists are not kept: they are collections in disguise. */
const LENGTH_LIMIT = 128;
/** Nor are lists with a name longer than this: 20,000 of any length would fill the memory. */
const NAME_LIMIT = 256;
/** How often a list must be used before its names are prepared, and for how many lists that is done. */
const WORTH_PREPARING = 4;
const PREPARED_LIMIT = 2_000;
let canonicalCount = 0;
let preparedCount = 0;

/** Names and kinds of the fields of a state, in the order of the record. Immutable. */
export class FieldList {
  readonly names: readonly string[];
  /** One {@link FieldKind} a name. */
  readonly kinds: readonly FieldKind[];
  /** How many fields there are. */
  readonly length: number;
  /** False for lists too long to be kept, or with a very long name: then the same names come in another object each time. */
  readonly canonical: boolean;
  /** The list with one more field that was met last after this one, and all of them. */
  #lastNext: FieldList | undefined = undefined;
  /** By kind, then by name. */
  #nexts: (Map<string, FieldList> | undefined)[] | undefined = undefined;
  readonly #lastName: string;
  readonly #lastKind: FieldKind;
  /** Whether a name comes twice: a damaged or hostile record. */
  readonly #hasDuplicates: boolean;
  #prepared: PreparedNames | undefined = undefined;
  /** How often {@link prepared} was asked for; no more once it is there. */
  #asked = 0;

  private constructor(names: readonly string[], kinds: readonly FieldKind[], canonical: boolean) {
    this.names = names;
    this.kinds = kinds;
    this.length = names.length;
    this.canonical = canonical;
    this.#lastName = names.length > 0 ? names[names.length - 1]! : '';
    this.#lastKind = kinds.length > 0 ? kinds[kinds.length - 1]! : FieldKind.auto;
    this.#hasDuplicates = new Set(names).size < names.length;
  }

  /** The list of no fields: where every other one starts. */
  static readonly empty = new FieldList([], [], true);

  /** The list of these names. `kinds` may be left out, or be shorter: then the rest is `auto`. */
  static of(names: readonly string[], kinds: readonly FieldKind[] = []): FieldList {
    return FieldList.ofFirst(names.length, names, kinds);
  }

  /**
   * The list of the first `count` names.
   * @internal
   */
  static ofFirst(count: number, names: readonly string[], kinds: readonly FieldKind[]): FieldList {
    let list: FieldList | undefined = count > LENGTH_LIMIT ? undefined : FieldList.empty;
    for (let i = 0; i < count && list !== undefined; i++) {
      const kind = kinds[i] ?? FieldKind.auto;
      const last: FieldList | undefined = list.#lastNext;
      list =
        last !== undefined && last.#lastKind === kind && last.#lastName === names[i]
          ? last
          : list.nextList(names[i]!, kind);
    }
    if (list !== undefined) return list;
    const all = names.slice(0, count);
    return new FieldList(
      all,
      all.map((_, i) => kinds[i] ?? FieldKind.auto),
      false,
    );
  }

  /** This list and one more field. */
  with(name: string, kind: FieldKind): FieldList {
    return this.nextList(name, kind) ?? new FieldList([...this.names, name], [...this.kinds, kind], false);
  }

  /** The canonical list with one more field; `undefined` beyond the bound. No #method: beside `static empty` tsc 6.0 emits a broken alias. */
  private nextList(name: string, kind: FieldKind): FieldList | undefined {
    let next = this.#nexts?.[kind]?.get(name);
    if (next === undefined) {
      if (!this.canonical || this.length >= LENGTH_LIMIT || name.length > NAME_LIMIT) return undefined;
      if (canonicalCount >= CANONICAL_LIMIT) FieldList.#forgetAll();
      next = new FieldList([...this.names, name], [...this.kinds, kind], true);
      canonicalCount++;
      const nexts = (this.#nexts ??= new Array<undefined>(KINDS).fill(undefined));
      (nexts[kind] ??= new Map()).set(name, next);
    }
    this.#lastNext = next;
    return next;
  }

  /** Starts anew: a database of endless different names must neither fill the memory nor shut others out of the trie. */
  static #forgetAll(): void {
    canonicalCount = preparedCount = 0;
    FieldList.empty.#nexts = undefined;
    FieldList.empty.#lastNext = undefined;
  }

  /**
   * Whether a name comes twice: only a damaged or hostile record has that.
   * @internal
   */
  get hasDuplicates(): boolean {
    return this.#hasDuplicates;
  }

  /**
   * The names as they stand in a record; `undefined` where that does not pay (yet).
   * @internal
   */
  get prepared(): PreparedNames | undefined {
    if (this.#asked >= WORTH_PREPARING) return this.#prepared;
    if (++this.#asked === WORTH_PREPARING && this.canonical && preparedCount < PREPARED_LIMIT) {
      preparedCount++;
      this.#prepared = PreparedNames.of(this.names, this.kinds);
    }
    return this.#prepared;
  }

  /** The index of a name, or -1. */
  indexOf(name: string): number {
    return this.names.indexOf(name);
  }
}
