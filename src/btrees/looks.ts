/** How collections and views show themselves in the console: what is loaded, and nothing is loaded for it. */
import { inspect, type InspectOptions } from 'node:util';
import type { Content } from './content';
import { Mode } from './iterators';
import { TreeNode } from './node';
import type { Span } from './positions';

/** Node's limit for the items of a collection. */
const MOST_ITEMS = 100;

/** A tree, bucket or set: its first entries, as far as they are in memory. */
export function lookOf(collection: TreeNode, depth: number, options: InspectOptions): string {
  const { content } = collection;
  const { name } = collection.constructor;
  if (content === undefined) return `<${name}, not loaded>`;
  if (content.length === 0) return `${name}(0) {}`;
  if (depth < 0) return `[${name}]`;
  const first = firstLoaded(collection);
  if (first === undefined) return `${name} { … }`;
  const { items, isAll } = itemsFrom(first, 0, collection.isLeaf ? first : undefined, Infinity, options);
  const shown = collection.valueKind === undefined ? new Set(items.map(([key]) => key)) : new Map(items);
  return `${isAll ? `${name}(${items.length})` : name} ${braced(shown, options, isAll)}`;
}

/** The first items of a view, in key order or, if `reverse`, those of its last leaf. */
export function lookOfView(
  root: TreeNode,
  mode: Mode,
  span: Span | undefined,
  reverse: boolean,
  options: InspectOptions,
): string {
  const name = `${root.constructor.name} ${NAMES[mode]}`;
  if (span === undefined) return `${name} []`;
  const { low, high } = span;
  const from = reverse && low.leaf !== high.leaf ? { leaf: high.leaf, index: 0 } : low;
  const found = itemsFrom(from.leaf, from.index, high.leaf, high.index, options);
  if (reverse) found.items.reverse();
  const isAll = found.isAll && from === low;
  const items = found.items.map((item) => (mode === Mode.entries ? item : item[mode]));
  return `${name} ${braced(items, options, isAll)}`;
}

const NAMES = ['keys', 'values', 'entries'];

function firstLoaded(node: TreeNode): TreeNode | undefined {
  let leaf: unknown = node;
  while (leaf instanceof TreeNode && leaf.content !== undefined) {
    if (leaf.isLeaf) return leaf;
    const { link, slots }: Content = leaf.content;
    leaf = link instanceof TreeNode ? link : slots[0];
  }
  return undefined;
}

/** Items from a place on, up to one in `last` (without it: to the end), as far as leaves are loaded and linked by what is. */
function itemsFrom(
  start: TreeNode,
  from: number,
  last: TreeNode | undefined,
  lastIndex: number,
  { maxArrayLength }: InspectOptions,
): { items: [unknown, unknown][]; isAll: boolean } {
  const most = maxArrayLength ?? MOST_ITEMS;
  const items: [unknown, unknown][] = [];
  let leaf: unknown = start;
  for (let index = from; leaf instanceof TreeNode && leaf.content !== undefined; index = 0) {
    const { content }: { content: Content } = leaf as TreeNode & { content: Content };
    const end = leaf === last ? Math.min(lastIndex + 1, content.length) : content.length;
    for (let i = index; i < end; i++) {
      if (items.length >= most) return { items, isAll: false };
      items.push([leaf.keyKind.give(content.keys[i]), leaf.valueKind?.give(content.slots[i])]);
    }
    if (leaf === last || content.link === undefined) return { items, isAll: true };
    leaf = content.link;
  }
  return { items, isAll: false };
}

/** A set, map or array as Node shows it, without its class; with an ellipsis when it is not everything. */
function braced(
  shown: Map<unknown, unknown> | Set<unknown> | unknown[],
  options: InspectOptions,
  isAll: boolean,
): string {
  const text = inspect(shown, options).replace(/^(Map|Set)\(\d+\) /, '');
  if (isAll) return text;
  const close = text.at(-1)!;
  const inside = text.slice(0, -1).trimEnd();
  return text.includes('\n') ? `${inside},\n  …\n${close}` : `${inside}, … ${close}`;
}
