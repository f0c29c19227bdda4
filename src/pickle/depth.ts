/** Nesting of values, measured without recursion. */
import { PyInstance } from './instance';

/** The limit that holds for reader, writer and scanner unless a lower one is set. */
export const MAX_DEPTH = 10_000;

function children(value: object): unknown[] | undefined {
  if (Array.isArray(value)) return value as unknown[];
  if (value instanceof Map) {
    const list: unknown[] = [];
    for (const [key, item] of value) list.push(key, item);
    return list;
  }
  if (value instanceof Set) return [...value];
  if (value instanceof PyInstance) {
    return [value.cls, value.args, value.kwargs, value.items, value.pairs, value.adds, value.state];
  }
  if (ArrayBuffer.isView(value) || value instanceof Date) return undefined;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype ? Object.values(value) : undefined;
}

/** Whether values are nested in `root` more than `limit` deep. Each object counts where it is met first. */
export function isDeeperThan(root: unknown, limit: number): boolean {
  const seen = new Set<object>();
  const lists: unknown[][] = [[root]];
  const next: number[] = [0];
  while (lists.length > 0) {
    const top = lists.length - 1;
    const list = lists[top]!;
    const i = next[top]!++;
    if (i >= list.length) {
      lists.pop();
      next.pop();
      continue;
    }
    const value = list[i];
    if (typeof value !== 'object' || value === null || seen.has(value)) continue;
    const inner = children(value);
    if (inner === undefined) continue;
    seen.add(value);
    if (inner.length === 0) continue;
    if (lists.length > limit) return true;
    lists.push(inner);
    next.push(0);
  }
  return false;
}
