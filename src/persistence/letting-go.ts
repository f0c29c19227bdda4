/**
 * An object that is to be watched no longer. Its values may be out, so they are sealed, and the object needs others. Dropping its state would do that, at the cost of loading it again;
 * an object of flat values gets copies instead, and stays.
 */
import { types } from 'node:util';
import { cloneValue } from './cloning';
import { isFlat, type Note } from './exposure';
import { seal, type Unsealable } from './sealing';
import type { ObjectRecord } from './stamp';
import { Kind, kindOf } from './values';

/** Gives an object with tracked fields copies of the values that are watched, and seals these. False, and nothing was done, when aliases between its values would get lost. */
export function replaceWatched(record: ObjectRecord): boolean {
  const { state } = record;
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
