import { isDeepStrictEqual } from 'node:util';
import { ConflictError, ReadConflictError } from '../errors';
import type { Oid, Tid } from '../ids';
import { className, readStructure } from '../record/index';

interface Revisions {
  readonly storage: { loadSerial(oid: Oid, tid: Tid): { readonly data: Uint8Array } };
}

/** The same error, with the object's class and the names of the fields in which the two revisions differ. */
export function explainConflict(
  error: ConflictError,
  { storage }: Revisions,
  object?: { oid: Oid },
): ConflictError {
  const oid = error.oid ?? object?.oid;
  if (error.className !== undefined || oid === undefined || error.serials === undefined) return error;
  const [committedSerial, readSerial] = error.serials;
  const committed = dataOf(storage, oid, committedSerial);
  const read = dataOf(storage, oid, readSerial);
  const details = {
    oid,
    serials: error.serials,
    className: committed && className(committed),
    fields: committed && read && differingFields(committed, read),
  };
  return error instanceof ReadConflictError
    ? new ReadConflictError(undefined, details)
    : new ConflictError(undefined, details);
}

/**
 * Names of the top-level fields in which two revisions differ (`undefined`: no fields), of a PersistentMapping such as the root the
 * keys; empty when a state is no dict.
 */
export function differingFields(a: Uint8Array, b: Uint8Array | undefined): string[] {
  const left = fieldsOf(a);
  const right = b ? fieldsOf(b) : {};
  if (!left || !right) return [];
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...names].filter((name) => !isDeepStrictEqual(left[name], right[name]));
}

function fieldsOf(record: Uint8Array): Record<string, unknown> | undefined {
  const { cls, state } = readStructure(record);
  if (!isDict(state)) return undefined;
  if (!MAPPINGS.has(cls.toString())) return state;
  const { data } = state;
  if (data instanceof Map)
    return Object.fromEntries(Array.from(data, ([key, value]) => [String(key), value]));
  return isDict(data) ? data : state;
}

/** Exactly these: a subclass may have fields beside its entries. */
const MAPPINGS: ReadonlySet<string> = new Set([
  'persistent.mapping.PersistentMapping',
  'persistent.dict.PersistentDict',
]);

function isDict(state: unknown): state is Record<string, unknown> {
  return typeof state === 'object' && state !== null && !Array.isArray(state);
}

/** The data of a revision, if it is still there: explaining an error must not raise another. */
function dataOf(storage: Revisions['storage'], oid: Oid, tid: Tid): Uint8Array | undefined {
  try {
    return storage.loadSerial(oid, tid).data;
  } catch {
    return undefined;
  }
}
