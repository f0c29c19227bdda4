/**
 * The objects of a cache whose plain values are watched, in the order in which they stop being watched. Each commit compares all of them, so that a transaction boundary lets go of those
 * that are too many, and does no more.
 */
import type { ObjectCacheImpl } from './cache';
import { isClean } from './exposure';
import { replaceWatched } from './letting-go';
import { ListCopies } from './list-copies';
import { Place, Status, type ObjectRecord } from './stamp';

const NONE: readonly object[] = [];

/** A boundary that lets go of so many is not followed by copies. */
const COPIED_BELOW = 32;

export class WatchQueue {
  readonly #cache: ObjectCacheImpl;
  #objects: object[] = [];
  /** Their records, beside them. Both begin at `#head`. */
  #records: ObjectRecord[] = [];
  #head = 0;
  /** So many of them have no notes any more. */
  #idle = 0;
  /** Of the first ones, what they held. */
  readonly #copies = new ListCopies();
  /** Those before this index were here at the last boundary already, and are worth a copy. */
  #lasting = 0;

  constructor(cache: ObjectCacheImpl) {
    this.#cache = cache;
  }

  get length(): number {
    return this.#records.length - this.#head;
  }

  /** How many are watched. */
  get count(): number {
    let count = 0;
    for (let i = this.#head; i < this.#records.length; i++)
      if (this.#isWatched(this.#records[i]!)) count += 1;
    return count;
  }

  /** An object has got its first note. */
  enlist(object: object, record: ObjectRecord): void {
    if ((record.place & Place.watched) !== 0) {
      this.#idle -= 1;
      return;
    }
    record.place |= Place.watched;
    this.#objects.push(object);
    this.#records.push(record);
  }

  /** The notes of an object are going to be others. */
  leave(record: ObjectRecord): void {
    if (record.watch !== undefined) this.#copies.leave(record.watch);
  }

  /** An object has no notes any more. */
  idle(record: ObjectRecord): void {
    if ((record.place & Place.watched) !== 0) this.#idle += 1;
  }

  /** Those in which something was changed. */
  changed(): object[] {
    const changed: object[] = [];
    const records = this.#records;
    const copies = this.#copies;
    const cursor = copies.start(this.#head);
    const uncopied = this.#head + copies.length;
    for (let i = copies.next(cursor, records); i >= 0; i = copies.next(cursor, records)) {
      if (this.#wasChanged(records[i]!)) changed.push(this.#objects[i]!);
    }
    for (let i = uncopied; i < records.length; i++) {
      const record = records[i]!;
      if (this.#wasChanged(record)) changed.push(this.#objects[i]!);
      if (i < this.#lasting) copies.push(this.#isWatched(record) ? record.watch : undefined);
    }
    return changed;
  }

  /**
   * At a transaction boundary: those beyond `limit` are watched no more, the longest unread first; of those beyond `few`, some that were not read since they were last looked at. Returns
   * those of them that must be dropped for that. An object that was read stays, and is looked at again after all others.
   */
  trim(limit: number, few: number): readonly object[] {
    if (this.#idle > 0 && this.#idle * 2 >= this.length) this.#tidy();
    const before = this.length;
    const dropped = before > few ? this.#letGoBeyond(limit, few) : NONE;
    // While many go, a copy would be for nothing.
    this.#lasting = before - this.length < COPIED_BELOW ? this.#records.length : 0;
    return dropped;
  }

  clear(): void {
    this.#objects = [];
    this.#records = [];
    this.#head = 0;
    this.#idle = 0;
    this.#copies.clear();
    this.#lasting = 0;
  }

  #letGoBeyond(limit: number, few: number): readonly object[] {
    const dropped: object[] = [];
    // Each costs a comparison at every commit, so that what is unread goes fast. What is in use is looked at seldom, as its next read takes longer then, and nothing is dropped that would be loaded again.
    const excess = this.length - few;
    if (few < limit) this.#letGo(Math.ceil(excess / 4), Math.ceil(excess / 32), undefined);
    if (this.length > limit) this.#letGo(this.length - limit, 2 * this.length, undefined);
    if (this.length > limit) this.#letGo(this.length - limit, 2 * this.length, dropped);
    return dropped;
  }

  /** Lets go of the first `count` that are clean and unread, but passes over no more than so many others; those that must be dropped for it are among them when there is a list to put them into. */
  #letGo(count: number, passes: number, dropped: object[] | undefined): void {
    const objects = this.#objects;
    const records = this.#records;
    let excess = count;
    let head = this.#head;
    try {
      while (excess > 0 && passes > 0) {
        const object = objects[head]!;
        const record = records[head++]!;
        if (record.ready !== 0) {
          record.ready = 0;
          passes -= 1;
          objects.push(object);
          records.push(record);
        } else if (!this.#isWatched(record)) {
          this.#idle -= 1;
          excess -= 1;
          if (record.cache === this.#cache) record.place &= ~Place.watched;
        } else if (
          record.status === Status.saved &&
          isClean(record) &&
          (replaceWatched(object, record) || dropped !== undefined)
        ) {
          excess -= 1;
          record.place &= ~Place.watched;
          if (record.watch !== undefined) dropped?.push(object);
        } else {
          passes -= 1;
          objects.push(object);
          records.push(record);
        }
      }
    } finally {
      this.#copies.shift(head - this.#head);
      this.#head = head;
    }
    if (this.#head > this.length) this.#close();
  }

  /** Whether a record in the list is (still) this cache's, with notes. */
  #isWatched(record: ObjectRecord): boolean {
    return record.watch !== undefined && record.cache === this.#cache;
  }

  #wasChanged(record: ObjectRecord): boolean {
    return record.status === Status.saved && !isClean(record) && record.cache === this.#cache;
  }

  /** Takes those without notes off. */
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
    this.#copies.clear();
  }

  /** Closes the gap before the head. */
  #close(): void {
    this.#objects = this.#objects.slice(this.#head);
    this.#records = this.#records.slice(this.#head);
    this.#head = 0;
  }
}
