/** References inside plain values, followed all at once. */
import type { ObjectCacheImpl } from './cache';
import { isManaged } from './classes';
import { ForeignRef, Ref } from './ref';
import { refsIn, rewrite } from './rewriting';
import { Status, type ObjectRecord } from './stamp';
import { isContainer, Kind, kindOf } from './values';

/** A container with more references than this, read at once, is worth a word. */
const MANY_REFERENCES = 10_000;

/**
 * Puts the objects into the places of all references inside a plain value, loading them in one batch. Returns what is to stand for the value: itself, unless it is a tuple.
 * `holder` and `slot` say where it stands.
 */
export function followInside(
  cache: ObjectCacheImpl,
  record: ObjectRecord,
  value: object,
  holder: object,
  slot: number,
): object {
  const flat = refsOfArray(value);
  const refs = flat ?? refsIn(value);
  if (refs.length === 0) return value;
  if (refs.length > MANY_REFERENCES) {
    const field = record.state[0].model.nameOfSlot(slot);
    const where = `${holder.constructor.name}${field === undefined ? '' : `.${field}`}`;
    cache.jar.warn(
      `many-references:${where}`,
      `${where} holds ${String(refs.length)} references, which are all loaded when it is read. A large collection belongs in a BTree or a PersistentList.`,
    );
  }
  let targets: readonly object[];
  cache.pinned.push(record);
  try {
    targets = cache.followMany(refs, flat && holder, slot);
  } finally {
    cache.pinned.pop();
  }
  if (flat !== undefined) return replaceInArray(value as unknown[], targets);
  const objects = new Map<object, object>();
  targets.forEach((target, i) => objects.set(refs[i]!, target));
  return rewrite(value, (item) => objects.get(item) ?? item);
}

/** The references in an array that holds no other containers, in order: the most frequent case by far. */
function refsOfArray(value: object): (Ref | ForeignRef)[] | undefined {
  if (!Array.isArray(value) || Object.isFrozen(value)) return undefined;
  const refs: (Ref | ForeignRef)[] = [];
  for (const item of value as unknown[]) {
    if (typeof item !== 'object' || item === null) continue;
    if (item instanceof Ref || item instanceof ForeignRef) refs.push(item);
    else if (kindOf(item) <= Kind.instance) return undefined;
  }
  return refs;
}

/** Puts the targets of the references in an array into their places. */
function replaceInArray(array: unknown[], targets: readonly object[]): unknown[] {
  let next = 0;
  for (let i = 0; i < array.length; i++) {
    const item = array[i];
    if (item instanceof Ref || item instanceof ForeignRef) array[i] = targets[next++];
  }
  return array;
}

/** Loads what an object would miss without its cache, which it is about to lose. */
export function complete(cache: ObjectCacheImpl, object: object, record: ObjectRecord): void {
  try {
    if (record.status >= Status.probation) cache.activate(object, record);
    if (!isManaged(object)) followAll(cache, object, record);
  } catch {
    // It was written to a savepoint that is gone; what remains is an object without fields.
  }
}

function followAll(cache: ObjectCacheImpl, object: object, record: ObjectRecord): void {
  const state = record.state;
  for (let slot = 1; slot < state.length; slot++) {
    const value = state[slot];
    if (value instanceof Ref || value instanceof ForeignRef) state[slot] = cache.follow(value);
    else if (typeof value === 'object' && value !== null && isContainer(kindOf(value))) {
      state[slot] = followInside(cache, record, value, object, slot);
    }
  }
}
