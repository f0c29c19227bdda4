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

const owners = anchored('owners', () => new WeakMap<object, ObjectRecord>());

export function ownerOf(value: object): ObjectRecord | undefined {
  return owners.get(value);
}

export function setOwner(value: object, record: ObjectRecord): void {
  owners.set(value, record);
}

/**
 * What is to stand in a field instead of `root`: itself, when everything in it is or becomes the object's own; foreign and stale parts are replaced by copies.
 * @throws StaleValueError for a part that an abort or invalidation made stale
 */
export function claim(root: object, record: ObjectRecord, where: () => string): object {
  let foreign = false;
  let held: Map<ObjectRecord, ReadonlySet<object>> | undefined;
  walkContainers(root, (value) => {
    if (staleReason(value) !== undefined) {
      checkNotStale(value, where());
      foreign = true;
      return;
    }
    const owner = owners.get(value);
    if (owner === record) return;
    if (owner === undefined || !heldBy(owner, (held ??= new Map())).has(value)) owners.set(value, record);
    else foreign = true;
  });
  if (!foreign) return root;
  const claimed = rewrite(root, (value) => {
    if (kindOf(value) > Kind.instance) return value;
    return staleReason(value) !== undefined || owners.get(value) !== record ? cloneValue(value) : value;
  });
  walkContainers(claimed, (value) => void owners.set(value, record));
  return claimed;
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
