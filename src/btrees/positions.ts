/**
 * Places in a collection: a leaf and an index in it (`BTree_findRangeEnd`, `BTree_rangeSearch` in
 * `BTrees/src/BTrees/BTreeTemplate.c`).
 */
import type { Content } from './content';
import { DamagedTreeError } from './errors';
import { childIndex } from './insert';
import { contentOf, describeNode, type TreeNode } from './node';

/** The place of an item. */
export interface Position {
  readonly leaf: TreeNode;
  readonly index: number;
}

/** A range from `low` to `high`, both included. */
export interface Span {
  readonly low: Position;
  readonly high: Position;
}

/** Ends of a range; an end that is left out, or `undefined`, does not limit it. */
export interface RangeOptions<K> {
  /** Smallest key. */
  min?: K | undefined;
  /** Largest key. */
  max?: K | undefined;
  /** Leaves out `min` itself; without `min`, the first item. */
  excludeMin?: boolean | undefined;
  /** Leaves out `max` itself; without `max`, the last item. */
  excludeMax?: boolean | undefined;
}

/** The leaf and index of a key, or `undefined`. */
export function locate(
  node: TreeNode,
  key: unknown,
): { leaf: TreeNode; content: Content; index: number } | undefined {
  let leaf = node;
  let content = contentOf(node);
  while (!content.leaf) {
    if (content.length === 0) return undefined;
    leaf = leaf.child(content, childIndex(leaf, content, key));
    content = contentOf(leaf);
  }
  const index = leaf.keyKind.search(content.keys, content.length, key);
  return index < 0 ? undefined : { leaf, content, index };
}

/** The first leaf, loaded; `undefined` of an empty tree. */
export function firstLeaf(node: TreeNode): TreeNode | undefined {
  const content = contentOf(node);
  if (content.leaf) return node;
  if (content.length === 0) return undefined;
  const leaf = node.linked(content);
  if (leaf === undefined) throw new DamagedTreeError(`${describeNode(node)} has children but no first leaf.`);
  if (leaf.content === undefined) leaf.load();
  return leaf;
}

/** The last leaf, loaded; `undefined` of an empty tree. */
export function lastLeaf(node: TreeNode): TreeNode | undefined {
  let leaf = node;
  let content = contentOf(node);
  while (!content.leaf) {
    if (content.length === 0) return undefined;
    leaf = leaf.child(content, content.length - 1);
    content = contentOf(leaf);
  }
  return leaf;
}

/** The leaf after this one, loaded. A leaf on its own has none, even if it is part of a tree. */
export function nextLeaf(root: TreeNode, leaf: TreeNode, content: Content): TreeNode | undefined {
  if (root === leaf) return undefined;
  const next = leaf.linked(content);
  if (next !== undefined && next.content === undefined) next.load();
  return next;
}

/** The place of the smallest key that is at least (or, if excluded, more than) `key`. */
export function atOrAfter(root: TreeNode, key: unknown, exclude: boolean): Position | undefined {
  let leaf = root;
  let content = contentOf(root);
  while (!content.leaf) {
    if (content.length === 0) return undefined;
    leaf = leaf.child(content, childIndex(leaf, content, key));
    content = contentOf(leaf);
  }
  const found = leaf.keyKind.search(content.keys, content.length, key);
  const index = found < 0 ? ~found : exclude ? found + 1 : found;
  if (index < content.length) return { leaf, index };
  const next = nextLeaf(root, leaf, content);
  return next === undefined ? undefined : { leaf: next, index: 0 };
}

/** The place of the largest key that is at most (or, if excluded, less than) `key`. */
export function atOrBefore(root: TreeNode, key: unknown, exclude: boolean): Position | undefined {
  let leaf = root;
  let content = contentOf(root);
  let left: { node: TreeNode; content: Content; index: number } | undefined;
  while (!content.leaf) {
    if (content.length === 0) return undefined;
    const index = childIndex(leaf, content, key);
    if (index > 0) left = { node: leaf, content, index: index - 1 };
    leaf = leaf.child(content, index);
    content = contentOf(leaf);
  }
  const found = leaf.keyKind.search(content.keys, content.length, key);
  const index = found < 0 ? ~found - 1 : exclude ? found - 1 : found;
  if (index >= 0) return { leaf, index };
  if (left === undefined) return undefined;
  return endOf(lastLeaf(left.node.child(left.content, left.index)));
}

/** The span of a range, fixed as the collection is now; `undefined` when it is empty. */
export function spanOf(root: TreeNode, range: RangeOptions<unknown>): Span | undefined {
  const { keyKind } = root;
  const min = range.min === undefined ? undefined : keyKind.accept(range.min, root);
  const max = range.max === undefined ? undefined : keyKind.accept(range.max, root);
  const low =
    range.min === undefined ? fromStart(root, range) : atOrAfter(root, min, range.excludeMin === true);
  if (low === undefined) return undefined;
  const high =
    range.max === undefined ? fromEnd(root, range) : atOrBefore(root, max, range.excludeMax === true);
  if (high === undefined) return undefined;
  if (low.leaf === high.leaf) return low.index > high.index ? undefined : { low, high };
  return keyKind.compare(keyAt(low), keyAt(high)) > 0 ? undefined : { low, high };
}

/** The inner key at a place. */
export function keyAt({ leaf, index }: Position): unknown {
  const content = contentOf(leaf);
  return content.keys[index];
}

function fromStart(root: TreeNode, { excludeMin }: RangeOptions<unknown>): Position | undefined {
  const leaf = firstLeaf(root);
  if (leaf === undefined || contentOf(leaf).length === 0) return undefined;
  if (excludeMin !== true) return { leaf, index: 0 };
  if (contentOf(leaf).length > 1) return { leaf, index: 1 };
  const next = nextLeaf(root, leaf, contentOf(leaf));
  return next === undefined ? undefined : { leaf: next, index: 0 };
}

function fromEnd(root: TreeNode, { excludeMax }: RangeOptions<unknown>): Position | undefined {
  const end = endOf(lastLeaf(root));
  if (end === undefined || excludeMax !== true) return end;
  if (end.index > 0) return { leaf: end.leaf, index: end.index - 1 };
  return atOrBefore(root, keyAt(end), true);
}

function endOf(leaf: TreeNode | undefined): Position | undefined {
  const length = leaf?.content?.length ?? 0;
  return length === 0 ? undefined : { leaf: leaf!, index: length - 1 };
}
