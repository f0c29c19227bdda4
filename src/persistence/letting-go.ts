/**
 * An object that is to be watched no longer. Its values may be out, so they are sealed, and the object needs others. Dropping its state would do that, at the cost of loading it again;
 * an object of flat values gets copies instead, and stays.
 */
import { types } from 'node:util';
import { House, type ClassModel } from './class-model';
import { houseOf } from './classes';
import { cloneValue } from './cloning';
import { isFlat, isFlatList, type Note } from './exposure';
import { sealFlat } from './sealing';
import type { ObjectRecord } from './stamp';
import { Kind, kindOf } from './values';

/** Gives an object copies of the values that are watched, seals these, and ends the watch. False, and nothing was done, when it is a collection, or aliases between its values would get lost. */
export function replaceWatched(record: ObjectRecord): boolean {
  const { state } = record;
  // A collection's class is not looked at before it is needed.
  const model = state[0].model as ClassModel | undefined;
  if (model === undefined || houseOf(model) !== House.fields) return false;
  let plain = 0;
  for (let slot = 1; slot < state.length; slot++) {
    const value = state[slot];
    if (typeof value === 'object' && value !== null && kindOf(value) <= Kind.instance) plain += 1;
  }
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
  record.watch = undefined;
  return true;
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
