import { InvalidArgumentError } from '../errors';
import { describeKey } from './key-order';
import { contentOf, describeNode, TreeNode } from './node';

/** How much {@link display} shows. */
export interface DisplayOptions {
  /** Most keys shown of a node. Default 8. */
  keys?: number;
  /** Levels below the root to show; deeper ones are not loaded. Default: all. */
  depth?: number;
}

/** The nodes of a tree as an indented text, one line a node: class, oid, number of items or children, keys. */
export function display(collection: object, { keys = 8, depth = Infinity }: DisplayOptions = {}): string {
  if (!(collection instanceof TreeNode)) {
    throw new InvalidArgumentError(
      `display() shows trees, buckets and sets, not ${describeNode(collection)}.`,
    );
  }
  const lines: string[] = [];
  addLines(collection, 0, { keys, depth }, lines);
  return lines.join('\n');
}

function addLines(node: TreeNode, level: number, options: Required<DisplayOptions>, lines: string[]): void {
  const content = contentOf(node);
  const { length, leaf } = content;
  const count = leaf ? length : Math.max(length - 1, 0);
  const shown = Array.from({ length: Math.min(count, options.keys) }, (_, i) =>
    describeKey(node.keyKind.save(content.keys[i])),
  );
  if (count > shown.length) shown.push(`… ${count - shown.length} more`);
  const what = leaf ? (length === 1 ? 'item' : 'items') : length === 1 ? 'child' : 'children';
  lines.push(
    `${'  '.repeat(level)}${describeNode(node).replace(/^a /, '')}: ${length} ${what} [${shown.join(', ')}]`,
  );
  if (leaf || level >= options.depth) return;
  for (let i = 0; i < length; i++) addLines(node.child(content, i), level + 1, options, lines);
}
