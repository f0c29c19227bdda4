import { isSettled } from '../persistence/index';
import { keepSpecimen } from '../specimens';
import { childIndex } from './insert';
import type { Content } from './content';
import type { TreeNode } from './node';

/** Most leaves loaded in one batch. */
const LARGEST_BATCH = 64;
/** About as many objects are loaded with them. */
const MOST_VALUES = 256;

/**
 * Loads the leaves of a walk along a tree: whoever goes from leaf to leaf gets its siblings in batches that double, so
 * that a short walk loads little and a long one asks the storage seldom. Whoever takes the values gets the objects that they refer to as well.
 */
export class ReadAhead {
  readonly #root: TreeNode;
  readonly #step: 1 | -1;
  #batch = 1;

  /** @param step 1 for a walk from small to large keys, -1 for one the other way */
  constructor(root: TreeNode, step: 1 | -1) {
    this.#root = root;
    this.#step = step;
  }

  /**
   * Loads `leaf`, and some that follow it in the direction of the walk.
   * @param key a key of the leaf that was left
   * @param end the leaf where the walk will end
   * @param values those of the leaf that was left, if the walk takes values
   */
  load(
    leaf: TreeNode,
    key: unknown,
    end: TreeNode | undefined,
    values: readonly unknown[] | undefined,
  ): Content {
    if (leaf !== this.#root && leaf !== end) this.prefetch(key, end, values);
    return leaf.content ?? leaf.load();
  }

  /** Loads some of the leaves that follow the one that holds `key`, unless the first of them is loaded. */
  prefetch(key: unknown, end: TreeNode | undefined, values: readonly unknown[] | undefined): void {
    let parent = this.#root;
    let content = parent.content ?? parent.load();
    if (content.leaf || content.length === 0) return;
    let index = childIndex(parent, content, key);
    for (let child = parent.child(content, index); !child.isLeaf; child = parent.child(content, index)) {
      parent = child;
      content = child.content ?? child.load();
      if (content.length === 0) return;
      index = childIndex(parent, content, key);
    }
    if ((content.slots[index + this.#step] as TreeNode | undefined)?.content !== undefined) return;
    const first = values?.[0];
    const followed = typeof first === 'object' && first !== null && isSettled(first) ? values : undefined;
    const most = followed === undefined ? LARGEST_BATCH : Math.ceil(MOST_VALUES / followed.length);
    this.#batch = Math.min(this.#batch * 2, LARGEST_BATCH, most);
    const wanted: unknown[] = [];
    for (let i = index + this.#step; wanted.length < this.#batch; i += this.#step) {
      const sibling = content.slots[i];
      if (sibling === undefined) break;
      wanted.push(sibling);
      if (sibling === end) break;
    }
    if (wanted.length < 2) return;
    parent.loadAhead(wanted);
    if (followed !== undefined) this.#values(parent, content, index, wanted.length, followed);
  }

  /** Loads what the values of the leaves refer to that follow child `index`. */
  #values(parent: TreeNode, content: Content, index: number, count: number, like: readonly unknown[]): void {
    const leaves: Content[] = [];
    try {
      for (let n = 1; n <= count; n++) {
        const leaf = parent.child(content, index + n * this.#step).content;
        if (leaf === undefined) break;
        leaves.push(leaf);
      }
    } catch {
      // Whoever comes to that leaf hears the error.
    }
    parent.valuesBeyond(leaves, like);
  }
}

keepSpecimen(new ReadAhead(Object.create(null) as TreeNode, 1));
