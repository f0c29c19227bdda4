/**
 * States of leaves of BTrees, `((k0, v0, k1, v1, …),)` and `((k0, k1, …),)`, the second of a tuple being a reference or missing: read
 * straight into arrays of keys and values. Wherever something else comes, nothing was read, and the machine reads it all.
 */
import { ColumnReader } from './expected-columns';

/** How far behind an item bytes are looked at before the next look at the end. */
const SPAN = 16;
const COST_TUPLE = 48;
const COST_ITEM = 8;

export class ItemReader extends ColumnReader {
  /** What {@link readItems} found. Arrays of exact length, the caller's to keep. */
  itemKeys: unknown[] = [];
  itemValues: unknown[] = [];
  /** The reference behind the items; `undefined` when there is none. */
  itemLink: unknown = undefined;
  /** How many the last one had: most leaves of a tree that was filled in order are alike. */
  #expected = 0;

  /**
   * Reads the next pickle if it is one of the states above; else stays where it is. True when it was.
   * @param paired whether items are keys and values in turn
   */
  readItems(paired: boolean): boolean {
    const { buf, memo, pos: start } = this;
    if (buf[start] !== 0x80 || buf[start + 1] !== 3 || buf[start + 2] !== 0x28) return false;
    const farBefore = memo.copyOfFar();
    const { size, gaps } = memo;
    this.protocol = 3;
    this.pos = start + 3;
    if (this.#items(paired) && this.#rest()) return true;
    this.pos = start;
    memo.rewind(size, gaps, farBefore);
    return false;
  }

  /** Items up to the end of their tuple. */
  #items(paired: boolean): boolean {
    const { buf, end } = this;
    const { readable } = this.input;
    const expected = this.#expected;
    const keys = (this.itemKeys = new Array<unknown>(expected));
    const values = (this.itemValues = paired ? new Array<unknown>(expected) : []);
    let count = 0;
    for (let pos = this.pos; buf[pos] !== 0x74; pos = this.pos) {
      if (pos >= end || pos + SPAN > readable) return false;
      const key = this.readScalar(pos);
      if (key === undefined) return false;
      if (count < expected) keys[count] = key;
      else keys.push(key);
      if (paired) {
        pos = this.pos;
        if (pos >= end || pos + SPAN > readable) return false;
        const value = this.readScalar(pos);
        if (value === undefined) return false;
        if (count < expected) values[count] = value;
        else values.push(value);
      }
      count++;
    }
    if (count < expected) {
      keys.length = count;
      if (paired) values.length = count;
    }
    this.#expected = count;
    this.builder.charge(2 * COST_TUPLE + 2 * COST_ITEM * count);
    this.pos++;
    return true;
  }

  /** What follows the items: their number in the memo, a reference or nothing, the end of the outer tuple. */
  #rest(): boolean {
    const { buf, end } = this;
    if (this.pos + 2 * SPAN > this.input.readable) return false;
    this.#number();
    this.itemLink = undefined;
    if (buf[this.pos] === 0x43) this.itemLink = this.readScalar(this.pos);
    if (buf[this.pos++] !== (this.itemLink === undefined ? 0x85 : 0x86)) return false;
    this.#number();
    return buf[this.pos++] === 0x2e && this.pos <= end;
  }

  /** Passes a number that nothing can ask for any more. */
  #number(): void {
    const { buf, memo, pos } = this;
    if (buf[pos] === 0x71) {
      memo.reserve(buf[pos + 1]!);
      this.pos = pos + 2;
    } else if (buf[pos] === 0x72) {
      memo.reserve(buf.readUInt32LE(pos + 1));
      this.pos = pos + 5;
    }
  }
}
