import { inspect, type InspectOptions } from 'node:util';
import { InvalidArgumentError, refuseUnknownOptions } from '../errors';
import { keepSpecimen } from '../specimens';
import { BackwardIterator, ForwardIterator, itemAt, Mode } from './iterators';
import { LeafWalk } from './leaf-walk';
import { lookOfView } from './looks';
import { contentOf, type TreeNode } from './node';
import { spanOf, type Position, type RangeOptions, type Span } from './positions';

/** A range, and the direction in which it is gone through. */
export interface RangeQuery<K> extends RangeOptions<K> {
  /** From large to small keys. */
  reverse?: boolean | undefined;
}

/**
 * Keys, values or entries of a range of a collection: a lazy, read-only sequence. Nothing but the leaves at both ends is
 * loaded before it is asked for, and its ends stay what they were when it was made. It can be gone through many times.
 */
export class View<T> implements IterableIterator<T> {
  readonly #root: TreeNode;
  readonly #mode: Mode;
  readonly #span: Span | undefined;
  readonly #reverse: boolean;
  #own: IterableIterator<T> | undefined = undefined;

  /** @internal */
  constructor(root: TreeNode, mode: Mode, span: Span | undefined, reverse: boolean) {
    this.#root = root;
    this.#mode = mode;
    this.#span = span;
    this.#reverse = reverse;
  }

  /** How many items there are; counted by loading every leaf of the range. */
  get length(): number {
    let count = 0;
    for (const walk = this.#walk(); walk.content !== undefined; walk.advance()) count += walk.to - walk.from;
    return count;
  }

  /** Whether there are none; loads nothing. */
  get isEmpty(): boolean {
    return this.#span === undefined;
  }

  /** A new iteration over all items. */
  [Symbol.iterator](): IterableIterator<T> {
    return this.#reverse
      ? new BackwardIterator<T>(this.#root, this.#mode, this.#span)
      : new ForwardIterator<T>(this.#root, this.#mode, this.#span);
  }

  /** The next item of the view's own iteration, so that it serves as the iterator that `Map` methods return. */
  next(): IteratorResult<T> {
    this.#own ??= this[Symbol.iterator]();
    return this.#own.next();
  }

  /** Item `index`, from the end if negative; `undefined` beyond the ends. Loads the leaves on the way. */
  at(index: number): T | undefined {
    const whole = Math.trunc(index);
    const place = this.#reverse ? this.#place(-1 - whole) : this.#place(whole);
    if (place === undefined) return undefined;
    return itemAt(place.leaf, contentOf(place.leaf), place.index, this.#mode) as T;
  }

  /** The items from `start` up to, not including, `end`, as another view; negative numbers count from the end. */
  slice(start = 0, end = Infinity): View<T> {
    const { length } = this;
    const from = within(start, length);
    const to = within(end, length);
    const [low, high] = this.#reverse ? [length - to, length - from - 1] : [from, to - 1];
    const span = low > high ? undefined : { low: this.#place(low)!, high: this.#place(high)! };
    return new View<T>(this.#root, this.#mode, span, this.#reverse);
  }

  /** All items in an array. */
  toArray(): T[] {
    return [...this];
  }

  /** Shows what is loaded, and loads nothing. */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return lookOfView(this.#root, this.#mode, this.#span, this.#reverse, options);
  }

  #walk(): LeafWalk {
    return new LeafWalk(this.#root, this.#span);
  }

  /** Where the item with this number in key order is. */
  #place(index: number): Position | undefined {
    let rest = index < 0 ? index + this.length : index;
    if (rest < 0) return undefined;
    for (const walk = this.#walk(); walk.content !== undefined; walk.advance()) {
      if (rest < walk.to - walk.from) return { leaf: walk.leaf!, index: walk.from + rest };
      rest -= walk.to - walk.from;
    }
    return undefined;
  }
}

keepSpecimen(new View(Object.create(null) as TreeNode, Mode.keys, undefined, false));

/** The view of a range, which is fixed now. */
export function viewOf<T>(root: TreeNode, mode: Mode, query: RangeQuery<unknown>): View<T> {
  checkQuery(query);
  return new View<T>(root, mode, spanOf(root, query), query.reverse === true);
}

function within(index: number, length: number): number {
  const whole = Number.isNaN(index) ? 0 : Math.trunc(index);
  return whole < 0 ? Math.max(whole + length, 0) : Math.min(whole, length);
}

const KNOWN: readonly string[] = [
  'min',
  'max',
  'excludeMin',
  'excludeMax',
  'reverse',
] satisfies (keyof RangeQuery<unknown>)[];

/** A limit that was misspelt, or given as in Python, would show the whole collection. */
function checkQuery(query: unknown): void {
  if (typeof query !== 'object' || query === null) {
    throw new InvalidArgumentError(
      `A range is given by name, { min, max, excludeMin, excludeMax, reverse }, not as ${String(query)}.`,
    );
  }
  refuseUnknownOptions('A range', query, KNOWN);
}
