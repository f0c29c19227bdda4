/**
 * Iteration, item by item. An iterator stands at a leaf and an index in it, as Python's does: it notices at its next step
 * when its leaf has become too short for it, and says so from then on.
 */
import { isReference } from '../persistence/index';
import { keepSpecimen } from '../specimens';
import type { Content } from './content';
import { ChangedDuringIterationError } from './errors';
import type { KeyKind } from './key-kinds';
import { contentOf, type TreeNode } from './node';
import { atOrBefore, keyAt, type Span } from './positions';
import { ReadAhead } from './read-ahead';

/** What an iteration gives. */
export const Mode = { keys: 0, values: 1, entries: 2 } as const;
export type Mode = (typeof Mode)[keyof typeof Mode];

/** The objects of a leaf that were loaded in one batch: held so that they stay. */
interface Held {
  readonly objects: unknown;
}

const NOTHING_HELD: Held = { objects: undefined };

/** The item at a place, in its outer form. The kind of keys is the leaf's, looked up once for many items. */
export function itemAt(
  leaf: TreeNode,
  content: Content,
  index: number,
  mode: Mode,
  { give }: KeyKind = leaf.keyKind,
): unknown {
  if (mode === Mode.values) return leaf.value(content, index);
  const kept = content.keys[index];
  // Python allows persistent objects as keys; here they can be read.
  const key = typeof kept === 'object' && isReference(kept) ? leaf.followed(kept) : give(kept);
  return mode === Mode.keys ? key : [key, leaf.value(content, index)];
}

/** From small to large keys. */
export class ForwardIterator<T> implements IterableIterator<T> {
  readonly #root: TreeNode;
  readonly #mode: Mode;
  readonly #keyKind: KeyKind;
  readonly #last: TreeNode | undefined;
  readonly #lastIndex: number;
  #leaf: TreeNode | undefined;
  #index: number;
  #ahead: ReadAhead | undefined = undefined;
  /** A key of the leaf before this one, and its values. */
  #before: unknown = undefined;
  #valuesBefore: readonly unknown[] | undefined = undefined;
  #aheadOf: TreeNode | undefined = undefined;
  #held: Held = NOTHING_HELD;

  constructor(root: TreeNode, mode: Mode, span: Span | undefined) {
    this.#root = root;
    this.#mode = mode;
    this.#keyKind = root.keyKind;
    this.#leaf = span?.low.leaf;
    this.#index = span?.low.index ?? 0;
    this.#last = span?.high.leaf;
    this.#lastIndex = span?.high.index ?? 0;
  }

  next(): IteratorResult<T> {
    const leaf = this.#leaf;
    if (leaf === undefined) return { value: undefined, done: true };
    const content = leaf.content ?? this.#load(leaf);
    const index = this.#index;
    if (index >= content.length) {
      this.#index = Infinity;
      throw new ChangedDuringIterationError();
    }
    // Whoever comes to a second leaf goes on.
    if (index === 0 && this.#before !== undefined && this.#mode !== Mode.keys) this.#hold(leaf, content, 0);
    const value = itemAt(leaf, content, index, this.#mode, this.#keyKind) as T;
    if (leaf === this.#last && index >= this.#lastIndex) {
      this.#leaf = undefined;
    } else if (index + 1 < content.length) {
      this.#index = index + 1;
      if (this.#mode !== Mode.keys && this.#aheadOf !== leaf) this.#hold(leaf, content, index + 1);
    } else {
      this.#before = content.keys[index];
      if (this.#mode !== Mode.keys) this.#valuesBefore = content.slots;
      this.#leaf = leaf === this.#root ? undefined : leaf.linked(content);
      this.#index = 0;
    }
    return { value, done: false };
  }

  [Symbol.iterator](): this {
    return this;
  }

  /** Someone who goes on beyond the first item of a leaf will want the others. */
  #hold(leaf: TreeNode, content: Content, from: number): void {
    this.#aheadOf = leaf;
    const objects = leaf.valuesAhead(content, from, content.length);
    if (objects !== this.#held.objects) this.#held = { objects };
  }

  #load(leaf: TreeNode): Content {
    if (this.#before === undefined) return leaf.load();
    this.#ahead ??= new ReadAhead(this.#root, 1);
    return this.#ahead.load(leaf, this.#before, this.#last, this.#valuesBefore);
  }
}

keepSpecimen(new ForwardIterator(Object.create(null) as TreeNode, Mode.keys, undefined));

/** From large to small keys. A leaf that changed its length while the iteration stood in it is an error. */
export class BackwardIterator<T> implements IterableIterator<T> {
  readonly #root: TreeNode;
  readonly #mode: Mode;
  readonly #keyKind: KeyKind;
  readonly #first: TreeNode | undefined;
  readonly #firstIndex: number;
  readonly #firstKey: unknown;
  readonly #ahead: ReadAhead;
  #leaf: TreeNode | undefined;
  #index: number;
  #length: number;
  /** The smallest key given so far. */
  #reached: unknown = undefined;
  #aheadOf: TreeNode | undefined = undefined;
  #held: Held = NOTHING_HELD;

  constructor(root: TreeNode, mode: Mode, span: Span | undefined) {
    this.#root = root;
    this.#mode = mode;
    this.#keyKind = root.keyKind;
    this.#ahead = new ReadAhead(root, -1);
    this.#leaf = span?.high.leaf;
    this.#index = span?.high.index ?? 0;
    this.#length = span === undefined ? 0 : contentOf(span.high.leaf).length;
    this.#first = span?.low.leaf;
    this.#firstIndex = span?.low.index ?? 0;
    this.#firstKey = span === undefined ? undefined : keyAt(span.low);
  }

  next(): IteratorResult<T> {
    if (this.#index < 0 && this.#leaf !== undefined) this.#stepBack(this.#leaf);
    const leaf = this.#leaf;
    if (leaf === undefined) return { value: undefined, done: true };
    const content = contentOf(leaf);
    const index = this.#index;
    if (content.length !== this.#length) {
      this.#length = -1;
      throw new ChangedDuringIterationError();
    }
    const value = itemAt(leaf, content, index, this.#mode, this.#keyKind) as T;
    if (leaf === this.#first && index <= this.#firstIndex) this.#leaf = undefined;
    if (index === 0) this.#reached = content.keys[0];
    else if (this.#mode !== Mode.keys && this.#aheadOf !== leaf) this.#hold(leaf, content, index);
    this.#index = index - 1;
    return { value, done: false };
  }

  [Symbol.iterator](): this {
    return this;
  }

  #hold(leaf: TreeNode, content: Content, to: number): void {
    this.#aheadOf = leaf;
    const objects = leaf.valuesAhead(content, 0, to);
    if (objects !== this.#held.objects) this.#held = { objects };
  }

  #stepBack(left: TreeNode): void {
    const key = this.#reached;
    if (left !== this.#root && left !== this.#first) {
      const values = this.#mode === Mode.keys ? undefined : left.content?.slots;
      this.#ahead.prefetch(key, this.#first, values);
    }
    const place = left === this.#root ? undefined : atOrBefore(this.#root, key, true);
    const past = place === undefined || this.#root.keyKind.compare(keyAt(place), this.#firstKey) < 0;
    this.#leaf = past ? undefined : place.leaf;
    if (past) return;
    this.#index = place.index;
    this.#length = contentOf(place.leaf).length;
  }
}
