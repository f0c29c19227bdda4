import { InvalidArgumentError } from '../errors';
import { isReference } from '../persistence/index';
import { Collection } from './collection';
import { Mode } from './iterators';
import { NO_KEY } from './key-kinds';
import { compareKeys, describeKey } from './key-order';
import { walkAll } from './leaf-walk';
import { contentOf, type TreeNode } from './node';
import { firstLeaf, locate } from './positions';
import { remove } from './remove';
import * as operations from './set-operations';
import { viewOf, type RangeQuery, type View } from './view';

/** What is on the other side of a set operation: a collection of the same family, or any iterable of keys. */
export type KeySource<K> = Collection<K> | Iterable<K>;

/** Keys with values, in key order: `Map`'s interface, and what BTrees add. */
export abstract class Mapping<K, V> extends Collection<K> implements Iterable<[K, V]> {
  /** The value of a key, else `fallback`. A key of a type that can't be in the collection simply is not there. */
  get(key: K): V | undefined;
  get<D>(key: K, fallback: D): V | D;
  get(key: K, fallback?: unknown): unknown {
    const { keyKind } = this;
    const inner = keyKind.find(key);
    if (inner === NO_KEY) return fallback;
    let leaf: TreeNode = this as TreeNode;
    let content = this.content ?? this.load();
    while (!content.leaf) {
      const { length } = content;
      if (length === 0) return fallback;
      const found = keyKind.search(content.keys, length - 1, inner);
      leaf = leaf.child(content, found >= 0 ? found + 1 : ~found);
      content = leaf.content ?? leaf.load();
    }
    const index = keyKind.search(content.keys, content.length, inner);
    return index < 0 ? fallback : leaf.value(content, index);
  }

  /**
   * Stores a value under a key, replacing one that is there.
   * @throws InvalidKeyError, InvalidValueError; nothing is changed then
   */
  set(key: K, value: V): this {
    const inner = this.keyKind.accept(key, this);
    this.put(inner, this.valueKind!.accept(value, this), true);
    return this;
  }

  /**
   * Stores a value under a key that is not there yet; true when it was stored.
   * @throws InvalidKeyError, InvalidValueError; nothing is changed then
   */
  insert(key: K, value: V): boolean {
    const inner = this.keyKind.accept(key, this);
    return this.put(inner, this.valueKind!.accept(value, this), false);
  }

  /** The value of a key, which is `value` from now on if there was none. */
  setDefault(key: K, value: V): V {
    const inner = this.keyKind.accept(key, this);
    const found = locate(this, inner);
    if (found !== undefined) return found.leaf.value(found.content, found.index) as V;
    this.put(inner, this.valueKind!.accept(value, this), false);
    return this.get(key)!;
  }

  /** Takes an entry out and gives its value; `fallback` when there was none. */
  pop(key: K): V | undefined;
  pop<D>(key: K, fallback: D): V | D;
  pop(key: K, fallback?: unknown): unknown {
    const inner = this.keyKind.accept(key, this);
    const found = locate(this, inner);
    if (found === undefined) return fallback;
    const value = found.leaf.value(found.content, found.index);
    remove(this, inner);
    return value;
  }

  /** Takes the entry with the smallest key out; `undefined` when there is none. */
  popItem(): [K, V] | undefined {
    if (this.isEmpty) return undefined;
    const leaf = firstLeaf(this)!;
    const content = leaf.content ?? leaf.load();
    const inner = content.keys[0];
    const entry: [K, V] = [this.keyKind.give(inner) as K, leaf.value(content, 0) as V];
    remove(this, inner);
    return entry;
  }

  /** Stores all entries of a mapping, or of an iterable of pairs. */
  update(entries: Iterable<readonly [K, V]>): this {
    if (typeof (entries as Partial<typeof entries> | null)?.[Symbol.iterator] !== 'function') {
      throw new InvalidArgumentError(
        `Entries are a mapping or an iterable of [key, value] pairs, not ${describeKey(entries)}. Object.entries() makes them of an object.`,
      );
    }
    for (const entry of entries) {
      if (!Array.isArray(entry) || entry.length !== 2) {
        throw new InvalidArgumentError(
          `update() takes an iterable of [key, value] pairs; it met ${describeKey(entry)}.`,
        );
      }
      this.set(entry[0] as K, entry[1] as V);
    }
    return this;
  }

  /** The values of a range of keys, in the order of the keys. */
  values(range: RangeQuery<K> = {}): View<V> {
    return viewOf<V>(this, Mode.values, range);
  }

  /** The entries of a range of keys, in order. */
  entries(range: RangeQuery<K> = {}): View<[K, V]> {
    return viewOf<[K, V]>(this, Mode.entries, range);
  }

  [Symbol.iterator](): IterableIterator<[K, V]> {
    return this.entries()[Symbol.iterator]();
  }

  forEach(callback: (value: V, key: K, collection: this) => void, thisArg?: unknown): void {
    for (const [key, value] of this) callback.call(thisArg, value, key, this);
  }

  /**
   * `[value, key]` of all entries whose value is at least `min`, the largest value first. Values of number families come divided
   * by `min` if that is positive, as in Python.
   */
  byValue(min: V): [V, K][] {
    const kind = this.valueKind!;
    const least = kind.accept(min, this);
    const found: [unknown, unknown][] = [];
    for (const walk = walkAll(this); walk.content !== undefined; walk.advance()) {
      const { keys, slots } = walk.content;
      const leaf = walk.leaf!;
      if (kind.letter === 'O') leaf.valuesAhead(walk.content, walk.from, walk.to);
      for (let i = walk.from; i < walk.to; i++) {
        // A leaf hands out what can be followed, or changed.
        let value = isReference(slots[i]) ? leaf.value(contentOf(leaf), i) : slots[i];
        if (compareKeys(value, least) < 0) continue;
        if (kind.letter === 'O') value = leaf.value(contentOf(leaf), i);
        found.push([kind.arithmetic ? kind.arithmetic.normalise(value, least) : value, keys[i]]);
      }
    }
    found.sort((a, b) => -(compareKeys(a[0], b[0]) || this.keyKind.compare(a[1], b[1])));
    return found.map(([value, key]) => [kind.give(value) as V, this.keyKind.give(key) as K]);
  }

  /** The keys of both, as a Set of this family. */
  union(other: KeySource<K>): Collection<K> {
    return operations.union(this.family, this, other) as Collection<K>;
  }

  /** The keys that both have, as a Set of this family. */
  intersection(other: KeySource<K>): Collection<K> {
    return operations.intersection(this.family, this, other) as Collection<K>;
  }

  /** The entries whose keys `other` lacks, as a Bucket of this family. */
  difference(other: KeySource<K>): Mapping<K, V> {
    return operations.difference(this.family, this, other) as Mapping<K, V>;
  }

  toJSON(): [K, V][] {
    return [...this];
  }
}
