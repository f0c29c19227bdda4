/**
 * Merging of two changes of one node, on states: no tree is needed, and none is loaded. The rules, reason codes and positions
 * are those of `BTrees/src/BTrees/MergeTemplate.c`.
 */
import { BTreesConflictError, DamagedTreeError } from './errors';
import { compareKeys } from './key-order';
import type { KeyKind } from './key-kinds';
import { isReference, sameReference } from './references';
import type { ValueKind } from './value-kinds';

/** What a leaf holds: `values` is `undefined` for sets. */
export interface LeafType {
  readonly key: KeyKind;
  readonly value: ValueKind | undefined;
}

/** Merges the states of a leaf. @throws BTreesConflictError when they can't be merged; DamagedTreeError for no leaf's state */
export function mergeLeaf(type: LeafType, old: unknown, committed: unknown, mine: unknown): unknown {
  return new LeafMerge(type, leafState(old), leafState(committed), leafState(mine)).run();
}

/** Merges the states of a tree that is a single leaf; anything larger is refused. */
export function mergeTree(type: LeafType, old: unknown, committed: unknown, mine: unknown): unknown {
  const merged = mergeLeaf(type, onlyLeaf(old), onlyLeaf(committed), onlyLeaf(mine));
  return tuple([tuple([merged])]);
}

/** Merges two changes of a counter. */
export function mergeLength(old: unknown, committed: unknown, mine: unknown): number | bigint {
  const [a, b, c] = [old, committed, mine].map((state) => {
    if (typeof state === 'number' || typeof state === 'bigint') return state;
    throw new DamagedTreeError('The state of a Length must be an integer.');
  }) as [number | bigint, number | bigint, number | bigint];
  const sum = BigInt(b) + BigInt(c) - BigInt(a);
  return sum >= Number.MIN_SAFE_INTEGER && sum <= Number.MAX_SAFE_INTEGER ? Number(sum) : sum;
}

/** A state that Python writes as a tuple. */
export function tuple(items: unknown[]): readonly unknown[] {
  return Object.freeze(items);
}

interface LeafState {
  readonly items: readonly unknown[];
  readonly next: unknown;
}

function leafState(state: unknown): LeafState {
  if (Array.isArray(state) && (state.length === 1 || state.length === 2) && Array.isArray(state[0])) {
    return { items: state[0] as unknown[], next: state[1] };
  }
  throw new DamagedTreeError(
    'The state of a Bucket or Set must be a tuple of items, and at most a next leaf.',
  );
}

function onlyLeaf(state: unknown): unknown {
  if (state === null) return [[]];
  if (!Array.isArray(state) || state.length < 1 || state.length > 2) {
    throw new DamagedTreeError('The state of a tree must be None, or a tuple of one or two items.');
  }
  if (state.length === 2) throw new BTreesConflictError([-1, -1, -1], 11);
  const children: unknown = state[0];
  if (Array.isArray(children) && children.length === 1 && Array.isArray(children[0])) return children[0];
  throw new DamagedTreeError(
    "The state of a tree of a single leaf must be a tuple of a tuple of the leaf's state.",
  );
}

/** One of the three states, read from its first item to its last. */
class Cursor {
  readonly #type: LeafType;
  readonly #items: readonly unknown[];
  readonly #step: number;
  #at = 0;

  constructor(type: LeafType, items: readonly unknown[]) {
    this.#type = type;
    this.#items = items;
    this.#step = type.value === undefined ? 1 : 2;
  }

  /** An odd item at the end of a mapping's state is ignored, as Python does. */
  get more(): boolean {
    return this.#at + this.#step <= this.#items.length;
  }

  get key(): unknown {
    return this.#type.key.load(this.#items[this.#at]);
  }

  get value(): unknown {
    return this.#items[this.#at + 1];
  }

  /** From 1; -1 at the end. */
  get position(): number {
    return this.more ? this.#at / this.#step + 1 : -1;
  }

  advance(): void {
    this.#at += this.#step;
  }

  /** Adds the current item to `merged`, and advances. */
  moveTo(merged: unknown[]): void {
    const { value } = this.#type;
    merged.push(this.#items[this.#at]);
    if (value !== undefined) merged.push(value.save(value.load(this.value)));
    this.advance();
  }
}

class LeafMerge {
  readonly #type: LeafType;
  readonly #states: readonly [LeafState, LeafState, LeafState];
  readonly #old: Cursor;
  readonly #committed: Cursor;
  readonly #mine: Cursor;
  readonly #merged: unknown[] = [];
  /** Whether values were met that C can't compare. */
  #uncomparable = false;

  constructor(type: LeafType, old: LeafState, committed: LeafState, mine: LeafState) {
    this.#type = type;
    this.#states = [old, committed, mine];
    this.#old = new Cursor(type, old.items);
    this.#committed = new Cursor(type, committed.items);
    this.#mine = new Cursor(type, mine.items);
  }

  run(): unknown {
    const [{ next }, committed, mine] = this.#states;
    if (!sameReference(next, committed.next) || !sameReference(next, mine.next))
      this.#refuse(0, [-1, -1, -1]);
    if (!this.#committed.more || !this.#mine.more) this.#refuse(12, [-1, -1, -1]);
    while (this.#old.more && this.#committed.more && this.#mine.more) this.#step();
    this.#finish();
    if (this.#uncomparable) this.#refuse(1, [-1, -1, -1]);
    if (this.#merged.length === 0) this.#refuse(10, [-1, -1, -1]);
    const items = tuple(this.#merged);
    return tuple(next == null ? [items] : [items, next]);
  }

  /** One decision while all three have items. */
  #step(): void {
    const [old, committed, mine] = [this.#old, this.#committed, this.#mine];
    const toCommitted = this.#order(old, committed);
    const toMine = this.#order(old, mine);
    if (toCommitted === 0 && toMine === 0) this.#keep();
    else if (toCommitted === 0) this.#oneSided(toMine, mine, committed, 2);
    else if (toMine === 0) this.#oneSided(toCommitted, committed, mine, 3);
    else this.#bothDiffer(toCommitted, toMine);
  }

  /** The key is in all three. */
  #keep(): void {
    const [old, committed, mine] = [this.#old, this.#committed, this.#mine];
    if (this.#sameValue(old, committed)) {
      mine.moveTo(this.#merged);
      committed.advance();
    } else if (this.#sameValue(old, mine)) {
      committed.moveTo(this.#merged);
      mine.advance();
    } else {
      this.#refuse(1);
    }
    old.advance();
  }

  /** `changed` inserted a key or deleted the old one, which `other` still has. */
  #oneSided(order: number, changed: Cursor, other: Cursor, reason: number): void {
    if (order > 0) {
      changed.moveTo(this.#merged);
      return;
    }
    if (!this.#sameValue(this.#old, other)) this.#refuse(reason);
    if (changed.position === 1) this.#refuse(13);
    this.#old.advance();
    other.advance();
  }

  /** Neither has the old key at this place. */
  #bothDiffer(toCommitted: number, toMine: number): void {
    const order = this.#order(this.#committed, this.#mine);
    if (order === 0) this.#refuse(4);
    if (toCommitted > 0) (order > 0 ? this.#mine : this.#committed).moveTo(this.#merged);
    else if (toMine > 0) this.#mine.moveTo(this.#merged);
    else this.#refuse(5);
  }

  /** At least one of the three is used up. */
  #finish(): void {
    const [old, committed, mine] = [this.#old, this.#committed, this.#mine];
    while (committed.more && mine.more) {
      const order = this.#order(committed, mine);
      if (order === 0) this.#refuse(6);
      (order > 0 ? mine : committed).moveTo(this.#merged);
    }
    this.#finishDeleted(committed, 7);
    this.#finishDeleted(mine, 8);
    if (old.more) this.#refuse(9);
    while (committed.more) committed.moveTo(this.#merged);
    while (mine.more) mine.moveTo(this.#merged);
  }

  /** The other side deleted all the rest of the old state. */
  #finishDeleted(rest: Cursor, reason: number): void {
    while (this.#old.more && rest.more) {
      const order = this.#order(this.#old, rest);
      if (order > 0) {
        rest.moveTo(this.#merged);
      } else if (order === 0 && this.#sameValue(this.#old, rest)) {
        this.#old.advance();
        rest.advance();
      } else {
        this.#refuse(reason);
      }
    }
  }

  #order(a: Cursor, b: Cursor): number {
    return this.#type.key.compare(a.key, b.key);
  }

  /**
   * Values that can't be compared count as changed. C goes on with an exception pending: what follows is decided as usual, but for
   * references, and a merge that is complete is refused all the same.
   */
  #sameValue(a: Cursor, b: Cursor): boolean {
    const kind = this.#type.value;
    if (kind === undefined) return true;
    if (kind.letter !== 'O') return kind.load(a.value) === kind.load(b.value);
    if (this.#uncomparable && isReference(a.value)) return false;
    const same = sameObject(a.value, b.value);
    this.#uncomparable ||= same === undefined;
    return same === true;
  }

  #refuse(reason: number, positions?: readonly [number, number, number]): never {
    throw new BTreesConflictError(
      positions ?? [this.#old.position, this.#committed.position, this.#mine.position],
      reason,
    );
  }
}

/** `undefined` for what C can't compare: plain objects, different references, values of different types. */
function sameObject(a: unknown, b: unknown): boolean | undefined {
  if (isReference(a) || isReference(b)) return sameReference(a, b) ? true : undefined;
  try {
    return compareKeys(a, b) === 0;
  } catch {
    return undefined;
  }
}
