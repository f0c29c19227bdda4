/** `zodb/btrees`: ordered persistent collections, as Python's BTrees. */
import './register';
export * from './families';
export { BTree, Bucket, Family, LeafSet, TreeSet } from './family';
export { Collection } from './collection';
export { Mapping, type KeySource } from './mapping';
export { KeySet } from './key-set';
export { check, findProblems, TreeProblemsError, type TreeProblem } from './check';
export { checkAll, isNodeClass, type CollectionReport } from './check-all';
export { Length } from './length';
export { display, type DisplayOptions } from './display';
export {
  difference,
  intersection,
  multiunion,
  union,
  weightedIntersection,
  weightedUnion,
  type Operand,
} from './operations';
export type { Comparable } from './key-order';
export type { RangeOptions } from './positions';
export { View, type RangeQuery } from './view';
export {
  BTreesConflictError,
  ChangedDuringIterationError,
  conflictReasons,
  DamagedTreeError,
  InvalidKeyError,
  InvalidValueError,
  type ConflictPositions,
} from './errors';
