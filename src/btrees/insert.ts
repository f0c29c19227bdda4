/**
 * Insertion and replacement, splitting nodes as Python does (`_BTree_set`, `BTree_grow`, `BTree_split_root` in
 * `BTrees/src/BTrees/BTreeTemplate.c`): a node splits in the middle once it holds more than its maximum, a root only
 * at twice that.
 */
import { oidOf } from '../persistence/index';
import type { Content } from './content';
import { insertPlain } from './key-arrays';
import { contentOf, emptyNode, type NodeClass, type TreeNode } from './node';

/** What {@link insert} did. Within: `split` is `added` by which a node got one more child, `again` that nothing was done yet. */
export const Inserted = { nothing: 0, replaced: 1, added: 2, split: 3, again: 4 } as const;
export type Inserted = (typeof Inserted)[keyof typeof Inserted];

/**
 * Puts an inner key and value into a tree or leaf.
 * @param replace whether the value of a key that exists is replaced
 */
export function insert(node: TreeNode, key: unknown, value: unknown, replace: boolean): Inserted {
  for (;;) {
    const content = contentOf(node);
    const outcome = content.leaf
      ? insertIntoLeaf(node, content, node, key, value, replace)
      : insertIntoTree(node, content, key, value, replace);
    if (outcome !== Inserted.again) return outcome;
  }
}

/** The child of an inner node where a key belongs. */
export function childIndex(tree: TreeNode, content: Content, key: unknown): number {
  const found = tree.keyKind.search(content.keys, content.length - 1, key);
  return found >= 0 ? found + 1 : ~found;
}

/**
 * Marks the node whose record holds the leaf as changed: the leaf itself, or the root of a tree of one leaf. False when that
 * brought another content: a first change joins the transaction, which can bring a new snapshot. Then nothing was changed
 * yet, and the operation starts again.
 */
export function leafWillChange(leaf: TreeNode, content: Content, recorded: TreeNode): boolean {
  const current = recorded.willChange();
  return leaf === recorded ? current === content : current.slots[0] === leaf;
}

/** The node whose record holds a leaf. */
export function recordOfLeaf(tree: TreeNode, content: Content, leaf: TreeNode): TreeNode {
  return content.length === 1 && oidOf(leaf) === undefined ? tree : leaf;
}

function insertIntoLeaf(
  leaf: TreeNode,
  content: Content,
  recorded: TreeNode,
  key: unknown,
  value: unknown,
  replace: boolean,
): Inserted {
  const { keyKind, valueKind } = leaf;
  const { length } = content;
  const found = keyKind.search(content.keys, length, key);
  if (found >= 0) {
    if (!replace || valueKind === undefined) return Inserted.nothing;
    if (valueKind.unchanged(content.slots[found], value)) return Inserted.nothing;
    if (!leafWillChange(leaf, content, recorded)) return Inserted.again;
    if (typeof value === 'object') recorded.taken(value);
    content.slots[found] = value;
    return Inserted.replaced;
  }
  if (!leafWillChange(leaf, content, recorded)) return Inserted.again;
  if (typeof value === 'object') recorded.taken(value);
  content.keys = keyKind.arrays.insert(content.keys, length, ~found, key);
  if (valueKind !== undefined) insertPlain(content.slots, ~found, value);
  content.length = length + 1;
  return Inserted.added;
}

function insertIntoTree(
  tree: TreeNode,
  content: Content,
  key: unknown,
  value: unknown,
  replace: boolean,
): Inserted {
  if (content.length === 0) return insertFirst(tree, key, value);
  const index = childIndex(tree, content, key);
  tree.mustStay();
  const child = tree.child(content, index);
  const childContent = contentOf(child);
  if (childContent.leaf) {
    const recorded = recordOfLeaf(tree, content, child);
    const outcome = insertIntoLeaf(child, childContent, recorded, key, value, replace);
    if (outcome !== Inserted.added) return outcome;
    if (childContent.length <= (tree.constructor as unknown as NodeClass).maxLeafSize) return outcome;
  } else {
    const outcome = insertIntoTree(child, childContent, key, value, replace);
    if (outcome === Inserted.split) {
      const { maxInternalSize } = tree.constructor as unknown as NodeClass;
      if (contentOf(child).length <= maxInternalSize) return Inserted.added;
    } else {
      return outcome;
    }
  }
  splitChild(tree, index);
  return Inserted.split;
}

function insertFirst(tree: TreeNode, key: unknown, value: unknown): Inserted {
  tree.mustStay();
  const content = tree.willChange();
  if (content.length > 0) return Inserted.again;
  const leaf = emptyNode((tree.constructor as unknown as NodeClass).bucketType as unknown as NodeClass);
  leaf.owner = tree;
  if (typeof value === 'object') tree.taken(value);
  const outcome = insertIntoLeaf(leaf, leaf.content!, leaf, key, value, false);
  content.slots = [leaf];
  content.length = 1;
  content.link = leaf;
  return outcome;
}

/** Splits a child that is too large, and the node itself when it is a root that got too large by that. */
function splitChild(tree: TreeNode, index: number): void {
  const content = tree.willChange();
  const child = tree.child(content, index);
  const right = child.sibling();
  right.owner = tree;
  const childContent = child.willChange();
  const separator = childContent.leaf
    ? splitLeaf(childContent, right)
    : splitInner(child, childContent, right);
  content.keys = tree.keyKind.arrays.insert(content.keys, content.length - 1, index, separator);
  insertPlain(content.slots, index + 1, right);
  content.length += 1;
  const { maxInternalSize } = tree.constructor as unknown as NodeClass;
  if (content.length >= maxInternalSize * 2) splitRoot(tree, content);
}

/** Moves the upper half of a leaf's items to `right`; answers the key that separates them. */
function splitLeaf(content: Content, right: TreeNode): unknown {
  const { keyKind, valueKind } = right;
  const { length } = content;
  const cut = length >>> 1;
  const target = right.content!;
  target.keys = keyKind.arrays.slice(content.keys, cut, length);
  if (valueKind !== undefined) target.slots = content.slots.splice(cut);
  target.length = length - cut;
  target.link = content.link;
  content.length = cut;
  content.link = right;
  if (Array.isArray(content.keys)) content.keys.length = cut;
  return target.keys[0];
}

/** Moves the upper half of an inner node's children to `right`; answers the key at the cut, which moves up. */
function splitInner(node: TreeNode, content: Content, right: TreeNode): unknown {
  const { arrays } = node.keyKind;
  const { length } = content;
  const cut = length >>> 1;
  const separator = content.keys[cut - 1];
  const target = right.content!;
  // Loading may fail: it comes before anything is moved.
  const firstChild = node.child(content, cut);
  target.link = firstChild.isLeaf ? firstChild : firstChild.linked(contentOf(firstChild));
  target.keys = arrays.slice(content.keys, cut, length - 1);
  target.slots = content.slots.splice(cut);
  target.length = length - cut;
  content.length = cut;
  if (Array.isArray(content.keys)) content.keys.length = cut - 1;
  return separator;
}

/** The root keeps its identity: all it has moves into a new inner node, which is then split. */
function splitRoot(tree: TreeNode, content: Content): void {
  const below = tree.sibling();
  const target = below.content!;
  target.keys = content.keys;
  target.slots = content.slots;
  target.length = content.length;
  target.link = content.link;
  below.owner = tree;
  content.keys = tree.keyKind.arrays.create(0);
  content.slots = [below];
  content.length = 1;
  splitChild(tree, 0);
}
