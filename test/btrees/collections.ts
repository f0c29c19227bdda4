/** Collections without the types of their keys and values, for tests that run over all families. */
import { families, type Family, type Mapping, type KeySet } from '../../src/btrees/index';

/** The four kinds of collections. */
export type Kind = 'BTree' | 'Bucket' | 'TreeSet' | 'Set';

export type AnyMapping = Mapping<unknown, unknown>;
export type AnySet = KeySet<unknown>;
export type AnyCollection = AnyMapping | AnySet;
type Made = new (entries?: Iterable<unknown>) => AnyCollection;

/** A class of a family, with other node sizes if given. */
export function classOf(family: string, kind: Kind, leaf?: number, inner?: number): Made {
  const base = (families[family] as Family)[kind] as unknown as Made & {
    maxLeafSize: number;
    maxInternalSize: number;
  };
  if (leaf === undefined || inner === undefined) return base;
  const sized = class extends (base as unknown as new (entries?: Iterable<unknown>) => object) {
    static maxLeafSize = leaf;
    static maxInternalSize = inner;
  };
  Object.defineProperty(sized, 'name', { value: `${family}${kind}` });
  return sized as unknown as Made;
}

interface Inside {
  keys: ArrayLike<unknown>;
  slots: Node[];
  length: number;
  leaf: boolean;
}
interface Node {
  content: Inside | undefined;
  load(): Inside;
  child(content: Inside, index: number): Node;
  keyKind: { save(key: unknown): unknown };
  valueKind: { give(value: unknown): unknown } | undefined;
}

/** The nodes of a collection as fixtures write them: leaves `{ k, v }`, inner nodes `{ k: separators, c: children }`. */
export function structureOf(collection: object): unknown {
  const node = collection as Node;
  const content = node.content ?? node.load();
  const { length, leaf, slots } = content;
  const keys = Array.from({ length: leaf ? length : length - 1 }, (_, i) =>
    node.keyKind.save(content.keys[i]),
  );
  if (!leaf) {
    if (length === 0) return null;
    return { k: keys, c: Array.from({ length }, (_, i) => structureOf(node.child(content, i))) };
  }
  if (node.valueKind === undefined) return { k: keys };
  return { k: keys, v: slots.map((value) => node.valueKind!.give(value)) };
}
