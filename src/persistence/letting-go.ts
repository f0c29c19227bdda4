/**
 * An object that is to be watched no longer. Its values may be out, so they are sealed, and the object needs others. Dropping its state would do that, at the cost of loading it again;
 * an object of flat values, and a collection of what is easily copied, get copies instead, and stay.
 */
import { types } from 'node:util';
import { House, type ClassModel } from './class-model';
import { houseOf, isManaged } from './classes';
import { cloneValue } from './cloning';
import { INSIDE, isFlat, isFlatList, type Note } from './exposure';
import type { Managed } from './managed';
import { seal, sealFlat, type Unsealable } from './sealing';
import type { ObjectRecord } from './stamp';
import { isContainer, Kind, kindOf, childrenOf } from './values';

/** In collections of more values it is not looked for those that are watched: a list may have millions. */
const MOST_HELD = 256;

/** Nothing of what is replaced here. */
const NONE_UNSEALABLE: Unsealable = { scalar: () => undefined, proxy: () => undefined };

/** Gives an object copies of the values that are watched, seals these, and ends the watch. False, and nothing was done, when not all can be copied, or aliases between its values would get lost. */
export function replaceWatched(object: object, record: ObjectRecord): boolean {
  // A collection's class is not looked at before it is needed.
  const model = record.state[0].model as ClassModel | undefined;
  const isReplaced =
    model !== undefined && houseOf(model) === House.fields
      ? replaceInFields(record)
      : isManaged(object) && replaceInside(object, record);
  if (isReplaced) record.watch = undefined;
  return isReplaced;
}

function replaceInFields(record: ObjectRecord): boolean {
  const { state } = record;
  let plain = 0;
  for (let slot = 1; slot < state.length; slot++) if (isPlain(state[slot])) plain += 1;
  // When all are watched and flat, none is inside another; that none stands twice is left to see.
  for (let note = record.watch; note !== undefined; note = note.next) {
    if (!isFlat(note) || state[note.slot] !== note.source || standsTwice(note)) return false;
    if (!isFlatList(note) && types.isProxy(note.source)) return false;
    plain -= 1;
  }
  if (plain !== 0) return false;
  for (let note = record.watch; note !== undefined; note = note.next) {
    state[note.slot] = copyFlat(note);
    sealFlat(note.source);
  }
  return true;
}

function replaceInside(collection: Managed, record: ObjectRecord): boolean {
  // Each container of the watched values, and whether it is such a value itself.
  const containers = new Map<object, boolean>();
  let left = 0;
  for (let note = record.watch; note !== undefined; note = note.next, left++) {
    if (note.slot !== INSIDE) return false;
    for (let at: Note | undefined = note; at !== undefined; at = at.inner) {
      if (containers.has(at.source) || !isCopied(at)) return false;
      containers.set(at.source, at === note);
    }
  }
  let held = 0;
  for (const value of collection.heldValues() ?? []) {
    if (++held > MOST_HELD) return false;
    if (!isPlain(value)) continue;
    const isWatched = containers.get(value);
    // Another one may hold the same as a watched one, when it holds anything.
    if (isWatched === undefined ? holdsPlain(value) : !isWatched) return false;
    if (isWatched === true) left -= 1;
  }
  if (left !== 0) return false;
  for (let note = record.watch; note !== undefined; note = note.next) {
    const { source } = note;
    collection.replaceValue(source, isFlat(note) ? copyFlat(note) : cloneValue(source));
    if (isFlat(note)) sealFlat(source);
    else seal(source, 'eviction', NONE_UNSEALABLE);
  }
  return true;
}

function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && kindOf(value) <= Kind.instance;
}

/** Whether there are plain values in a value that may be watched or not. */
function holdsPlain(value: object): boolean {
  const kind = kindOf(value);
  return isContainer(kind) && childrenOf(value, kind).some(isPlain);
}

/** Whether a copy is as good as the original to whoever gets it next. Instances may have what no copy has. */
function isCopied({ kind, source }: Note): boolean {
  return (kind <= Kind.object || types.isDate(source)) && !types.isProxy(source);
}

function standsTwice(note: Note): boolean {
  for (let other = note.next; other !== undefined; other = other.next)
    if (other.source === note.source) return true;
  return false;
}

/** For an array of objects, the note has a copy already, and needs it no more; any other may have holes, for which a note has marks. */
function copyFlat(note: Note): object {
  const { source, kind, items } = note;
  if (kind === Kind.array) return isFlatList(note) ? (items as unknown[]) : (source as unknown[]).slice();
  return Object.getPrototypeOf(source) === Object.prototype ? { ...source } : cloneValue(source);
}
