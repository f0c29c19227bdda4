/**
 * Set operations by name, for arguments of which at least one is a collection: its family is that of the result.
 */
import { InvalidArgumentError } from '../errors';
import type { LeafSet } from './family';
import type { Family } from './family';
import { describeKey } from './key-order';
import type { Mapping } from './mapping';
import { TreeNode } from './node';
import * as operations from './set-operations';
import type { Collection } from './collection';

/** A collection, any iterable of keys, or a single integer key. */
export type Operand<K> = Collection<K> | Iterable<K> | K;
type Missing = null | undefined;

/** The keys of `a`, `b` or both, as a Set. With one of them missing, the other one itself. */
export function union<K>(a: Operand<K>, b: Operand<K>): LeafSet<K>;
export function union<A, B>(a: A | Missing, b: B | Missing): A | B;
export function union(a: unknown, b: unknown): unknown {
  return operations.union(familyOf(a, b), a, b);
}

/** The keys that both have, as a Set. With one of them missing, the other one itself. */
export function intersection<K>(a: Operand<K>, b: Operand<K>): LeafSet<K>;
export function intersection<A, B>(a: A | Missing, b: B | Missing): A | B;
export function intersection(a: unknown, b: unknown): unknown {
  return operations.intersection(familyOf(a, b), a, b);
}

/** What of `a` is not in `b`: a Bucket with its values when `a` is a mapping, else a Set. With one missing, `a` itself. */
export function difference<K, V>(a: Mapping<K, V>, b: Operand<K>): Mapping<K, V>;
export function difference<K>(a: Collection<K>, b: Operand<K>): LeafSet<K>;
export function difference<A>(a: A, b: Missing): A;
export function difference(a: unknown, b: unknown): unknown {
  return operations.difference(familyOf(a, b), a, b);
}

/**
 * The union, values times their weights added up; the values of a set count as 1. Answers the weight that the result should
 * have in a further such operation, and the result: a Set if neither has values, else a Bucket. Arithmetic is that of
 * the value type: integers wrap, F values are rounded.
 */
export function weightedUnion<K>(
  a: Collection<K> | Missing,
  b: Collection<K> | Missing,
  weightA?: number | bigint,
  weightB?: number | bigint,
): [weight: number | bigint, result: Collection<K>] {
  return operations.weightedUnion(familyOf(a, b), a, b, weightA, weightB) as [number, Collection<K>];
}

/** As {@link weightedUnion}, for the keys that both have. */
export function weightedIntersection<K>(
  a: Collection<K> | Missing,
  b: Collection<K> | Missing,
  weightA?: number | bigint,
  weightB?: number | bigint,
): [weight: number | bigint, result: Collection<K>] {
  return operations.weightedIntersection(familyOf(a, b), a, b, weightA, weightB) as [number, Collection<K>];
}

/** The keys of many collections, iterables and single keys, as a Set. For integer keys. */
export function multiunion<K>(operands: Iterable<Operand<K>>): LeafSet<K> {
  const all = [...operands];
  return operations.multiunion(familyOf(...all), all) as LeafSet<K>;
}

function familyOf(...operands: unknown[]): Family {
  for (const operand of operands) if (operand instanceof TreeNode) return operand.family;
  throw new InvalidArgumentError(
    `A set operation needs a BTree, Bucket, TreeSet or Set among its arguments to know what family the result has, not only ${operands.map(describeKey).join(', ')}.`,
  );
}
