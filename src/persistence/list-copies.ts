/**
 * What short watched arrays held, in one piece of memory. All watched objects are compared at each commit, and what that costs is cache misses: from an object's record to its note, to
 * the array, to the copy. Here only the arrays themselves are elsewhere.
 */
import { isClean, isFlatList, isSameList, type Note } from './exposure';
import type { ObjectRecord } from './stamp';

/** Longer arrays are compared by their notes: there the way to the copy is the smaller part. */
const LONGEST = 32;

/** Where {@link ListCopies.next} stands. */
interface Cursor {
  at: number;
  index: number;
}

/** One entry an object, in the order of the queue; they come at the end and go at the front. */
export class ListCopies {
  /** So many entries there are. */
  length = 0;
  /** For each entry the array, or `undefined` when the object must be compared by its notes; how many items it held; the items. */
  #cells: unknown[] = [];
  /** The first cell in use. */
  #head = 0;
  /** So many cells have gone at the front: {@link Note.copy} counts them too. */
  #gone = 0;
  /** So many entries became useless. */
  #void = 0;

  /** Appends an entry for an object with these notes. */
  push(note: Note | undefined): void {
    this.length += 1;
    if (note === undefined || note.next !== undefined || !isFlatList(note) || note.items.length > LONGEST) {
      this.#cells.push(undefined, 0);
      return;
    }
    note.copy = this.#gone + this.#cells.length;
    this.#cells.push(note.source, note.items.length);
    for (const item of note.items) this.#cells.push(item);
  }

  /** Removes the first `count` entries, or all if there are fewer. */
  shift(count: number): void {
    if (count >= this.length) {
      this.clear();
      return;
    }
    this.length -= count;
    for (let i = 0; i < count; i++) this.#head += 2 + (this.#cells[this.#head + 1] as number);
    if (this.#head * 2 > this.#cells.length) {
      this.#cells = this.#cells.slice(this.#head);
      this.#gone += this.#head;
      this.#head = 0;
    }
  }

  /** A note is not what its object is to be compared with any more. */
  leave(note: Note): void {
    const at = note.copy - this.#gone;
    if (at < this.#head || this.#cells[at] !== note.source) return;
    this.#cells[at] = undefined;
    this.#void += 1;
  }

  clear(): void {
    this.#gone += this.#cells.length;
    this.#cells = [];
    this.#head = 0;
    this.#void = 0;
    this.length = 0;
  }

  /** To begin a comparison with: `index` is that of the first entry's object in the queue. Too many useless entries, and all are made anew. */
  start(index: number): Cursor {
    if (this.#void * 4 > this.length) this.clear();
    return { at: this.#head, index };
  }

  /** The index of the next object that is not as it was; -1 at the end. `records` are those of the queue. */
  next(cursor: Cursor, records: readonly ObjectRecord[]): number {
    const cells = this.#cells;
    let { at, index } = cursor;
    while (at < cells.length) {
      const array = cells[at] as object[] | undefined;
      const length = cells[at + 1] as number;
      const start = at + 2;
      at = start + length;
      const record = index++;
      if (array === undefined ? isClean(records[record]!) : isSameList(array, cells, start, length)) continue;
      cursor.at = at;
      cursor.index = index;
      return record;
    }
    return -1;
  }
}
