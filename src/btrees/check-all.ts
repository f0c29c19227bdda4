import type { Oid } from '../ids';
import { oidOf, type ClassName, type Registry } from '../persistence/index';
import { findProblems, type TreeProblem } from './check';
import { contentOf, describeNode, TreeNode } from './node';

/** What was found of one collection. */
export interface CollectionReport {
  readonly oid: Oid;
  /** Class and oid, for people. */
  readonly name: string;
  readonly problems: readonly TreeProblem[];
}

/** Whether a stored class is a node of trees or a collection of this package. */
export function isNodeClass(registry: Registry, { module, name }: ClassName): boolean {
  return registry.find(module, name)?.ctor.prototype instanceof TreeNode;
}

/**
 * Checks every collection among the objects with these oids, each tree once, from its root. What can't be loaded is a
 * problem too.
 * @param get loads an object, as `connection.get` does
 */
export function* checkAll(
  get: (oid: Oid) => object,
  oids: readonly Oid[],
): IterableIterator<CollectionReport> {
  const { parts, broken } = partsOf(get, oids);
  yield* broken;
  const seen = new Set<Oid>();
  const roots = oids.filter((oid) => !parts.has(oid));
  for (const leaves of [false, true]) {
    for (const oid of roots) {
      const node = tryGet(get, oid);
      if (!(node instanceof TreeNode) || node.isLeaf !== leaves || seen.has(oid)) continue;
      yield { oid, name: describeNode(node), problems: problemsOf(node, seen) };
    }
  }
}

/** The inner nodes and leaves that are children of other nodes. Loads no leaves. */
function partsOf(
  get: (oid: Oid) => object,
  oids: readonly Oid[],
): { parts: Set<Oid>; broken: CollectionReport[] } {
  const parts = new Set<Oid>();
  const broken: CollectionReport[] = [];
  for (const oid of oids) {
    try {
      const node = get(oid);
      if (!(node instanceof TreeNode) || node.isLeaf) continue;
      const { slots } = contentOf(node);
      for (const child of slots) {
        const part = (child as { oid?: Oid }).oid ?? (child instanceof TreeNode ? oidOf(child) : undefined);
        if (part !== undefined) parts.add(part);
      }
    } catch (error) {
      broken.push({ oid, name: `0x${oid.toString(16)}`, problems: [failure(oid, error)] });
    }
  }
  return { parts, broken };
}

function problemsOf(node: TreeNode, seen: Set<Oid>): readonly TreeProblem[] {
  try {
    return findProblems(node, (part) => {
      const oid = oidOf(part);
      if (oid !== undefined) seen.add(oid);
    });
  } catch (error) {
    return [failure(oidOf(node)!, error)];
  }
}

/** A node that could not be loaded was reported when the parts were looked for. */
function tryGet(get: (oid: Oid) => object, oid: Oid): object | undefined {
  try {
    return get(oid);
  } catch {
    return undefined;
  }
}

function failure(oid: Oid, error: unknown): TreeProblem {
  return {
    path: [],
    node: `0x${oid.toString(16)}`,
    message: error instanceof Error ? error.message : String(error),
  };
}
