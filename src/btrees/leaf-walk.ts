import type { Content } from './content';
import type { TreeNode } from './node';
import { firstLeaf, lastLeaf, type Span } from './positions';
import { ReadAhead } from './read-ahead';

/**
 * Goes over the leaves of a span, from first to last: for whoever does not need item after item. The collection must
 * not change meanwhile.
 *
 * ```
 * for (const walk = new LeafWalk(root, span); walk.content !== undefined; walk.advance()) use(walk.content, walk.from, walk.to)
 * ```
 */
export class LeafWalk {
  /** The leaf where the walk stands; `undefined` at its end. */
  leaf: TreeNode | undefined;
  content: Content | undefined;
  /** The items of this leaf that belong to the span: from `from` up to, not including, `to`. */
  from = 0;
  to = 0;
  readonly #ahead: ReadAhead;
  readonly #span: Span;

  constructor(root: TreeNode, span: Span | undefined) {
    this.#ahead = new ReadAhead(root, 1);
    this.#span = span ?? NOTHING;
    this.#enter(span?.low.leaf, span?.low.index ?? 0, undefined);
  }

  /** On to the next leaf. */
  advance(): void {
    const { leaf, content } = this;
    if (leaf === undefined || content === undefined || leaf === this.#span.high.leaf) {
      this.#enter(undefined, 0, undefined);
    } else {
      this.#enter(leaf.linked(content), 0, content.keys[Math.max(content.length - 1, 0)]);
    }
  }

  #enter(leaf: TreeNode | undefined, from: number, key: unknown): void {
    const end = this.#span.high.leaf;
    this.leaf = leaf;
    this.from = from;
    if (leaf === undefined) {
      this.content = undefined;
      this.to = 0;
      return;
    }
    this.content =
      leaf.content ?? (key === undefined ? leaf.load() : this.#ahead.load(leaf, key, end, undefined));
    this.to = leaf === end ? Math.min(this.#span.high.index + 1, this.content.length) : this.content.length;
  }
}

/** A walk over everything. */
export function walkAll(root: TreeNode): LeafWalk {
  const low = firstLeaf(root);
  const high = lastLeaf(root);
  const empty = low === undefined || high === undefined;
  return new LeafWalk(
    root,
    empty ? undefined : { low: { leaf: low, index: 0 }, high: { leaf: high, index: Infinity } },
  );
}

const NOTHING = { high: { leaf: undefined, index: 0 } } as unknown as Span;
