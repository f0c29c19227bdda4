/**
 * What all collections can do: trees, buckets and sets.
 */
import { inspect, type InspectOptions } from 'node:util';
import { contentOf, emptyContent, TreeNode } from './node';
import { insert, Inserted } from './insert';
import { Mode } from './iterators';
import { NO_KEY } from './key-kinds';
import { walkAll } from './leaf-walk';
import { lookOf } from './looks';
import { atOrAfter, atOrBefore, firstLeaf, keyAt, lastLeaf, locate } from './positions';
import { remove } from './remove';
import { viewOf, type RangeQuery, type View } from './view';

/** An ordered collection of keys, with or without values. */
export abstract class Collection<K> extends TreeNode {
  /** Whether the key is there. A key of a type that can't be in the collection simply is not. */
  has(key: K): boolean {
    const inner = this.keyKind.find(key);
    return inner !== NO_KEY && locate(this, inner) !== undefined;
  }

  /**
   * Takes an entry out; false when there was none.
   * @throws InvalidKeyError for a key of a wrong type
   */
  delete(key: K): boolean {
    return remove(this, this.keyKind.accept(key, this));
  }

  /** Takes everything out. */
  clear(): void {
    if (contentOf(this).length === 0) return;
    this.willChange();
    this.content = emptyContent(this);
  }

  /**
   * How many entries there are. A tree has to load and count all its leaves: keep a `Length` beside a large tree
   * whose size is often asked for.
   */
  get size(): number {
    let count = 0;
    for (const walk = walkAll(this); walk.content !== undefined; walk.advance()) count += walk.to;
    return count;
  }

  /** Whether there are no entries; cheap. */
  get isEmpty(): boolean {
    return contentOf(this).length === 0;
  }

  /** The smallest key, or the smallest that is at least `atLeast`; `undefined` when there is none. */
  minKey(atLeast?: K): K | undefined {
    if (this.isEmpty) return undefined;
    const place =
      atLeast === undefined
        ? { leaf: firstLeaf(this)!, index: 0 }
        : atOrAfter(this, this.keyKind.accept(atLeast, this), false);
    return place && (this.keyKind.give(keyAt(place)) as K);
  }

  /** The largest key, or the largest that is at most `atMost`; `undefined` when there is none. */
  maxKey(atMost?: K): K | undefined {
    if (this.isEmpty) return undefined;
    if (atMost === undefined) {
      const content = contentOf(lastLeaf(this)!);
      return this.keyKind.give(content.keys[content.length - 1]) as K;
    }
    const place = atOrBefore(this, this.keyKind.accept(atMost, this), false);
    return place && (this.keyKind.give(keyAt(place)) as K);
  }

  /** The keys of a range, all by default, in order. */
  keys(range: RangeQuery<K> = {}): View<K> {
    return viewOf<K>(this, Mode.keys, range);
  }

  get [Symbol.toStringTag](): string {
    return this.constructor.name;
  }

  /** Shows what is loaded, and loads nothing. */
  [inspect.custom](depth: number, options: InspectOptions): string {
    return lookOf(this, depth, options);
  }

  /** Puts an inner key in, with an inner value; true when it was not there before. */
  protected put(inner: unknown, value: unknown, replace: boolean): boolean {
    return insert(this, inner, value, replace) >= Inserted.added;
  }
}
