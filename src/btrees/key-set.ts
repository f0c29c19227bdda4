import { Collection } from './collection';
import { Mode } from './iterators';
import { NO_KEY } from './key-kinds';
import type { KeySource } from './mapping';
import { firstLeaf, keyAt } from './positions';
import { remove } from './remove';
import * as operations from './set-operations';
import type { RangeQuery, View } from './view';
import { viewOf } from './view';

/** Keys in order: `Set`'s interface, and what BTrees add. */
export abstract class KeySet<K> extends Collection<K> implements Iterable<K> {
  /** Puts a key in. @throws InvalidKeyError; nothing is changed then */
  add(key: K): this {
    this.insert(key);
    return this;
  }

  /** Puts a key in; true when it was not there. @throws InvalidKeyError; nothing is changed then */
  insert(key: K): boolean {
    return this.put(this.keyKind.accept(key, this), undefined, false);
  }

  /** As `delete`, without complaint about keys of a wrong type. */
  discard(key: K): boolean {
    const inner = this.keyKind.find(key);
    return inner !== NO_KEY && remove(this, inner);
  }

  /** Takes the smallest key out; `undefined` when there is none. */
  pop(): K | undefined {
    if (this.isEmpty) return undefined;
    const inner = keyAt({ leaf: firstLeaf(this)!, index: 0 });
    const key = this.keyKind.give(inner) as K;
    remove(this, inner);
    return key;
  }

  /** Puts all keys of a collection or iterable in; gives the number that were not there. */
  update(keys: KeySource<K>): number {
    let added = 0;
    for (const key of keys instanceof Collection ? keys.keys() : keys) if (this.insert(key)) added += 1;
    return added;
  }

  /** The keys of a range, as `keys`. */
  values(range: RangeQuery<K> = {}): View<K> {
    return viewOf<K>(this, Mode.keys, range);
  }

  /** Each key twice, as `Set` has it. */
  *entries(range: RangeQuery<K> = {}): IterableIterator<[K, K]> {
    for (const key of this.keys(range)) yield [key, key];
  }

  [Symbol.iterator](): IterableIterator<K> {
    return this.keys()[Symbol.iterator]();
  }

  forEach(callback: (key: K, same: K, collection: this) => void, thisArg?: unknown): void {
    for (const key of this) callback.call(thisArg, key, key, this);
  }

  /** The keys of both, as a Set of this family. */
  union(other: KeySource<K>): KeySet<K> {
    return operations.union(this.family, this, other) as KeySet<K>;
  }

  /** The keys that both have, as a Set of this family. */
  intersection(other: KeySource<K>): KeySet<K> {
    return operations.intersection(this.family, this, other) as KeySet<K>;
  }

  /** The keys that `other` lacks, as a Set of this family. */
  difference(other: KeySource<K>): KeySet<K> {
    return operations.difference(this.family, this, other) as KeySet<K>;
  }

  /** The keys that only one of both has, as a collection of this one's kind (tree or single leaf). */
  symmetricDifference(other: KeySource<K>): KeySet<K> {
    return operations.symmetricDifference(this.family, this, other) as KeySet<K>;
  }

  /** Whether no key is in both. */
  isDisjointFrom(other: KeySource<K>): boolean {
    return (operations.intersection(this.family, this, other) as KeySet<K>).isEmpty;
  }

  /** Keeps only the keys that `other` has. */
  intersectionUpdate(other: KeySource<K>): this {
    for (const key of [...this.difference(other)]) this.delete(key);
    return this;
  }

  /** Takes out the keys that `other` has. */
  differenceUpdate(other: KeySource<K>): this {
    const gone = operations.asSet(this.family, other) as KeySet<K>;
    for (const key of [...gone]) this.delete(key);
    return this;
  }

  /** Takes out the keys that `other` has, puts in those of it that are missing. */
  symmetricDifferenceUpdate(other: KeySource<K>): this {
    const changed = operations.asSet(this.family, other) as KeySet<K>;
    for (const key of [...changed]) if (!this.delete(key)) this.insert(key);
    return this;
  }

  toJSON(): K[] {
    return [...this];
  }
}
