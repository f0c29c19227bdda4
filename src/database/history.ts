import { InvalidArgumentError } from '../errors';
import { dateOfTid, type Oid, type Tid } from '../ids';
import { requireCapability, type Storage } from '../storage/index';
import { differingFields } from './conflict-details';

/** One revision of an object. */
export interface Revision {
  readonly tid: Tid;
  readonly time: Date;
  readonly user: string;
  readonly description: string;
  readonly extension: Readonly<Record<string, unknown>>;
  /** Size of the record in bytes; 0 where the object was deleted. */
  readonly size: number;
  /** Fields that differ from the revision before; all of its fields for the first; empty for states without fields. */
  readonly changed: readonly string[];
}

/** The newest `size` revisions of an object, newest first. */
export function revisionsOf(storage: Storage, oid: Oid, size: number): Revision[] {
  requireCapability(storage, 'history');
  if (!Number.isInteger(size) || size < 1) {
    throw new InvalidArgumentError(`size must be a positive integer, not ${size}.`);
  }
  // One more than asked for, to compare the oldest one with.
  const entries = storage.history!(oid, size + 1);
  return entries.slice(0, size).map(({ tid, meta, size: bytes }, index) => {
    const { user, description, extension } = meta;
    const changed = changedFields(storage, oid, tid, entries[index + 1]?.tid);
    return { tid, time: dateOfTid(tid), user, description, extension, size: bytes, changed };
  });
}

function changedFields(storage: Storage, oid: Oid, tid: Tid, previous: Tid | undefined): string[] {
  const now = revision(storage, oid, tid);
  const before = previous === undefined ? undefined : revision(storage, oid, previous);
  return now ? differingFields(now, before) : [];
}

function revision(storage: Storage, oid: Oid, tid: Tid): Uint8Array | undefined {
  try {
    return storage.loadSerial(oid, tid).data;
  } catch {
    return undefined; // deleted by that transaction, or packed away meanwhile
  }
}
