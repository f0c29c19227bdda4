/**
 * Which plain values of a cache's objects the program may hold, and whether they are still as they were.
 */
import { readyBit } from './accessors';
import type { ObjectCacheImpl } from './cache';
import { isManaged } from './classes';
import { emptyNote, INSIDE, isAsNoted, isClean, noteOf, shallowNoteOf, type Note } from './exposure';
import { StaleValueError } from './errors';
import { followInside } from './following';
import { closeOwners, heldByOthers, openOwners, ownerOf, type Owners } from './ownership';
import { seal, type DropReason, type Unsealable } from './sealing';
import { recordOf, Status, type ObjectRecord } from './stamp';
import { bytesOf } from './values';
import { WatchQueue } from './watch-queue';

/** So many exposed objects are watched across a transaction boundary at most, */
const WATCH_LIMIT = 1000;
/** and so many even when nobody uses them any more. */
const WATCH_FEW = 100;
/** So many values of dropped states that can't be sealed are watched. */
const STALE_LIMIT = 1000;

interface StaleScalar {
  readonly value: WeakRef<object>;
  was: string | Uint8Array;
}

type OnChange = (object: object, record: ObjectRecord) => void;

export class Exposures {
  readonly #cache: ObjectCacheImpl;
  readonly #onChange: OnChange;
  readonly #queue: WatchQueue;
  #owners: Owners | undefined;
  /** Watched values inside managed collections, for look-up. */
  readonly #inside = new WeakMap<ObjectRecord, Set<object>>();
  /** Bytes and URLs whose state is gone: they can't be sealed, so a change is noticed late, but not never. */
  #staleScalars: StaleScalar[] = [];
  /** The same for proxies. */
  #staleProxies: Note[] = [];

  readonly #unsealable: Unsealable = {
    scalar: (value) => {
      // Of what the program holds, not of a view of it, which nobody would keep.
      this.#staleScalars.push({ value: new WeakRef(value), was: copyOf(value) });
    },
    proxy: (proxy) => {
      this.#staleProxies.push(shallowNoteOf(proxy));
    },
  };

  constructor(cache: ObjectCacheImpl, onChange: OnChange) {
    this.#cache = cache;
    this.#queue = new WatchQueue(cache);
    this.#onChange = onChange;
  }

  /** Which plain values belong to which object. */
  get owners(): Owners {
    return (this.#owners ??= openOwners());
  }

  get count(): number {
    return this.#queue.count;
  }

  /** The program gets hold of a value that it did not have. Returns what it is to get: a tuple with references is made anew when they are followed. */
  expose(object: object, record: ObjectRecord, slot: number, value: object): object {
    let seen = value;
    let note = noteOf(slot, value);
    if (note === undefined) {
      seen = followInside(this.#cache, record, value, object, slot);
      note = noteOf(slot, seen) ?? emptyNote(slot, seen);
    }
    if (record.status < Status.changed) this.#own(record, note);
    else note = emptyNote(slot, seen);
    this.#add(object, record, note);
    return seen;
  }

  /** Whether a value is watched already. */
  isOut(record: ObjectRecord, slot: number, value: object): boolean {
    if (record.watch === undefined) return false;
    if (slot === INSIDE) return this.#inside.get(record)?.has(value) ?? false;
    for (let note: Note | undefined = record.watch; note !== undefined; note = note.next)
      if (note.slot === slot && note.source === value) return true;
    return false;
  }

  /** A value is put into a field. */
  assigned(object: object, record: ObjectRecord, slot: number, value: object): void {
    if (slot !== INSIDE || !this.isOut(record, slot, value))
      this.#add(object, record, emptyNote(slot, value));
    record.ready |= readyBit(slot);
  }

  /** Whether all that is watched of an object is as it was. */
  isClean(record: ObjectRecord): boolean {
    return isClean(record);
  }

  /** Marks what was changed inside as changed. Throws what the jar throws when it takes no changes; then they are dropped, not kept for ever. */
  flush(): void {
    for (const object of this.#queue.changed()) {
      const record = recordOf(object)!;
      if (record.status === Status.saved) this.#onChange(object, record);
    }
    if (this.#staleScalars.length > 0) this.#checkStaleScalars();
    if (this.#staleProxies.length > 0) this.#checkStaleProxies();
  }

  /** The objects that {@link flush} would mark, without marking them: for abort. */
  takeChanged(): object[] {
    return this.#queue.changed();
  }

  /** An object was saved: compare from here. */
  settle(object: object, record: ObjectRecord): void {
    if (record.watch === undefined) return;
    const { owners } = this;
    const held = isManaged(object) ? object.heldValues() : undefined;
    const inside = held && new Set<unknown>(held);
    let kept: Note | undefined;
    for (let note: Note | undefined = record.watch; note !== undefined; note = note.next) {
      const { slot, source } = note;
      const stays = slot === INSIDE ? (inside?.has(source) ?? true) : record.state[slot] === source;
      if (!stays) continue;
      const noted = noteOf(slot, source);
      // What is changed through a value that was read long ago is in use, as if it were read.
      if (noted !== undefined) record.ready |= readyBit(slot);
      const made = noted ?? emptyNote(slot, source);
      for (let at: Note | undefined = made; at !== undefined; at = at.inner)
        if (ownerOf(at.source, owners) === undefined) owners.table.set(at.source, record);
      made.next = kept;
      kept = made;
    }
    if (this.#inside.has(record)) {
      const values = new Set<object>();
      for (let note = kept; note !== undefined; note = note.next)
        if (note.slot === INSIDE) values.add(note.source);
      this.#inside.set(record, values);
    }
    if (kept === undefined) this.forget(record);
    else {
      this.#queue.leave(record);
      record.watch = kept;
    }
  }

  /** Forgets the watched values of an object. */
  forget(record: ObjectRecord): void {
    if (record.watch === undefined) return;
    this.#queue.leave(record);
    record.watch = undefined;
    this.#queue.idle(record);
  }

  /** Keeps the number of watched objects bounded. Returns those that must be dropped for that. */
  trim(bound: number): readonly object[] {
    return this.#queue.trim(Math.min(WATCH_LIMIT, bound), Math.min(WATCH_FEW, bound));
  }

  /** The state of an object goes. */
  seal(record: ObjectRecord, reason: DropReason): void {
    const first = record.watch;
    if (first === undefined) return;
    this.forget(record);
    const isSpared = heldByOthers(record, this.owners);
    for (let note: Note | undefined = first; note !== undefined; note = note.next) {
      seal(note.source, reason, this.#unsealable, isSpared);
    }
    if (this.#staleScalars.length > STALE_LIMIT) this.#staleScalars = this.#staleScalars.slice(-STALE_LIMIT);
    if (this.#staleProxies.length > STALE_LIMIT) this.#staleProxies = this.#staleProxies.slice(-STALE_LIMIT);
  }

  clear(): void {
    this.#queue.clear();
    if (this.#owners !== undefined) closeOwners(this.#owners);
    this.#owners = undefined;
    this.#staleScalars = [];
    this.#staleProxies = [];
  }

  #add(object: object, record: ObjectRecord, note: Note): void {
    if (note.slot === INSIDE) this.#noteInside(record, note.source);
    if (record.watch === undefined) this.#queue.enlist(object, record);
    else {
      this.#queue.leave(record);
      if (note.slot !== INSIDE) unlink(record, note.slot);
    }
    note.next = record.watch;
    record.watch = note;
  }

  /** What the stored state of an object holds is the object's own. */
  #own(record: ObjectRecord, note: Note): void {
    const { table } = this.owners;
    for (let at: Note | undefined = note; at !== undefined; at = at.inner)
      if (!table.has(at.source)) table.set(at.source, record);
  }

  #noteInside(record: ObjectRecord, value: object): void {
    const inside = record.watch === undefined ? undefined : this.#inside.get(record);
    if (inside === undefined) this.#inside.set(record, new Set([value]));
    else inside.add(value);
  }

  #checkStaleProxies(): void {
    for (const [i, note] of this.#staleProxies.entries()) {
      if (isAsNoted(note)) continue;
      this.#staleProxies[i] = shallowNoteOf(note.source);
      throw new StaleValueError(
        "A proxy that was read from an object was written to after the object's state was dropped; the change is not saved. Read the value again from the object before changing it.",
        'dropped',
      );
    }
  }

  #checkStaleScalars(): void {
    this.#staleScalars = this.#staleScalars.filter((stale) => {
      const value = stale.value.deref();
      if (value === undefined) return false;
      if (isCopyOf(value, stale.was)) return true;
      stale.was = copyOf(value);
      const what = value instanceof URL ? 'A URL' : `${String(bytesOf(value as Uint8Array).length)} bytes`;
      throw new StaleValueError(
        `${what} read from an object changed after the object's state was dropped; the change is not saved. Read the value again from the object before changing it.`,
        'dropped',
      );
    });
  }
}

/** What a URL or bytes are compared with. */
function copyOf(value: object): string | Uint8Array {
  return value instanceof URL ? value.href : bytesOf(value as Uint8Array).slice();
}

function isCopyOf(value: object, was: string | Uint8Array): boolean {
  if (typeof was === 'string') return (value as URL).href === was;
  return Buffer.compare(bytesOf(value as Uint8Array), was) === 0;
}

/** Takes out the note of a slot. */
function unlink(record: ObjectRecord, slot: number): void {
  let before: Note | undefined;
  for (let note = record.watch; note !== undefined; before = note, note = note.next) {
    if (note.slot !== slot) continue;
    if (before === undefined) record.watch = note.next;
    else before.next = note.next;
    return;
  }
}
