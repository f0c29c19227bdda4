/**
 * Set operations on collections of one family, merging sorted inputs in one pass (`BTrees/src/BTrees/SetOpTemplate.c`).
 * Where Python takes None for an argument, this takes `undefined` or `null`.
 */
import { InvalidArgumentError } from '../errors';
import type { Collection } from './collection';
import { Content } from './content';
import type { Family } from './family';
import type { KeyArray } from './key-search';
import { describeKey, describeType } from './key-order';
import { NO_KEY } from './key-kinds';
import { LeafWalk, walkAll } from './leaf-walk';
import { contentOf, emptyNode, TreeNode, type NodeClass } from './node';
import { areNumbers, KeyCollector } from './typed-keys';
import type { Arithmetic, ValueKind } from './value-kinds';

/** An argument of a set operation, before it is looked at. */
export type Operand = unknown;

/** The keys of `a`, `b` or both. */
export function union(family: Family, a: Operand, b: Operand): unknown {
  if (a == null || b == null) return a ?? b;
  return merge(family, keysOf(family, a), keysOf(family, b), { onlyA: true, both: true, onlyB: true });
}

/** The keys of `a` that are in `b` too. */
export function intersection(family: Family, a: Operand, b: Operand): unknown {
  if (a == null || b == null) return a ?? b;
  return merge(family, keysOf(family, a), keysOf(family, b), { onlyA: false, both: true, onlyB: false });
}

/** What of `a` is not in `b`: a Bucket when `a` has values, else a Set. */
export function difference(family: Family, a: Operand, b: Operand): unknown {
  if (a == null || b == null) return a;
  const from = collectionOf(family, a, true);
  return merge(family, from, keysOf(family, b), { onlyA: true, both: false, onlyB: false });
}

/** The keys of only one of both, as a collection of the kind of `a`. */
export function symmetricDifference(family: Family, a: TreeNode, b: Operand): unknown {
  const keys = merge(family, keysOf(family, a), keysOf(family, b), { onlyA: true, both: false, onlyB: true });
  if (a.isLeaf) return keys;
  const tree = new family.TreeSet() as unknown as { update(keys: Iterable<unknown>): number };
  tree.update(keys as unknown as Iterable<unknown>);
  return tree;
}

/** The keys of an operand as a Set of its own. */
export function asSet(family: Family, a: Operand): unknown {
  return merge(family, keysOf(family, a), keysOf(family, []), { onlyA: true, both: true, onlyB: true });
}

/**
 * The union with values added up, each times its weight; a set's values count as 1. The first of the result is the weight it
 * should have in turn.
 */
export function weightedUnion(
  family: Family,
  a: Operand,
  b: Operand,
  weightA: unknown = 1,
  weightB: unknown = 1,
): [weight: unknown, result: unknown] {
  const weights = weightsOf(family, weightA, weightB);
  if (a == null || b == null) return only(family, a, b, weights);
  const [first, second] = [collectionOf(family, a, true), collectionOf(family, b, true)];
  return [1, merge(family, first, second, { onlyA: true, both: true, onlyB: true, weights })];
}

/** As {@link weightedUnion}, for the keys that both have. */
export function weightedIntersection(
  family: Family,
  a: Operand,
  b: Operand,
  weightA: unknown = 1,
  weightB: unknown = 1,
): [weight: unknown, result: unknown] {
  const weights = weightsOf(family, weightA, weightB);
  if (a == null || b == null) return only(family, a, b, weights);
  const [first, second] = [collectionOf(family, a, true), collectionOf(family, b, true)];
  const valued = first.values !== undefined || second.values !== undefined;
  const result = merge(family, first, second, { onlyA: false, both: true, onlyB: false, weights });
  return [valued ? 1 : arithmeticOf(family).plus(weights.a, weights.b), result];
}

/** The keys of many collections, iterables and single keys. Families of integer keys only. */
export function multiunion(family: Family, operands: Iterable<Operand>): unknown {
  if (!integerKeyed(family)) {
    throw new InvalidArgumentError(`multiunion() is for integer keys; ${family.name} has others.`);
  }
  const collector = collectorOf(family);
  const all: unknown[] = [];
  for (const operand of operands) {
    const source = keysOf(family, operand);
    collector?.append(source);
    takeRest(source, all);
  }
  if (collector !== undefined && all.length === 0) {
    collector.sort();
    return setOf(family, collector.finish(), collector.length);
  }
  if (collector !== undefined) for (const key of collector.taken()) all.push(key);
  const keys = sortedKeys(family, all);
  return setOf(family, packed(family, keys), keys.length);
}

interface Weights {
  readonly a: unknown;
  readonly b: unknown;
}

interface Rule {
  readonly onlyA: boolean;
  readonly both: boolean;
  readonly onlyB: boolean;
  readonly weights?: Weights;
}

/** One sorted input, leaf by leaf. Its fields are read in tight loops. */
class Source {
  keys: KeyArray = [];
  values: readonly unknown[] | undefined;
  at = 0;
  end = 0;
  readonly #walk: LeafWalk | undefined;
  /** Whether values are handed out by their leaves, which follow and watch them. */
  readonly #isHandedOut: boolean;

  constructor(walk: LeafWalk | undefined, keys: KeyArray, length: number, values: ValueKind | undefined) {
    this.#walk = walk;
    this.#isHandedOut = values?.letter === 'O';
    this.keys = keys;
    this.end = length;
    this.values = values === undefined ? undefined : [];
    if (walk !== undefined) this.#read(walk);
  }

  get live(): boolean {
    return this.at < this.end;
  }

  get key(): unknown {
    return this.keys[this.at];
  }

  /** The value; 1 for what has none. */
  get value(): unknown {
    if (this.values === undefined) return 1;
    if (!this.#isHandedOut) return this.values[this.at];
    const leaf = this.#walk!.leaf!;
    return leaf.value(contentOf(leaf), this.at);
  }

  advance(): void {
    this.moveTo(this.at + 1);
  }

  /** On to an item of this leaf, or to the next leaf. */
  moveTo(at: number): void {
    this.at = at;
    const walk = this.#walk;
    if (at < this.end || walk === undefined) return;
    walk.advance();
    this.#read(walk);
  }

  #read(walk: LeafWalk): void {
    while (walk.content !== undefined && walk.from >= walk.to) walk.advance();
    this.at = walk.from;
    this.end = walk.to;
    if (walk.content === undefined) return;
    this.keys = walk.content.keys;
    if (this.values === undefined) return;
    this.values = walk.content.slots;
    if (this.#isHandedOut) walk.leaf!.valuesAhead(walk.content, this.at, this.end);
  }
}

/** Collects keys and values of a result. */
class Result {
  readonly #keys: unknown[] = [];
  readonly #values: unknown[] = [];
  readonly #family: Family;

  constructor(family: Family) {
    this.#family = family;
  }

  /** Adds the item where `source` stands. */
  take(source: Source, arithmetic: Arithmetic | undefined, weight: unknown): void {
    this.#keys.push(source.key);
    const { value } = source;
    this.#values.push(arithmetic === undefined ? value : arithmetic.times(value, weight));
  }

  takeBoth(a: Source, b: Source, arithmetic: Arithmetic | undefined, weights: Weights): void {
    this.#keys.push(a.key);
    this.#values.push(
      arithmetic === undefined
        ? a.value
        : arithmetic.plus(arithmetic.times(a.value, weights.a), arithmetic.times(b.value, weights.b)),
    );
  }

  finish(): TreeNode {
    const keys = packed(this.#family, this.#keys);
    return leafOf(this.#family.Bucket as unknown as NodeClass, keys, this.#values, this.#values.length);
  }
}

const PLAIN: Weights = { a: 1, b: 1 };

function merge(family: Family, a: Source, b: Source, rule: Rule): TreeNode {
  const { compare } = family.keyKind;
  const { onlyA, both, onlyB, weights } = rule;
  const arithmetic = weights === undefined ? undefined : family.valueKind.arithmetic;
  const factor = weights ?? PLAIN;
  if (a.values === undefined && (weights === undefined || b.values === undefined)) {
    return mergeKeys(family, a, b, rule);
  }
  const result = new Result(family);
  while (a.at < a.end && b.at < b.end) {
    const order = compare(a.keys[a.at], b.keys[b.at]);
    if (order < 0) {
      if (onlyA) result.take(a, arithmetic, factor.a);
      a.advance();
    } else if (order > 0) {
      if (onlyB) result.take(b, arithmetic, factor.b);
      b.advance();
    } else {
      if (both) result.takeBoth(a, b, arithmetic, factor);
      a.advance();
      b.advance();
    }
  }
  if (onlyA) for (; a.live; a.advance()) result.take(a, arithmetic, factor.a);
  if (onlyB) for (; b.live; b.advance()) result.take(b, arithmetic, factor.b);
  return result.finish();
}

/** {@link merge} of keys alone: typed arrays as long as both sides have one kind, the general way from there on. */
function mergeKeys(family: Family, a: Source, b: Source, rule: Rule): TreeNode {
  const { onlyA, both, onlyB } = rule;
  const collector = collectorOf(family);
  const keys: unknown[] = [];
  if (collector !== undefined) {
    collector.merge(a, b, { onlyA: Number(onlyA), both: Number(both), onlyB: Number(onlyB) });
    if (onlyA && !b.live) collector.append(a);
    if (onlyB && !a.live) collector.append(b);
    if (!(a.live && (b.live || onlyA)) && !(b.live && (a.live || onlyB))) {
      return setOf(family, collector.finish(), collector.length);
    }
    for (const key of collector.taken()) keys.push(key);
  }
  const { compare } = family.keyKind;
  while (a.at < a.end && b.at < b.end) {
    const { keys: from, end } = a;
    const { keys: other, end: otherEnd } = b;
    let i = a.at;
    let j = b.at;
    while (i < end && j < otherEnd) {
      const order = compare(from[i], other[j]);
      if (order < 0 ? onlyA : order > 0 ? onlyB : both) keys.push(order > 0 ? other[j] : from[i]);
      if (order <= 0) i += 1;
      if (order >= 0) j += 1;
    }
    a.moveTo(i);
    b.moveTo(j);
  }
  if (onlyA) takeRest(a, keys);
  if (onlyB) takeRest(b, keys);
  return setOf(family, packed(family, keys), keys.length);
}

/** For families whose keys are kept in typed arrays. */
function collectorOf({ keyKind }: Family): KeyCollector | undefined {
  const kind = keyKind.arrays.create(0);
  return areNumbers(kind) ? new KeyCollector(kind) : undefined;
}

function takeRest(source: Source, keys: unknown[]): void {
  while (source.at < source.end) {
    const { keys: from, at, end } = source;
    for (let i = at; i < end; i++) keys.push(from[i]);
    source.moveTo(end);
  }
}

function setOf(family: Family, keys: KeyArray, length: number): TreeNode {
  return leafOf(family.Set as unknown as NodeClass, keys, [], length);
}

function leafOf(nodeClass: NodeClass, keys: KeyArray, values: unknown[], length: number): TreeNode {
  const leaf = emptyNode(nodeClass);
  leaf.content = new Content(true, keys, values, length, undefined);
  return leaf;
}

/** Keys in the kind of array that the family keeps them in. */
function packed({ keyKind }: Family, keys: unknown[]): KeyArray {
  let target = keyKind.arrays.create(keys.length);
  if (Array.isArray(target)) return keys;
  keys.forEach((key, i) => (target = keyKind.arrays.put(target, i, i, key)));
  return target;
}

function integerKeyed({ keyKind }: Family): boolean {
  return keyKind.letter !== 'O' && keyKind.letter !== 'f';
}

/** The keys of a collection, iterable or single integer key. */
function keysOf(family: Family, operand: Operand): Source {
  if (operand instanceof TreeNode && operand.family === family) return collectionOf(family, operand, false);
  if (operand instanceof TreeNode) return keysOf(family, (operand as Collection<unknown>).keys());
  const { keyKind } = family;
  if (keyKind.letter !== 'O') {
    const inner = keyKind.find(operand);
    if (inner !== NO_KEY) return sourceOf(family, [inner]);
  }
  if (typeof operand === 'object' && operand !== null && Symbol.iterator in operand) {
    const keys = Array.from(operand as Iterable<unknown>, (key) => keyKind.accept(key));
    return sourceOf(family, sortedKeys(family, keys));
  }
  if (typeof operand === 'string' && operand !== '') {
    // Python takes a string for an iterable of its characters.
    return sourceOf(
      family,
      sortedKeys(
        family,
        Array.from(operand, (key) => keyKind.accept(key)),
      ),
    );
  }
  throw new InvalidArgumentError(
    `A set operation takes collections of ${family.name} and iterables of keys, not ${describeKey(operand)}.`,
  );
}

function collectionOf(family: Family, operand: Operand, valued: boolean): Source {
  if (operand instanceof TreeNode && operand.family === family) {
    return new Source(walkAll(operand), [], 0, valued ? operand.valueKind : undefined);
  }
  const found = operand instanceof TreeNode ? `a ${operand.constructor.name}` : describeType(operand);
  throw new InvalidArgumentError(
    `This set operation takes collections of ${family.name} only, not ${found}.`,
  );
}

function sourceOf(family: Family, keys: unknown[]): Source {
  return new Source(undefined, packed(family, keys), keys.length, undefined);
}

/** In order, each once. */
function sortedKeys({ keyKind }: Family, keys: unknown[]): unknown[] {
  keys.sort(keyKind.compare);
  return keys.filter((key, i) => i === 0 || keyKind.compare(keys[i - 1], key) !== 0);
}

function arithmeticOf(family: Family): Arithmetic {
  const { arithmetic } = family.valueKind;
  if (arithmetic !== undefined) return arithmetic;
  throw new InvalidArgumentError(`Weighted set operations need number values; ${family.name} has others.`);
}

function weightsOf(family: Family, a: unknown, b: unknown): Weights {
  arithmeticOf(family);
  return { a: family.valueKind.accept(a), b: family.valueKind.accept(b) };
}

function only(family: Family, a: Operand, b: Operand, weights: Weights): [weight: unknown, result: unknown] {
  if (a == null && b == null) return [0, undefined];
  if (a == null) return [weights.b, b];
  collectionOf(family, a, false);
  return [weights.a, a];
}
