/**
 * A plain value belongs to one persistent object: what is stored under two comes back as two, so the second owner gets a copy of its own when it is saved.
 */
import { anchored } from './anchor';
import { cloneValue } from './cloning';
import { INSIDE, watchedValues } from './exposure';
import { rewrite } from './rewriting';
import { checkNotStale, staleReason } from './sealing';
import { Status, type ObjectRecord } from './stamp';
import { Kind, kindOf, walkContainers } from './values';

/** So many tables there are at most; a new value is looked for in all of them when it is saved. */
const MOST_TABLES = 8;

/**
 * Whose plain values are, as far as the objects of one cache go. In a table for all, the entries of each cache that is gone would remain until V8 goes through the whole of it to make room, in
 * the middle of some read. Only when there are many caches, some share a table.
 */
export class Owners {
  readonly table = new WeakMap<object, ObjectRecord>();
  /** So many caches use it. */
  users = 1;
}

const all = anchored('owners', (): Owners[] => []);

/** For a cache. */
export function openOwners(): Owners {
  let owners = all[MOST_TABLES - 1];
  if (owners === undefined) all.push((owners = new Owners()));
  else owners.users += 1;
  return owners;
}

/** A cache let go of its objects: they are ordinary ones, and own nothing. */
export function closeOwners(owners: Owners): void {
  owners.users -= 1;
  if (owners.users === 0) all.splice(all.indexOf(owners), 1);
}

/** Whose a value is, be it another cache's. */
export function ownerOf(value: object, { table }: Owners): ObjectRecord | undefined {
  const owner = table.get(value);
  if (owner !== undefined) return owner;
  for (const other of all) {
    const found = other.table.get(value);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Gives a value that another object owned to this one. */
function takeOver(value: object, record: ObjectRecord, { table }: Owners): void {
  for (const other of all) other.table.delete(value);
  table.set(value, record);
}

/**
 * What is to stand in a field instead of `root`: itself, when everything in it is or becomes the object's own; foreign and stale parts are replaced by copies.
 * @param copies of parts of other values of the object, by what they are copies of: what stands in several of them stays one
 * @throws StaleValueError for a part that an abort or invalidation made stale
 */
export function claim(
  root: object,
  record: ObjectRecord,
  where: () => string,
  copies: Map<object, object>,
): object {
  const { owners } = record.cache!.exposures;
  let foreign = false;
  let held: Map<ObjectRecord, ReadonlySet<object>> | undefined;
  walkContainers(root, (value) => {
    if (staleReason(value) !== undefined) {
      checkNotStale(value, where());
      foreign = true;
      return;
    }
    const owner = ownerOf(value, owners);
    if (owner === record) return;
    if (owner === undefined) owners.table.set(value, record);
    // An object without a connection is an ordinary one.
    else if (owner.cache === undefined) takeOver(value, record, owners);
    else if (heldBy(owner, (held ??= new Map())).has(value)) foreign = true;
    else takeOver(value, record, owners);
  });
  if (!foreign) return root;
  const claimed = rewrite(root, (value) => {
    if (kindOf(value) > Kind.instance) return value;
    const isForeign = staleReason(value) !== undefined || owners.table.get(value) !== record;
    return isForeign ? cloneValue(value, copies) : value;
  });
  walkContainers(claimed, (value) => void owners.table.set(value, record));
  return claimed;
}

/** Asks of values in the state of an object whether they are another's that still holds them: they were put into this one, and not saved yet. */
export function heldByOthers(record: ObjectRecord, owners: Owners): (value: object) => boolean {
  let known: Map<ObjectRecord, ReadonlySet<object>> | undefined;
  return (value) => {
    const owner = ownerOf(value, owners);
    if (owner === undefined || owner === record || owner.cache === undefined) return false;
    return heldBy(owner, (known ??= new Map())).has(value);
  };
}

/** The plain values that still stand in the state of an object. */
function heldBy(owner: ObjectRecord, known: Map<ObjectRecord, ReadonlySet<object>>): ReadonlySet<object> {
  const found = known.get(owner);
  if (found !== undefined) return found;
  const held = new Set<object>();
  known.set(owner, held);
  if (owner.status === Status.ghost) return held;
  const state = owner.aside ?? owner.state;
  for (let slot = 1; slot < state.length; slot++) {
    const value = state[slot];
    if (typeof value === 'object' && value !== null) walkContainers(value, (inner) => void held.add(inner));
  }
  for (const { slot, source: value } of watchedValues(owner)) {
    if (slot === INSIDE) walkContainers(value, (inner) => void held.add(inner));
  }
  return held;
}
