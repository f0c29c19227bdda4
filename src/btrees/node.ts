/**
 * What leaves and inner nodes of all collections have in common: their content, how it is loaded, followed and written.
 */
import { POSKeyError } from '../errors';
import { isPersistent, isReference, isSettled, Managed, oidOf, WRAP } from '../persistence/index';
import { ItemForm } from '../record/index';
import { Content } from './content';
import { DamagedTreeError, InvalidKeyError, InvalidValueError } from './errors';
import type { Family } from './family';
import type { KeyKind } from './key-kinds';
import { describeKey, describeType } from './key-order';
import { leafInRecord, leafState, readLeafState, readTreeState, treeState } from './state';
import { addOwner, hideContent, ownerOf, putOwner } from './node-slots';
import type { ValueKind } from './value-kinds';

/** A node of each class of which there are new ones: see `specimens.ts`. */
const specimens = new WeakMap<object, TreeNode | undefined>();

/** The content that was read last. */
let latest: Content | undefined;

/** The way to an item in the state of a leaf, and of a tree with its only leaf in it. */
const IN_LEAF = /^\[0\]\[(\d+)\]/;
const IN_INLINE_LEAF = /^\[0\]\[0\]\[0\]\[(\d+)\]/;

/** The class of a node, with the sizes that its trees split at. */
export interface NodeClass {
  readonly name: string;
  /** Most items of a leaf; trees only. */
  maxLeafSize: number;
  /** Most children of an inner node that is not the root (a root may have twice as many, less one); trees only. */
  maxInternalSize: number;
  /** The class of a tree's leaves. */
  bucketType: abstract new () => TreeNode;
  readonly prototype: object;
}

/** A node of a tree: a leaf (which can stand alone, as a Bucket or Set) or an inner node. */
export abstract class TreeNode extends Managed {
  /** Type of the keys. On the prototype of each family's classes, as what follows. */
  declare readonly keyKind: KeyKind;
  /** Type of the values; `undefined` for sets. */
  declare readonly valueKind: ValueKind | undefined;
  /** The classes that work together: same types of keys and values. */
  declare readonly family: Family;
  /** Whether it is a Bucket or Set. */
  declare readonly isLeaf: boolean;

  /** @internal */
  static override [WRAP](node: object): object {
    if (!(node as TreeNode).isLeaf) hideContent(node as TreeNode);
    // It is set again: V8 takes for constant what never was, and forgets code when a node is dropped.
    else (node as TreeNode).content = undefined;
    addOwner(node);
    return node;
  }

  /**
   * `undefined` while it is not loaded.
   * @internal
   */
  declare content: Content | undefined;

  /**
   * Of an inner node that is not the root: the node above it, or the one it came out of in a split. Of a leaf that came into being
   * within another node (in the root's record, or as the right half of a split): that node; it serves until the leaf has an oid.
   * @internal
   */
  get owner(): TreeNode | undefined {
    return ownerOf(this);
  }

  set owner(owner: TreeNode | undefined) {
    putOwner(this, owner);
  }

  constructor() {
    super();
    this.content = emptyContent(this);
    if (specimens.has(new.target)) return;
    specimens.set(new.target, undefined);
    specimens.set(new.target, emptyNode(new.target as unknown as NodeClass));
  }

  /**
   * The content, loaded if need be. Callers try `node.content` first. With a tiny cache a node may be evicted in the very
   * moment it was loaded: what was read then serves for this once.
   * @internal
   */
  load(): Content {
    const { owner } = this;
    if (owner !== undefined && this.isLeaf && oidOf(this) === undefined) {
      // It was in the record of its owner, whose state was dropped: what is there now counts, if anything.
      return leafInRecord(owner, contentOf(owner))?.content ?? emptyContent(this);
    }
    latest = undefined;
    this.activate();
    const content = this.content ?? latest;
    latest = undefined;
    if (content === undefined) throw new DamagedTreeError(`${describeNode(this)} has no state.`);
    return content;
  }

  /**
   * Must be called before the content is changed; answers the content to change, which stays in place until the end of the
   * transaction. It may be another one than before: joining the transaction can bring a new snapshot, loading can evict.
   * @internal
   */
  willChange(): Content {
    this.changed();
    return this.content ?? this.load();
  }

  /**
   * Asks that the commit fails if this node is changed by another one.
   * @internal
   */
  mustStay(): void {
    this.readCurrent();
  }

  /**
   * The node through whose jar this one's references are followed.
   * @internal
   */
  get anchor(): TreeNode {
    if (oidOf(this) !== undefined) return this;
    const { owner } = this;
    return owner === undefined ? this : owner.anchor;
  }

  /**
   * The object that a slot refers to.
   * @internal
   */
  followed(value: unknown): unknown {
    return this.anchor.follow(value);
  }

  /**
   * Loads nodes, or what references lead to, in one batch.
   * @internal
   */
  loadAhead(values: readonly unknown[]): void {
    this.anchor.prefetch(values);
  }

  /**
   * Loads the objects that the values of some of this node's leaves refer to in one batch: of as many of the first ones as is worth it when the
   * objects are as large as those in `like`.
   * @internal
   */
  valuesBeyond(leaves: readonly Content[], like: readonly unknown[]): void {
    const lists = leaves.map(({ slots }) => slots);
    this.anchor.followAhead(lists, like);
  }

  /**
   * Value `index` of this leaf, in its outer form.
   * @internal
   */
  value(content: Content, index: number): unknown {
    const value = content.slots[index];
    if (typeof value !== 'object' || value === null) return this.valueKind!.give(value);
    if (isSettled(value)) return value;
    const { anchor } = this;
    const seen: unknown = anchor.isStored ? anchor.follow(value) : value;
    if (seen !== value) content.slots[index] = seen;
    return seen;
  }

  /**
   * A value is about to be put into this node's record.
   * @internal
   */
  taken(value: unknown): void {
    this.take(value);
  }

  /**
   * Loads the objects that values of this leaf refer to in one batch; answers what must be held to keep them loaded.
   * @internal
   */
  valuesAhead(content: Content, from: number, to: number): unknown {
    const { slots } = content;
    if (typeof slots[from] !== 'object' || !isReference(slots[from])) return undefined;
    this.anchor.followMany(slots, from, to);
    return slots;
  }

  /**
   * Child `index` of this inner node, not necessarily loaded.
   * @internal
   */
  child(content: Content, index: number): TreeNode {
    const child = content.slots[index] as TreeNode;
    return child.content !== undefined ? child : resolveChild(this, content, index);
  }

  /**
   * The leaf that the link of this node leads to, not necessarily loaded.
   * @internal
   */
  linked(content: Content): TreeNode | undefined {
    const { link } = content;
    // What has content is a loaded node: no need to ask for its class.
    if (link === undefined || (link as TreeNode).content !== undefined) return link as TreeNode | undefined;
    if (link instanceof TreeNode) return link;
    const leaf = followNode(this, link, this.isLeaf ? 'next leaf' : 'first leaf');
    if (!(leaf instanceof TreeNode) || !leaf.isLeaf) {
      throw new DamagedTreeError(
        `${describeNode(this)} is linked to ${describeNode(leaf)}, which is no leaf.`,
      );
    }
    content.link = leaf;
    return leaf;
  }

  /**
   * A new, empty node of the same class.
   * @internal
   */
  sibling(): this {
    return emptyNode(this.constructor as unknown as NodeClass) as this;
  }

  override __getstate__(): unknown {
    const content = contentOf(this);
    return content.leaf ? leafState(this, content) : treeState(this, content);
  }

  /** Of a value in a leaf: `get("key")`. */
  override placeInState(path: string): string {
    const content = contentOf(this);
    const leaf = content.leaf ? this : leafInRecord(this, content);
    const [step, place] = (content.leaf ? IN_LEAF : IN_INLINE_LEAF).exec(path) ?? [];
    if (leaf === undefined || step === undefined || leaf.valueKind === undefined) return path;
    const index = Number(place);
    if (index % 2 === 0) return path;
    return `get(${describeKey(contentOf(leaf).keys[index >> 1])})${path.slice(step.length)}`;
  }

  /** Leaves take their items apart, unless a subclass has its own way. */
  override get itemForm(): ItemForm {
    const isOwn = Reflect.get(this, '__setstate__') === Reflect.get(TreeNode.prototype, '__setstate__');
    if (!this.isLeaf || !isOwn) return ItemForm.none;
    return this.valueKind === undefined ? ItemForm.keys : ItemForm.pairs;
  }

  override __setstate__(state: unknown): void {
    try {
      this.content = this.isLeaf ? readLeafState(this, state) : readTreeState(this, state);
      latest = this.content;
    } catch (error) {
      if (!(error instanceof InvalidKeyError || error instanceof InvalidValueError)) throw error;
      throw new DamagedTreeError(
        `The stored state of ${describeNode(this)} does not fit its class: ${error.message}`,
        {
          cause: error,
        },
      );
    }
  }

  /** The values that are stored in this node's own record, where they can be objects. */
  override heldValues(): Iterable<unknown> {
    return leafWithin(this)?.content?.slots ?? [];
  }

  override replaceValue(old: object, made: object): void {
    const slots = leafWithin(this)?.content?.slots;
    const index = slots?.indexOf(old) ?? -1;
    if (slots !== undefined && index >= 0) slots[index] = made;
  }

  override dropState(): void {
    const { content } = this;
    // An iteration or a view may stand in the leaf that was read with this node.
    const within = content === undefined || content.leaf ? undefined : leafInRecord(this, content);
    if (within !== undefined) within.content = undefined;
    this.content = undefined;
  }
}

/** Follows the reference to a child, and puts the child in its place. */
function resolveChild(node: TreeNode, content: Content, index: number): TreeNode {
  const child = followNode(node, content.slots[index], `child ${index}`);
  const { bucketType } = node.constructor as unknown as NodeClass;
  if (child instanceof bucketType || (child instanceof TreeNode && child.constructor === node.constructor)) {
    content.slots[index] = child;
    if (!child.isLeaf) child.owner = node;
    return child;
  }
  throw new DamagedTreeError(
    `Child ${index} of ${describeNode(node)} is ${describeNode(child)}, neither a ${node.constructor.name} nor a ${bucketType.name}.`,
  );
}

function followNode(node: TreeNode, reference: unknown, role: string): unknown {
  try {
    return node.followed(reference);
  } catch (error) {
    if (!(error instanceof POSKeyError)) throw error;
    throw new DamagedTreeError(`The ${role} of ${describeNode(node)} does not exist: ${error.message}`, {
      cause: error,
    });
  }
}

/** The leaf whose values are stored in the record of `node`, if they can be objects. */
function leafWithin(node: TreeNode): TreeNode | undefined {
  if (node.valueKind?.letter !== 'O') return undefined;
  if (node.isLeaf) return node;
  return node.content === undefined ? undefined : leafInRecord(node, node.content);
}

/** The content of a node, loaded if need be. */
export function contentOf(node: TreeNode): Content {
  return node.content ?? node.load();
}

/** A new node made without running the constructor of a user's subclass. */
export function emptyNode(nodeClass: NodeClass): TreeNode {
  return Reflect.construct(TreeNode, [], nodeClass as unknown as new () => TreeNode) as TreeNode;
}

/** The content of a node without items. */
export function emptyContent(node: TreeNode): Content {
  return new Content(node.isLeaf, node.keyKind.arrays.create(0), [], 0, undefined);
}

/** A node for people: class and oid. */
export function describeNode(node: unknown): string {
  if (typeof node !== 'object' || node === null) return describeType(node);
  const oid = isPersistent(node) ? oidOf(node) : undefined;
  const type = node instanceof TreeNode ? node.constructor.name : describeType(node);
  return oid === undefined ? `a ${type}` : `${type} 0x${oid.toString(16)}`;
}
