import { ConflictError, CorruptionError, ZodbError, type ZodbErrorOptions } from '../errors';

/** A key can't be used in a collection: wrong type, out of range, or without a total order. Nothing was changed. */
export class InvalidKeyError extends ZodbError {
  readonly key: unknown;

  constructor(key: unknown, message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'INVALID_KEY', ...options });
    this.key = key;
  }
}

/** A value does not fit the value type of a collection. Nothing was changed. */
export class InvalidValueError extends ZodbError {
  readonly value: unknown;

  constructor(value: unknown, message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'INVALID_VALUE', ...options });
    this.value = value;
  }
}

/** A collection was changed in the very leaf where an iteration stood. Start the iteration again. */
export class ChangedDuringIterationError extends ZodbError {
  constructor(
    message = 'The collection was changed while it was iterated. Collect the keys first ([...tree.keys()]), then change it.',
  ) {
    super(message, { code: 'CHANGED_DURING_ITERATION' });
  }
}

/** A stored node has a state that no collection writes, or a tree's nodes contradict each other. */
export class DamagedTreeError extends CorruptionError {
  constructor(message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'DAMAGED_TREE', ...options });
  }
}

/** The position of the current item in the three states: from 1, or -1 where it is used up or does not matter. */
export type ConflictPositions = readonly [old: number, committed: number, mine: number];

/** Why two changes of one node can't be merged. The index is the code that Python uses too. */
export const conflictReasons = [
  'Conflicting bucket split',
  'Conflicting changes',
  'Conflicting delete and change',
  'Conflicting delete and change',
  'Conflicting inserts or deletes',
  'Conflicting deletes',
  'Conflicting inserts',
  'Conflicting deletes, or delete and change',
  'Conflicting deletes, or delete and change',
  'Conflicting deletes',
  'Empty bucket from deleting all keys',
  'Conflicting changes in an internal BTree node',
  'Empty bucket in a transaction',
  'Delete of first key',
] as const;

/**
 * Two transactions changed the same node in ways that can't be merged. Run the transaction again.
 * Reasons and positions are those of `BTrees/src/BTrees/MergeTemplate.c`.
 */
export class BTreesConflictError extends ConflictError {
  readonly positions: ConflictPositions;
  /** Index into {@link conflictReasons}. */
  readonly reason: number;

  constructor(positions: ConflictPositions, reason: number) {
    super(`BTrees conflict error at ${positions.join('/')}: ${conflictReasons[reason]}`, {
      code: 'BTREES_CONFLICT',
    });
    this.positions = positions;
    this.reason = reason;
  }
}
