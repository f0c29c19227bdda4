/**
 * A family: the four classes for one pair of key and value types, made from the generic ones.
 */
import { mergeLeaf, mergeTree, type LeafType } from './conflict';
import { keyKinds, type KeyKind, type KeyLetter } from './key-kinds';
import { KeySet } from './key-set';
import { Mapping } from './mapping';
import type { NodeClass, TreeNode } from './node';
import { hideContent } from './node-slots';
import { valueKinds, type ValueKind, type ValueLetter } from './value-kinds';

/** A tree of keys with values. */
export abstract class BTree<K, V> extends Mapping<K, V> {
  constructor(entries?: Iterable<readonly [K, V]>) {
    super();
    if (entries !== undefined) this.update(entries);
  }
}

/** A single leaf of keys with values: what a BTree's leaves are, and a small mapping on its own. */
export abstract class Bucket<K, V> extends Mapping<K, V> {
  constructor(entries?: Iterable<readonly [K, V]>) {
    super();
    hideContent(this);
    if (entries !== undefined) this.update(entries);
  }
}

/** A tree of keys. */
export abstract class TreeSet<K> extends KeySet<K> {
  constructor(keys?: Iterable<K>) {
    super();
    if (keys !== undefined) this.update(keys);
  }
}

/** A single leaf of keys: what a TreeSet's leaves are, and a small set on its own. */
export abstract class LeafSet<K> extends KeySet<K> {
  constructor(keys?: Iterable<K>) {
    super();
    hideContent(this);
    if (keys !== undefined) this.update(keys);
  }

  /** Key number `index`, from the end if negative; `undefined` beyond the ends. */
  at(index: number): K | undefined {
    return this.keys().at(index);
  }
}

/** Sizes at which nodes split. */
interface NodeSizes {
  readonly leaf: number;
  readonly inner: number;
}

/** A constructor of a collection, its types left open. */
export type AnyCollectionClass = NodeClass & (new (entries?: Iterable<never>) => TreeNode);

/** What a family is made of. */
export class Family {
  /** Key letter and value letter: `OO`, `IF`, `fs`. */
  readonly name: string;
  readonly keyKind: KeyKind;
  readonly valueKind: ValueKind;
  readonly BTree: AnyCollectionClass;
  readonly Bucket: AnyCollectionClass;
  readonly TreeSet: AnyCollectionClass;
  readonly Set: AnyCollectionClass;

  constructor(name: string) {
    this.name = name;
    this.keyKind = keyKinds[name[0] as KeyLetter];
    this.valueKind = valueKinds[name[1] as ValueLetter];
    const sizes = nodeSizes(name);
    this.Bucket = this.#make('Bucket', class extends Bucket<unknown, unknown> {}, sizes, undefined);
    this.Set = this.#make('Set', class extends LeafSet<unknown> {}, sizes, undefined);
    this.BTree = this.#make('BTree', class extends BTree<unknown, unknown> {}, sizes, this.Bucket);
    this.TreeSet = this.#make('TreeSet', class extends TreeSet<unknown> {}, sizes, this.Set);
    Object.freeze(this);
  }

  /** The module that Python has the classes in. */
  get module(): string {
    return `BTrees.${this.name}BTree`;
  }

  #make(
    suffix: string,
    made: abstract new (...args: never[]) => TreeNode,
    sizes: NodeSizes,
    bucketType: AnyCollectionClass | undefined,
  ): AnyCollectionClass {
    const mapping = suffix === 'BTree' || suffix === 'Bucket';
    const type: LeafType = { key: this.keyKind, value: mapping ? this.valueKind : undefined };
    const merge = bucketType === undefined ? mergeLeaf : mergeTree;
    hide(made, 'name', `${this.name}${suffix}`);
    Object.assign(made, {
      maxLeafSize: sizes.leaf,
      maxInternalSize: sizes.inner,
      bucketType: bucketType ?? made,
    });
    const prototype = made.prototype as object;
    hide(prototype, 'family', this);
    hide(prototype, 'keyKind', this.keyKind);
    hide(prototype, 'valueKind', type.value);
    hide(prototype, 'isLeaf', bucketType === undefined);
    hide(prototype, '_p_resolveConflict', (old: unknown, committed: unknown, mine: unknown) =>
      merge(type, old, committed, mine),
    );
    return made as unknown as AnyCollectionClass;
  }
}

function hide(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, configurable: true });
}

/** `MAX_LEAF_SIZE` and `MAX_INTERNAL_SIZE` of `BTrees/src/BTrees/*.h`. */
function nodeSizes(name: string): NodeSizes {
  if (name === 'fs') return { leaf: 500, inner: 500 };
  const inner = name.startsWith('O') ? 250 : 500;
  if (name === 'OO') return { leaf: 30, inner };
  return { leaf: name.startsWith('O') || name.endsWith('O') ? 60 : 120, inner };
}
