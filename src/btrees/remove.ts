/**
 * Removal as Python does it (`_BTree_set` in `BTrees/src/BTrees/BTreeTemplate.c`): empty nodes are dropped, nothing is
 * merged or rebalanced, and levels are never taken away.
 */
import type { Content } from './content';
import { childIndex } from './insert';
import { removePlain } from './key-arrays';
import { oidOf } from './managed';
import type { TreeNode } from './node';

/** What became of a subtree: the last means that its first leaf is another one, or gone. */
const Removed = { nothing: 0, shrunk: 1, firstLeafGone: 2 } as const;
type Removed = (typeof Removed)[keyof typeof Removed];

/** Takes an inner key out of a tree or leaf; false when it is not there. */
export function remove(node: TreeNode, key: unknown): boolean {
  const content = node.content ?? node.load();
  if (content.length === 0) return false;
  const outcome = content.leaf
    ? removeFromLeaf(node, content, node, key)
    : removeFromTree(node, content, key);
  return outcome !== Removed.nothing;
}

function removeFromLeaf(leaf: TreeNode, content: Content, recorded: TreeNode, key: unknown): Removed {
  const { keyKind, valueKind } = leaf;
  const { keys, length } = content;
  const found = keyKind.search(keys, length, key);
  if (found < 0) return Removed.nothing;
  recorded.willChange();
  keyKind.arrays.remove(keys, length, found);
  if (valueKind !== undefined) removePlain(content.slots, found);
  content.length = length - 1;
  return Removed.shrunk;
}

function removeFromTree(tree: TreeNode, content: Content, key: unknown): Removed {
  if (content.length === 0) return Removed.nothing;
  const index = childIndex(tree, content, key);
  tree.mustStay();
  const child = tree.child(content, index);
  const childContent = child.content!;
  let outcome: Removed;
  if (childContent.leaf) {
    const recorded = content.length === 1 && oidOf(child) === undefined ? tree : child;
    outcome = removeFromLeaf(child, childContent, recorded, key);
  } else {
    outcome = removeFromTree(child, childContent, key);
  }
  if (outcome === Removed.nothing) return outcome;
  const left = childContent.length;
  if (index > 0 && left > 0) renewSeparator(tree, content, index, key, child);
  if (outcome === Removed.firstLeafGone) {
    if (index > 0) {
      unlinkAfter(tree.child(content, index - 1));
      outcome = Removed.shrunk;
    } else {
      tree.willChange();
      content.link = childContent.link;
    }
  }
  if (left > 0) return outcome;
  tree.willChange();
  if (childContent.leaf) {
    if (index > 0) {
      unlinkAfter(tree.child(content, index - 1));
    } else {
      content.link = child.linked(childContent);
      outcome = Removed.firstLeafGone;
    }
  }
  dropChild(tree, content, index);
  return outcome;
}

/** A separator that equals the removed key becomes the smallest key that is left on its right. */
function renewSeparator(
  tree: TreeNode,
  content: Content,
  index: number,
  key: unknown,
  child: TreeNode,
): void {
  const { keyKind } = tree;
  if (keyKind.compare(key, content.keys[index - 1]) !== 0) return;
  const leaf = child.isLeaf ? child : child.linked(child.content!)!;
  const leafContent = leaf.content ?? leaf.load();
  tree.willChange();
  content.keys = keyKind.arrays.put(content.keys, content.length - 1, index - 1, leafContent.keys[0]);
}

function dropChild(tree: TreeNode, content: Content, index: number): void {
  if (content.length > 1) {
    tree.keyKind.arrays.remove(content.keys, content.length - 1, Math.max(index - 1, 0));
  }
  removePlain(content.slots, index);
  content.length -= 1;
}

/** The last leaf of a subtree skips the leaf after it, which is about to go. */
function unlinkAfter(node: TreeNode): void {
  let last = node;
  let content = last.content ?? last.load();
  while (!content.leaf) {
    last = last.child(content, content.length - 1);
    content = last.content!;
  }
  const gone = last.linked(content);
  if (gone === undefined) return;
  const goneContent = gone.content ?? gone.load();
  last.willChange();
  content.link = gone.linked(goneContent);
}
