/**
 * Checks of a whole collection: what Python's `tree._check()` and `BTrees.check.check(tree)` look at, in one go. Loads every
 * node.
 */
import { DamagedTreeError } from './errors';
import { describeKey } from './key-order';
import { contentOf, describeNode, TreeNode } from './node';

/** One thing that is wrong with a collection. */
export interface TreeProblem {
  /** Index of the child to take at each level from the root to the node. */
  readonly path: readonly number[];
  /** Class and oid of the node. */
  readonly node: string;
  /** A sentence without its subject, in Python's words where Python has some: `key 7 >= upper bound 5 at index 1`. */
  readonly message: string;
}

/** What {@link check} throws. */
export class TreeProblemsError extends DamagedTreeError {
  readonly problems: readonly TreeProblem[];

  constructor(collection: TreeNode, problems: readonly TreeProblem[]) {
    const lines = problems.map(
      ({ path, node, message }) => `${message}, in ${node}, path from root ${path.join('.')}`,
    );
    super(`Errors found in ${describeNode(collection)}:\n${lines.join('\n')}`);
    this.problems = problems;
  }
}

/** Checks structure, order and linkage of a tree, bucket or set. @throws TreeProblemsError listing all that is wrong */
export function check(collection: object): void {
  const problems = findProblems(collection);
  if (problems.length > 0) throw new TreeProblemsError(collection as TreeNode, problems);
}

/**
 * As {@link check}, giving the problems.
 * @param visited called with each node
 */
export function findProblems(collection: object, visited?: (node: TreeNode) => void): TreeProblem[] {
  if (!(collection instanceof TreeNode)) {
    throw new DamagedTreeError(
      `There is nothing to check: ${describeNode(collection)} is no tree, bucket or set.`,
    );
  }
  const inspection = new Inspection(collection, visited);
  inspection.visit(collection, [], undefined, undefined);
  inspection.checkChain();
  return inspection.problems;
}

/** The limits that a node's keys inherit from the separators above it; each in an array of one, or absent. */
type Bound = readonly [unknown] | undefined;

class Inspection {
  readonly problems: TreeProblem[] = [];
  readonly #root: TreeNode;
  readonly #visited: ((node: TreeNode) => void) | undefined;
  readonly #leaves: { leaf: TreeNode; path: readonly number[] }[] = [];
  #depth = -1;

  constructor(root: TreeNode, visited: ((node: TreeNode) => void) | undefined) {
    this.#root = root;
    this.#visited = visited;
  }

  visit(node: TreeNode, path: readonly number[], low: Bound, high: Bound): void {
    this.#visited?.(node);
    const content = contentOf(node);
    this.#checkKeys(node, path, content.leaf ? content.length : content.length - 1, low, high);
    if (content.leaf) {
      if (node !== this.#root && content.length === 0) this.#report(path, node, 'Bucket length < 1');
      this.#leaves.push({ leaf: node, path });
      if (this.#depth < 0) this.#depth = path.length;
      else if (this.#depth !== path.length)
        this.#report(path, node, 'leaf at another depth than those before it');
      return;
    }
    if (content.length === 0) {
      if (node !== this.#root) this.#report(path, node, 'inner node without children');
      if (content.link !== undefined) this.#report(path, node, 'Empty BTree has non-NULL firstbucket');
      return;
    }
    this.#checkFirst(node, path);
    const leaves = node.child(content, 0).isLeaf;
    for (let i = 0; i < content.length; i++) {
      const child = node.child(content, i);
      if (child.isLeaf !== leaves) this.#report(path, node, 'BTree children have different types');
      const from: Bound = i === 0 ? low : [content.keys[i - 1]];
      const to: Bound = i === content.length - 1 ? high : [content.keys[i]];
      this.visit(child, [...path, i], from, to);
    }
  }

  /** The leaves in key order must be linked in that order. */
  checkChain(): void {
    if (this.#root.isLeaf) return;
    this.#leaves.forEach(({ leaf, path }, i) => {
      if (leaf.linked(contentOf(leaf)) !== this.#leaves[i + 1]?.leaf) {
        this.#report(path, leaf, 'Bucket next pointer is damaged');
      }
    });
  }

  #checkFirst(node: TreeNode, path: readonly number[]): void {
    const content = contentOf(node);
    const first = node.linked(content);
    const child = node.child(content, 0);
    if (first === undefined) this.#report(path, node, 'Non-empty BTree has NULL firstbucket');
    else if (child.isLeaf && child !== first) {
      this.#report(path, node, 'Bottom-level BTree node has inconsistent firstbucket belief');
    } else if (!child.isLeaf && contentOf(child).length > 0 && child.linked(contentOf(child)) !== first) {
      this.#report(path, node, "BTree has firstbucket different than its first child's firstbucket");
    }
  }

  #checkKeys(node: TreeNode, path: readonly number[], count: number, low: Bound, high: Bound): void {
    const { keys } = contentOf(node);
    const { compare, save } = node.keyKind;
    const name = (key: unknown): string => describeKey(save(key));
    for (let i = 0; i < count; i++) {
      const key = keys[i];
      if (low !== undefined && compare(low[0], key) > 0) {
        this.#report(path, node, `key ${name(key)} < lower bound ${name(low[0])} at index ${i}`);
      }
      if (high !== undefined && compare(key, high[0]) >= 0) {
        this.#report(path, node, `key ${name(key)} >= upper bound ${name(high[0])} at index ${i}`);
      }
      if (i + 1 < count && compare(key, keys[i + 1]) >= 0) {
        this.#report(
          path,
          node,
          `key ${name(key)} at index ${i} >= key ${name(keys[i + 1])} at index ${i + 1}`,
        );
      }
    }
  }

  #report(path: readonly number[], node: TreeNode, message: string): void {
    this.problems.push({ path, node: describeNode(node), message });
  }
}
