/**
 * An object that is to be watched no longer. Its values may be out, so they are sealed, and the object needs others. Dropping its state would do that, at the cost of loading it again;
 * an object of flat values gets copies instead, and stays.
 */
import { types } from 'node:util';
import { cloneValue } from './cloning';
import { isFlat, isFlatList, type Note } from './exposure';
import { retire, seal, type Unsealable } from './sealing';
import type { ObjectRecord, State } from './stamp';
import { Kind, kindOf } from './values';

/** Gives an object with tracked fields copies of the values that are watched, and seals these. False, and nothing was done, when aliases between its values would get lost. */
export function replaceWatched(record: ObjectRecord): boolean {
  const { state } = record;
  const first = record.watch!;
  if (isFlatList(first) && first.next === undefined && isOnlyValue(first, state)) {
    state[first.slot] = first.items;
    retire(first.source);
    return true;
  }
  let plain = 0;
  for (let slot = 1; slot < state.length; slot++) {
    const value = state[slot];
    if (typeof value === 'object' && value !== null && kindOf(value) <= Kind.instance) plain += 1;
  }
  // When all are watched and flat, none is inside another; that none stands twice is left to see.
  for (let note = record.watch; note !== undefined; note = note.next) {
    if (!isFlat(note) || state[note.slot] !== note.source || standsTwice(note)) return false;
    if (types.isProxy(note.source)) return false;
    plain -= 1;
  }
  if (plain !== 0) return false;
  for (let note = record.watch; note !== undefined; note = note.next) {
    state[note.slot] = cloneFlat(note);
    seal(note.source, 'eviction', NOTHING_ELSE);
  }
  return true;
}

/** Whether the value of a note stands where it says, and no other plain value in the state. */
function isOnlyValue({ slot, source }: Note, state: State): boolean {
  for (let i = 1; i < state.length; i++) {
    const value = state[i];
    if (typeof value !== 'object' || value === null) continue;
    if (i === slot ? value !== source : kindOf(value) <= Kind.instance) return false;
  }
  return true;
}

function standsTwice(note: Note): boolean {
  for (let other = note.next; other !== undefined; other = other.next)
    if (other.source === note.source) return true;
  return false;
}

/** For an array, the note has a copy already, and needs it no more. */
function cloneFlat({ source, kind, items }: Note): object {
  return kind === Kind.array ? (items as unknown[]) : cloneValue(source);
}

/** Flat arrays and plain objects can all be sealed. */
const NOTHING_ELSE: Unsealable = {
  bytes: (): void => undefined,
  proxy: (): void => undefined,
};
