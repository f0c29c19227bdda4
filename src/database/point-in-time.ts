import { InvalidArgumentError, refuseUnknownOptions } from '../errors';
import { dateOfTid, formatTid, MAX_TID, ROOT_OID, tidFromTime, type Tid } from '../ids';
import { requireCapability, type Storage } from '../storage/index';
import type { TransactionManager } from '../transaction/index';

/** How a connection is opened. */
export interface OpenOptions {
  /** Whose transactions it takes part in. Default: the current async context's manager, else the process's. */
  readonly transactionManager?: TransactionManager;
  /** Shows the database as it was just before this moment or transaction; read-only. */
  readonly before?: Date | Tid;
  /** Shows the database as it was at this moment or right after this transaction; read-only. */
  readonly at?: Date | Tid;
}

const KNOWN = ['transactionManager', 'before', 'at'] satisfies (keyof OpenOptions)[];

/**
 * The tid before which a connection shall see; `undefined` for the present.
 * @throws InvalidArgumentError for both of `at` and `before`, for what is neither date nor tid, for the future, and for
 *   a time before the database was made
 */
export function pointInTime(storage: Storage, options: OpenOptions): Tid | undefined {
  refuseUnknownOptions('open()', options, KNOWN);
  const { at, before } = options;
  if (at === undefined && before === undefined) return undefined;
  if (at !== undefined && before !== undefined) {
    throw new InvalidArgumentError('Give either at or before, not both.');
  }
  const tid = at !== undefined ? ((tidOf(at, 'at') + 1n) as Tid) : tidOf(before!, 'before');
  if (tid > storage.lastTransaction() + 1n && tid > tidFromTime(Date.now()) + 1n) {
    throw new InvalidArgumentError(
      `A connection into the future can't be opened: ${formatTid(tid)} is after now (${new Date().toISOString()}).`,
    );
  }
  requireCapability(storage, 'history');
  if (storage.loadBefore(ROOT_OID, tid) === undefined) {
    throw new InvalidArgumentError(
      `The database has nothing from before ${formatTid(tid)} (${dateOfTid(tid).toISOString()}): it was made later.`,
    );
  }
  return tid;
}

function tidOf(value: Date | Tid, name: string): Tid {
  if (typeof value === 'bigint') {
    if (value >= 0n && value <= MAX_TID) return value;
  } else if (value instanceof Date && !Number.isNaN(value.getTime())) {
    return tidFromTime(value.getTime());
  }
  throw new InvalidArgumentError(
    `The option ${name} must be a Date or a tid (a bigint), not ${String(value)}.`,
  );
}
