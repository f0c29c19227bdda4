/**
 * Removal as Python does it (`_BTree_set` in `BTrees/src/BTrees/BTreeTemplate.c`): empty nodes are dropped, nothing is
 * merged or rebalanced, and levels are never taken away.
 */
import type { Content } from './content';
import { childIndex, leafWillChange, recordOfLeaf } from './insert';
import { removePlain } from './key-arrays';
import { contentOf, type TreeNode } from './node';

/** What became of a subtree. `firstLeafGone`: its first leaf is another one now, or none. */
const Removed = { nothing: 0, shrunk: 1, firstLeafGone: 2, again: 3 } as const;
type Removed = (typeof Removed)[keyof typeof Removed];

/** Takes an inner key out of a tree or leaf; false when it is not there. */
export function remove(node: TreeNode, key: unknown): boolean {
  for (;;) {
    const content = contentOf(node);
    const outcome = content.leaf
      ? removeFromLeaf(node, content, node, key)
      : removeFromTree(node, content, key);
    if (outcome !== Removed.again) return outcome !== Removed.nothing;
  }
}

function removeFromLeaf(leaf: TreeNode, content: Content, recorded: TreeNode, key: unknown): Removed {
  const { keyKind, valueKind } = leaf;
  const { keys, length } = content;
  const found = keyKind.search(keys, length, key);
  if (found < 0) return Removed.nothing;
  if (!leafWillChange(leaf, content, recorded)) return Removed.again;
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
  const before = contentOf(child);
  const outcome = before.leaf
    ? removeFromLeaf(child, before, recordOfLeaf(tree, content, child), key)
    : removeFromTree(child, before, key);
  return outcome === Removed.nothing || outcome === Removed.again
    ? outcome
    : afterRemoval(tree, index, child, key, outcome);
}

/** What a removal in child `index` means for its parent. */
function afterRemoval(
  tree: TreeNode,
  index: number,
  child: TreeNode,
  key: unknown,
  outcome: Removed,
): Removed {
  const { leaf, length: left } = contentOf(child);
  let result = outcome;
  if (index > 0 && left > 0) renewSeparator(tree, index, key, child);
  if (outcome === Removed.firstLeafGone) {
    if (index > 0) {
      unlinkAfter(tree.child(contentOf(tree), index - 1));
      result = Removed.shrunk;
    } else {
      tree.willChange().link = contentOf(child).link;
    }
  }
  if (left > 0) return result;
  if (leaf) {
    if (index > 0) {
      unlinkAfter(tree.child(contentOf(tree), index - 1));
    } else {
      const next = child.linked(contentOf(child));
      tree.willChange().link = next;
      result = Removed.firstLeafGone;
    }
  }
  dropChild(tree, index);
  return result;
}

/** A separator that equals the removed key becomes the smallest key that is left on its right. */
function renewSeparator(tree: TreeNode, index: number, key: unknown, child: TreeNode): void {
  const { keyKind } = tree;
  if (keyKind.compare(key, contentOf(tree).keys[index - 1]) !== 0) return;
  const leaf = child.isLeaf ? child : child.linked(contentOf(child))!;
  const smallest = contentOf(leaf).keys[0];
  const content = tree.willChange();
  content.keys = keyKind.arrays.put(content.keys, content.length - 1, index - 1, smallest);
}

function dropChild(tree: TreeNode, index: number): void {
  const content = tree.willChange();
  if (content.length > 1) {
    tree.keyKind.arrays.remove(content.keys, content.length - 1, Math.max(index - 1, 0));
  }
  removePlain(content.slots, index);
  content.length -= 1;
}

/** The last leaf of a subtree skips the leaf after it, which is about to go. */
function unlinkAfter(node: TreeNode): void {
  let last = node;
  for (let content = contentOf(last); !content.leaf; content = contentOf(last)) {
    last = last.child(content, content.length - 1);
  }
  const gone = last.linked(contentOf(last));
  if (gone === undefined) return;
  const after = gone.linked(contentOf(gone));
  last.willChange().link = after;
}
