/**
 * Changes inside plain values are found by comparison: when the program gets hold of an array, a Map, … of an object's state, a note is made of each container in it, and before
 * anything happens to the state the containers are compared with their notes. Containers inside are told apart by identity, so that a note is flat, and aliases need no care.
 */
import { types } from 'node:util';
import { keepSpecimen } from '../specimens';
import { stampOf, type ObjectRecord } from './stamp';
import { bytesOf, childrenOf, isContainer, Kind, kindOf, ownNames } from './values';

/** The slot of values inside managed collections: there may be many, told apart by identity. */
export const INSIDE = -1;

/** How a value is compared with its note. */
const Form = {
  /** an array, not frozen, of nothing but objects, compared by identity */
  objects: 0,
  /** any other array */
  array: 1,
  /** a plain object */
  object: 2,
  date: 3,
  url: 4,
  bytes: 5,
  /** Map, Set, instance */
  other: 6,
  /** a frozen array or plain object: it stays as it is */
  fixed: 7,
  /** of an object that is going to be saved: there is nothing to compare it with yet */
  none: 8,
} as const;
type Form = (typeof Form)[keyof typeof Form];

/** Stands for an element of an array that does not exist. */
const HOLE = Symbol('hole');

/**
 * What one container or scalar held. The notes of an object are a list of lists: the values that the program may hold ({@link next}), in each the containers in it
 * ({@link inner}). Thousands are gone through at each commit, so all are of one shape, and few steps apart.
 */
export class Note {
  /** The note of another value of the same object. */
  next: Note | undefined = undefined;
  /** The note of another container in the same value. */
  inner: Note | undefined = undefined;
  /** Where a copy of its items is (see list-copies.ts). */
  copy = -1;
  /** Where the value stands in the object's state. */
  readonly slot: number;
  readonly source: object;
  readonly kind: Kind;
  readonly form: Form;
  readonly frozen: boolean;
  /** What is directly inside; keys and values in turn for Maps. */
  readonly items: readonly unknown[];
  /** Names of own properties, for objects and instances (and Maps and Sets of subclasses). */
  readonly keys: readonly string[] | undefined;
  /** A date's time, a copy of bytes, a URL's text. */
  readonly scalar: number | string | Uint8Array | undefined;

  constructor(
    slot: number,
    source: object,
    kind: Kind,
    form: Form,
    frozen: boolean,
    items: readonly unknown[],
    keys: readonly string[] | undefined,
    scalar: number | string | Uint8Array | undefined,
  ) {
    this.slot = slot;
    this.source = source;
    this.kind = kind;
    this.form = form;
    this.frozen = frozen;
    this.items = items;
    this.keys = keys;
    this.scalar = scalar;
  }
}

// Both set anew once, as they will be: see stamp.ts.
const specimen = keepSpecimen(new Note(0, {}, Kind.opaque, Form.none, false, [], undefined, undefined));
specimen.next = new Note(0, {}, Kind.opaque, Form.none, false, [], undefined, undefined);
specimen.copy = 1;

/**
 * Notes what a plain value holds, each container and scalar in it; `undefined` when a reference is among them that must be followed first.
 */
export function noteOf(slot: number, root: object): Note | undefined {
  const kind = kindOf(root);
  // Before the note is made: it would be for nothing.
  const nested = nestedIn(contents(root, kind));
  if (nested === Nested.refs) return undefined;
  const head = shallow(slot, root, kind);
  return nested === Nested.none || noteInner(head) ? head : undefined;
}

/** Of one container alone, whatever is in it. */
export function shallowNoteOf(value: object): Note {
  return shallow(0, value, kindOf(value));
}

/** For a value whose object is going to be saved. */
export function emptyNote(slot: number, value: object): Note {
  return new Note(slot, value, Kind.opaque, Form.none, false, NOTHING, undefined, undefined);
}

/** The values of an object that are watched: their notes may be replaced meanwhile. */
export function watchedValues(record: ObjectRecord): Note[] {
  const notes: Note[] = [];
  for (let note = record.watch; note !== undefined; note = note.next) notes.push(note);
  return notes;
}

/** Whether a note is of an array or plain object that is not frozen and holds no other plain values. */
export function isFlat({ form, inner }: Note): boolean {
  return form <= Form.object && inner === undefined;
}

/** As {@link isFlat}, for an array of nothing but persistent objects, by far the most frequent case. */
export function isFlatList({ form, inner }: Note): boolean {
  return form === Form.objects && inner === undefined;
}

/** Whether everything in a value is as it was noted: contents, order, identities, holes, frozenness. */
export function isAsNoted(note: Note): boolean {
  for (let at: Note | undefined = note; at !== undefined; at = at.inner) if (!isSame(at)) return false;
  return true;
}

/** Whether all that is watched of an object is as it was noted. */
export function isClean(record: ObjectRecord): boolean {
  for (let note = record.watch; note !== undefined; note = note.next)
    for (let at: Note | undefined = note; at !== undefined; at = at.inner) if (!isSame(at)) return false;
  return true;
}

/** What stands among the items of a container. */
const Nested = { none: 0, containers: 1, refs: 2 } as const;

function nestedIn(items: readonly unknown[]): (typeof Nested)[keyof typeof Nested] {
  let nested: typeof Nested.none | typeof Nested.containers = Nested.none;
  for (const item of items) {
    if (typeof item !== 'object' || item === null || stampOf(item) !== undefined) continue;
    const kind = kindOf(item);
    if (kind === Kind.ref) return Nested.refs;
    if (kind <= Kind.instance) nested = Nested.containers;
  }
  return nested;
}

/** Notes the containers inside, each once. False when there is a reference among them. */
function noteInner(head: Note): boolean {
  const seen = new Set<object>([head.source]);
  let last = head;
  for (let note: Note | undefined = head; note !== undefined; note = note.inner) {
    for (const item of note.items) {
      if (typeof item !== 'object' || item === null) continue;
      const kind = kindOf(item);
      if (kind === Kind.ref) return false;
      if (kind > Kind.instance || seen.has(item)) continue;
      seen.add(item);
      last = last.inner = shallow(head.slot, item, kind);
    }
  }
  return true;
}

function shallow(slot: number, value: object, kind: Kind): Note {
  const frozen = Object.isFrozen(value);
  const items = contents(value, kind).slice();
  const form = formOf(value, kind, frozen, items);
  const keys =
    kind === Kind.object || kind === Kind.instance || hasOwnBesides(value, kind)
      ? ownNames(value)
      : undefined;
  return new Note(slot, value, kind, form, frozen, items, keys, scalarOf(value, form));
}

function formOf(value: object, kind: Kind, frozen: boolean, items: readonly unknown[]): Form {
  switch (kind) {
    case Kind.array:
      if (frozen) return Form.fixed;
      return holdsOnlyObjects(items) && !types.isProxy(value) ? Form.objects : Form.array;
    case Kind.object:
      return frozen ? Form.fixed : Form.object;
    case Kind.scalar:
      return types.isDate(value) ? Form.date : value instanceof URL ? Form.url : Form.bytes;
    default:
      return Form.other;
  }
}

function holdsOnlyObjects(items: readonly unknown[]): boolean {
  for (const item of items) if (typeof item !== 'object' || item === null) return false;
  return true;
}

function isSame(note: Note): boolean {
  const { source, form } = note;
  if (form === Form.objects) return isSameList(source as object[], note.items, 0, note.items.length);
  if (form >= Form.fixed) return true;
  if (Object.isFrozen(source) !== note.frozen) return false;
  switch (form) {
    case Form.array:
      return sameArray(source as unknown[], note.items);
    case Form.object:
      return sameObject(source as Record<string, unknown>, note.keys!, note.items);
    case Form.date:
      return Object.is(Date.prototype.getTime.call(source), note.scalar);
    case Form.url:
      return (source as URL).href === note.scalar;
    case Form.bytes:
      return Buffer.compare(bytesOf(source as ArrayBufferView), note.scalar as Uint8Array) === 0;
    default:
      return sameOther(note);
  }
}

function sameOther({ source, kind, keys, items }: Note): boolean {
  if (keys === undefined) return !hasOwnBesides(source, kind) && sameItems(contents(source, kind), items);
  return sameKeys(ownNames(source), keys) && sameItems(contents(source, kind), items);
}

/**
 * Whether an array of objects holds `length` items of another from `start` on, and is not frozen. To push nothing sets the length, which fails on a frozen array: compiled, it costs next
 * to nothing, unlike `Object.isFrozen`.
 */
export function isSameList(
  array: object[],
  items: readonly unknown[],
  start: number,
  length: number,
): boolean {
  if (array.length !== length) return false;
  for (let i = 0; i < length; i++) if (array[i] !== items[start + i]) return false;
  try {
    push.call(array);
    return true;
  } catch {
    return !Object.isFrozen(array);
  }
}

const { push } = Array.prototype;

function sameArray(array: readonly unknown[], items: readonly unknown[]): boolean {
  if (array.length !== items.length) return false;
  for (let i = 0; i < items.length; i++) {
    const was = items[i];
    const is = array[i];
    if (is === was && is !== 0 && is !== undefined) continue;
    if (is === undefined && !(i in array)) {
      if (was !== HOLE) return false;
    } else if (!Object.is(is, was)) return false;
  }
  return true;
}

/** Without making lists of keys and values. */
function sameObject(
  object: Record<string, unknown>,
  keys: readonly string[],
  items: readonly unknown[],
): boolean {
  let i = 0;
  for (const key in object) {
    if (key !== keys[i]) return false;
    const was = items[i++];
    const is = object[key];
    if ((is !== was || is === 0) && !Object.is(is, was)) return false;
  }
  return i === keys.length;
}

function sameItems(current: readonly unknown[], items: readonly unknown[]): boolean {
  if (current.length !== items.length) return false;
  for (let i = 0; i < items.length; i++) if (!Object.is(current[i], items[i])) return false;
  return true;
}

function sameKeys(current: readonly string[], keys: readonly string[]): boolean {
  if (current.length !== keys.length) return false;
  for (let i = 0; i < keys.length; i++) if (current[i] !== keys[i]) return false;
  return true;
}

/** What is inside; for arrays with holes a list that marks them. */
function contents(value: object, kind: Kind): readonly unknown[] {
  if (kind !== Kind.array) return isContainer(kind) ? childrenOf(value, kind) : NOTHING;
  const array = value as unknown[];
  if (!array.includes(undefined)) return array;
  return Array.from(array, (item, i) => (i in array ? item : HOLE));
}

const NOTHING: readonly unknown[] = [];

/** Own properties of a Map, Set or array: what a subclass keeps, or what was put there against custom. */
function hasOwnBesides(value: object, kind: Kind): boolean {
  if (kind === Kind.map || kind === Kind.set) return Object.keys(value).length > 0;
  return false;
}

function scalarOf(value: object, form: Form): Note['scalar'] {
  if (form === Form.date) return Date.prototype.getTime.call(value);
  if (form === Form.url) return (value as URL).href;
  return form === Form.bytes ? bytesOf(value as ArrayBufferView).slice() : undefined;
}
