/**
 * Which plain values of a cache's objects the program may hold, and whether they are still as they were.
 */
import { readyBit } from './accessors';
import type { ObjectCacheImpl } from './cache';
import { isManaged } from './classes';
import { emptyNote, INSIDE, isAsNoted, noteOf, shallowNoteOf, type Note } from './exposure';
import { StaleValueError } from './errors';
import { followInside } from './following';
import { replaceWatched } from './letting-go';
import { ownerOf, setOwner } from './ownership';
import { seal, type DropReason, type Unsealable } from './sealing';
import { Place, Status, type ObjectRecord } from './stamp';

/** So many exposed objects are watched across a transaction boundary. */
const WATCH_LIMIT = 1000;
/** So many values of dropped states that can't be sealed are watched. */
const STALE_LIMIT = 1000;

type OnChange = (object: object, record: ObjectRecord) => void;

const NONE: readonly object[] = [];

export class Exposures {
  readonly #cache: ObjectCacheImpl;
  readonly #onChange: OnChange;
  /**
   * Objects with notes, and beside them their records: in the order in which they stop being watched, from `#head` on. A commit goes through all of them, so a boundary does no more than
   * take off those that are too many.
   */
  #objects: object[] = [];
  #records: ObjectRecord[] = [];
  #head = 0;
  /** So many in the list have no notes any more. */
  #idle = 0;
  /** Watched values inside managed collections, for look-up. */
  readonly #inside = new WeakMap<ObjectRecord, Set<object>>();
  /** Bytes whose state is gone: they can't be sealed, so a change is noticed late, but not never. */
  #staleBytes: { readonly bytes: WeakRef<Uint8Array>; readonly copy: Uint8Array }[] = [];
  /** The same for proxies. */
  #staleProxies: Note[] = [];

  readonly #unsealable: Unsealable = {
    bytes: (bytes) => {
      this.#staleBytes.push({ bytes: new WeakRef(bytes), copy: bytes.slice() });
    },
    proxy: (proxy) => {
      this.#staleProxies.push(shallowNoteOf(proxy));
    },
  };

  constructor(cache: ObjectCacheImpl, onChange: OnChange) {
    this.#cache = cache;
    this.#onChange = onChange;
  }

  get count(): number {
    let count = 0;
    for (let i = this.#head; i < this.#records.length; i++)
      if (this.#isWatched(this.#records[i]!)) count += 1;
    return count;
  }

  /** The program gets hold of a value that it did not have. Returns what it is to get: a tuple with references is made anew when they are followed. */
  expose(object: object, record: ObjectRecord, slot: number, value: object): object {
    let seen = value;
    let note = noteOf(slot, value);
    if (note === undefined) {
      seen = followInside(this.#cache, record, value, object, slot);
      note = noteOf(slot, seen) ?? emptyNote(slot, seen);
    }
    if (record.status < Status.changed) own(record, note);
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
    for (let note = record.watch; note !== undefined; note = note.next) if (!isAsNoted(note)) return false;
    return true;
  }

  /** Marks what was changed inside as changed. Throws what the jar throws when it takes no changes; then they are dropped, not kept for ever. */
  flush(): void {
    const records = this.#records;
    for (let i = this.#head; i < records.length; i++) {
      if (this.#wasChanged(records[i]!)) this.#onChange(this.#objects[i]!, records[i]!);
    }
    if (this.#staleBytes.length > 0) this.#checkStaleBytes();
    if (this.#staleProxies.length > 0) this.#checkStaleProxies();
  }

  /** The objects that {@link flush} would mark, without marking them: for abort. */
  takeChanged(): object[] {
    const changed: object[] = [];
    for (let i = this.#head; i < this.#records.length; i++) {
      if (this.#wasChanged(this.#records[i]!)) changed.push(this.#objects[i]!);
    }
    return changed;
  }

  /** An object was saved: compare from here. */
  settle(object: object, record: ObjectRecord): void {
    if (record.watch === undefined) return;
    const held = isManaged(object) ? object.heldValues() : undefined;
    const inside = held && new Set<unknown>(held);
    let kept: Note | undefined;
    for (let note: Note | undefined = record.watch; note !== undefined; note = note.next) {
      const { slot, source } = note;
      const stays = slot === INSIDE ? (inside?.has(source) ?? true) : record.state[slot] === source;
      if (!stays) continue;
      const made = noteOf(slot, source) ?? emptyNote(slot, source);
      own(record, made);
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
    else record.watch = kept;
  }

  /** Forgets the watched values of an object. */
  forget(record: ObjectRecord): void {
    if (record.watch === undefined) return;
    record.watch = undefined;
    if ((record.place & Place.watched) !== 0) this.#idle += 1;
  }

  /**
   * Keeps the number of watched objects bounded: the longest unread are watched no more. Returns those of them that must be dropped for that. An object that was read since it was last looked at stays, and is looked at again after all others.
   */
  trim(bound: number): readonly object[] {
    const limit = Math.min(WATCH_LIMIT, bound);
    if (this.#idle > 0 && this.#idle * 2 >= this.#length) this.#tidy();
    let excess = this.#length - limit;
    if (excess <= 0) return NONE;
    const dropped: object[] = [];
    for (let looks = 2 * this.#length; excess > 0 && looks > 0; looks--) {
      const object = this.#objects[this.#head]!;
      const record = this.#records[this.#head]!;
      this.#head += 1;
      if (!this.#isWatched(record)) {
        this.#idle -= 1;
        excess -= 1;
        if (record.cache === this.#cache) record.place &= ~Place.watched;
      } else if (record.ready === 0 && record.status === Status.saved && this.isClean(record)) {
        excess -= 1;
        record.place &= ~Place.watched;
        if (!isManaged(object) && replaceWatched(record)) record.watch = undefined;
        else dropped.push(object);
      } else {
        record.ready = 0;
        this.#objects.push(object);
        this.#records.push(record);
      }
    }
    if (this.#head > this.#length) this.#close();
    return dropped;
  }

  /** The state of an object goes. */
  seal(record: ObjectRecord, reason: DropReason): void {
    const first = record.watch;
    if (first === undefined) return;
    this.forget(record);
    for (let note: Note | undefined = first; note !== undefined; note = note.next) {
      seal(note.source, reason, this.#unsealable);
    }
    if (this.#staleBytes.length > STALE_LIMIT) this.#staleBytes = this.#staleBytes.slice(-STALE_LIMIT);
    if (this.#staleProxies.length > STALE_LIMIT) this.#staleProxies = this.#staleProxies.slice(-STALE_LIMIT);
  }

  clear(): void {
    this.#objects = [];
    this.#records = [];
    this.#head = 0;
    this.#idle = 0;
    this.#staleBytes = [];
    this.#staleProxies = [];
  }

  get #length(): number {
    return this.#records.length - this.#head;
  }

  /** Whether a record in the list is (still) this cache's, with notes. */
  #isWatched(record: ObjectRecord): boolean {
    return record.watch !== undefined && record.cache === this.#cache;
  }

  #wasChanged(record: ObjectRecord): boolean {
    return record.status === Status.saved && !this.isClean(record) && record.cache === this.#cache;
  }

  #add(object: object, record: ObjectRecord, note: Note): void {
    if (note.slot === INSIDE) this.#noteInside(record, note.source);
    if (record.watch === undefined) this.#enlist(object, record);
    else if (note.slot !== INSIDE) unlink(record, note.slot);
    note.next = record.watch;
    record.watch = note;
  }

  #enlist(object: object, record: ObjectRecord): void {
    if ((record.place & Place.watched) !== 0) {
      this.#idle -= 1;
      return;
    }
    record.place |= Place.watched;
    this.#objects.push(object);
    this.#records.push(record);
  }

  /** Takes those without notes off the list. */
  #tidy(): void {
    const [objects, records]: [object[], ObjectRecord[]] = [[], []];
    for (let i = this.#head; i < this.#records.length; i++) {
      const record = this.#records[i]!;
      if (this.#isWatched(record)) {
        objects.push(this.#objects[i]!);
        records.push(record);
      } else if (record.cache === this.#cache) record.place &= ~Place.watched;
    }
    this.#objects = objects;
    this.#records = records;
    this.#head = 0;
    this.#idle = 0;
  }

  /** Closes the gap before the head. */
  #close(): void {
    this.#objects = this.#objects.slice(this.#head);
    this.#records = this.#records.slice(this.#head);
    this.#head = 0;
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

  #checkStaleBytes(): void {
    this.#staleBytes = this.#staleBytes.filter(({ bytes, copy }) => {
      const current = bytes.deref();
      if (current === undefined) return false;
      if (Buffer.compare(current, copy) === 0) return true;
      copy.set(current);
      throw new StaleValueError(
        `${String(current.length)} bytes that were read from an object were written after the object's state was dropped; the change is not saved. Read the bytes again from the object before writing to them.`,
        'dropped',
      );
    });
  }
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

function own(record: ObjectRecord, note: Note): void {
  for (let at: Note | undefined = note; at !== undefined; at = at.inner)
    if (ownerOf(at.source) === undefined) setOwner(at.source, record);
}
