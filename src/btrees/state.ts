/**
 * States of nodes, as they are pickled (`BTrees/src/BTrees/BTreeTemplate.c`, `BucketTemplate.c`). A tuple is a frozen array.
 *
 * | node | state |
 * |---|---|
 * | Bucket | `((k0, v0, k1, v1, …),)`, with a next leaf `((k0, v0, …), next)` |
 * | Set | `((k0, k1, …),)`, with a next leaf `((k0, …), next)` |
 * | tree, empty | `None` |
 * | tree that is one leaf without oid | `((leaf state,),)` |
 * | any other tree | `((c0, s1, c1, s2, c2, …), first leaf)`: children, and the keys that separate them |
 */
import { tuple } from './conflict';
import { Content } from './content';
import { oidOf } from '../persistence/index';
import { Items } from '../record/index';
import { DamagedTreeError } from './errors';
import { emptyNode, describeNode, TreeNode, type NodeClass } from './node';

/** The state of a leaf. */
export function leafState(leaf: TreeNode, content: Content): unknown {
  const { keyKind, valueKind } = leaf;
  const { keys, slots, length, link } = content;
  const items: unknown[] = [];
  for (let i = 0; i < length; i++) {
    items.push(keyKind.save(keys[i]));
    if (valueKind !== undefined) items.push(valueKind.save(slots[i]));
  }
  return tuple(link === undefined ? [tuple(items)] : [tuple(items), link]);
}

/** The state of an inner node or root. */
export function treeState(tree: TreeNode, content: Content): unknown {
  const { keyKind } = tree;
  const { keys, slots, length, link } = content;
  if (length === 0) return null;
  const leaf = leafInRecord(tree, content);
  if (leaf !== undefined) return tuple([tuple([leaf.__getstate__()])]);
  const items: unknown[] = [slots[0]];
  for (let i = 1; i < length; i++) items.push(keyKind.save(keys[i - 1]), slots[i]);
  return tuple([tuple(items), link]);
}

/**
 * The leaf that is stored within the record of a tree: the only one, without an oid. Python also stores leaves of inner nodes that
 * way, which damages the tree when another leaf is linked to them; here only the root does.
 */
export function leafInRecord(tree: TreeNode, { length, slots }: Content): TreeNode | undefined {
  const [first] = slots;
  if (length !== 1 || tree.owner !== undefined || !(first instanceof TreeNode)) return undefined;
  return first.isLeaf && oidOf(first) === undefined ? first : undefined;
}

/** The content of a leaf. @throws DamagedTreeError */
export function readLeafState(leaf: TreeNode, state: unknown): Content {
  const { keyKind, valueKind } = leaf;
  if (state instanceof Items) return contentOfItems(leaf, state);
  const [items, next] = parts(leaf, state);
  if (valueKind === undefined) {
    return new Content(true, keyKind.fill(items, 0, 1, items.length), [], items.length, next);
  }
  const length = items.length >> 1;
  // Of the right size at once: growing it would leave several times its size to the garbage collector.
  const values = new Array<unknown>(length);
  for (let i = 0, at = 1; i < length; i++, at += 2) values[i] = valueKind.load(items[at]);
  return new Content(true, keyKind.fill(items, 0, 2, length), values, length, next);
}

/** The content of a leaf whose arrays of objects are its own already. */
function contentOfItems({ keyKind, valueKind }: TreeNode, { keys, values, link }: Items): Content {
  const { length } = keys;
  const kept = keyKind.letter === 'O' ? keys : keyKind.fill(keys, 0, 1, length);
  if (valueKind !== undefined && valueKind.letter !== 'O') {
    for (let i = 0; i < length; i++) values[i] = valueKind.load(values[i]);
  }
  return new Content(true, kept, values, length, link);
}

/** The content of an inner node or root. @throws DamagedTreeError */
export function readTreeState(tree: TreeNode, state: unknown): Content {
  if (state === null || state === undefined) {
    return new Content(false, tree.keyKind.arrays.create(0), [], 0, undefined);
  }
  const [items, firstLeaf] = parts(tree, state);
  const length = (items.length + 1) >> 1;
  if (items.length % 2 === 0) {
    throw new DamagedTreeError(
      `The stored state of ${describeNode(tree)} must list children with keys between them.`,
    );
  }
  const children: unknown[] = [];
  for (let at = 0; at < items.length; at += 2) children.push(childOf(tree, items[at]));
  const keys = tree.keyKind.fill(items, 1, 2, length - 1);
  return new Content(false, keys, children, length, firstLeaf ?? children[0]);
}

function childOf(tree: TreeNode, child: unknown): unknown {
  if (!Array.isArray(child)) return child;
  const leaf = emptyNode((tree.constructor as unknown as NodeClass).bucketType as unknown as NodeClass);
  leaf.__setstate__(child);
  leaf.owner = tree;
  return leaf;
}

function parts(node: TreeNode, state: unknown): readonly [items: readonly unknown[], link: unknown] {
  if (!Array.isArray(state) || state.length < 1 || state.length > 2 || !Array.isArray(state[0])) {
    throw new DamagedTreeError(
      `The stored state of ${describeNode(node)} must be a tuple of a tuple of items, and at most a leaf.`,
    );
  }
  const [items, link] = state as [readonly unknown[], unknown];
  if (link !== undefined && (typeof link !== 'object' || link === null)) {
    throw new DamagedTreeError(
      `The stored state of ${describeNode(node)} is linked to something that is no leaf.`,
    );
  }
  return [items, link];
}
