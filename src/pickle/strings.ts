/**
 * Text out of a pickle's bytes. Most strings of a record are short ASCII, many are keys seen before: those come out
 * of a table, compared four bytes at a time, other short ones out of a window decoded at once. A native call costs 40 ns,
 * as much as JSON.parse takes for three whole strings.
 */
import type { Input } from './input';

const TABLE_SIZE = 4096;
const WORDS_LIMIT = 16;
/** V8 copies substrings below 13 characters; longer ones would keep the whole window alive. */
const COPIED_SUBSTRING = 12;
const WINDOW = 4096;
/** So many short strings are put together from their bytes before a window pays. */
const FIRST_STRINGS = 3;
const HIGH_BITS = 0x8080_8080 | 0;
/** So many look-ups that find nothing, beyond three for each that does, and values are taken for new. */
const MAX_LUCK = 64;
/** So many of them are not looked up then. */
const PAUSE = 1024;

/**
 * Short texts met before, and their bytes in four words each. Shared by all readers of the process: what one meets the next
 * is likely to meet.
 */
const tableWords = new Int32Array(4 * TABLE_SIZE);
const tableTexts: string[] = new Array<string>(TABLE_SIZE).fill('');

const { fromCharCode } = String;

/** Reads strings of one input after another. */
export class StringReader {
  #input: Input | undefined = undefined;
  /**
   * Above 0, how many more look-ups may fail before values are no longer looked up; below, how many go without. Keys are always
   * looked up, and count.
   */
  #luck = MAX_LUCK;
  #window = '';
  #windowStart = 0;
  #windowEnd = 0;
  /** How many short strings this input had so far. */
  #decoded = 0;

  /** Starts on another input. */
  open(input: Input): void {
    this.#input = input;
    this.#decoded = 0;
    this.#windowEnd = 0;
  }

  /** Lets go of the input. */
  close(): void {
    this.#input = undefined;
    this.#window = '';
    this.#windowEnd = 0;
  }

  /** As {@link key}, but for strings that may be unlike any before: looked up only as long as that helps. */
  value(start: number, end: number): string | undefined {
    if (this.#luck > 0 || end - start <= 4) return this.key(start, end);
    if (++this.#luck === 0) this.#luck = MAX_LUCK;
    return this.#make(start, end);
  }

  /**
   * The string of these bytes, `undefined` when they are no UTF-8 (lone surrogates pass, as in Python's "surrogatepass"). The same
   * text gives the same string, mostly.
   */
  key(start: number, end: number): string | undefined {
    const length = end - start;
    const { view, readable } = this.#input!;
    if (length > WORDS_LIMIT || length === 0 || start + WORDS_LIMIT > readable) return this.#long(start, end);
    const mask = -1 >>> (((4 - length) & 3) << 3);
    let a = view.getInt32(start, true);
    let b = 0;
    let c = 0;
    let d = 0;
    if (length <= 4) {
      a &= mask;
    } else {
      b = view.getInt32(start + 4, true);
      if (length <= 8) {
        b &= mask;
      } else {
        c = view.getInt32(start + 8, true);
        if (length <= 12) c &= mask;
        else d = view.getInt32(start + 12, true) & mask;
      }
    }
    const mixed = Math.imul(
      a ^ Math.imul(b, 0x9e37_79b1) ^ Math.imul(c, 0x85eb_ca6b) ^ Math.imul(d, 0x27d4_eb2f) ^ length,
      0xc2b2_ae35 | 0,
    );
    const slot = mixed >>> 20;
    const at = slot << 2;
    // One comparison of all: whether single words differ would be hard to foresee for the processor.
    const difference =
      (tableWords[at]! ^ a) |
      (tableWords[at + 1]! ^ b) |
      (tableWords[at + 2]! ^ c) |
      (tableWords[at + 3]! ^ d);
    const found = tableTexts[slot]!;
    if (difference === 0 && found.length === length) {
      if (this.#luck < MAX_LUCK) this.#luck += 3;
      return found;
    }
    if (--this.#luck === 0) this.#luck = -PAUSE;
    const text = this.#make(start, end);
    if (((a | b | c | d) & HIGH_BITS) === 0) {
      tableWords[at] = a;
      tableWords[at + 1] = b;
      tableWords[at + 2] = c;
      tableWords[at + 3] = d;
      tableTexts[slot] = text!;
    }
    return text;
  }

  #long(start: number, end: number): string | undefined {
    const length = end - start;
    const input = this.#input!;
    if (length <= 24) {
      let bits = 0;
      if (start + 24 <= input.readable) {
        const view = input.view;
        let p = start;
        for (const last = end - 4; p <= last; p += 4) bits |= view.getInt32(p, true);
        if (p < end) bits |= view.getInt32(p, true) & (-1 >>> ((4 - (end - p)) << 3));
        bits &= HIGH_BITS;
      } else {
        for (let i = start; i < end; i++) bits |= input.buf[i]! & 0x80;
      }
      if (bits === 0) return input.buf.latin1Slice(start, end);
    }
    const text = input.buf.utf8Slice(start, end);
    if (!text.includes('\ufffd')) return text;
    return decodeSurrogates(input.buf, start, end);
  }

  /** As {@link key} without the table. */
  #make(start: number, end: number): string | undefined {
    const length = end - start;
    const { view, readable } = this.#input!;
    if (length > WORDS_LIMIT || length === 0 || start + WORDS_LIMIT > readable) return this.#long(start, end);
    const mask = -1 >>> (((4 - length) & 3) << 3);
    const a = view.getInt32(start, true);
    const b = view.getInt32(start + 4, true);
    const c = view.getInt32(start + 8, true);
    const d = view.getInt32(start + 12, true);
    const bits =
      length <= 4
        ? a & mask
        : length <= 8
          ? a | (b & mask)
          : length <= 12
            ? a | b | (c & mask)
            : a | b | c | (d & mask);
    if ((bits & HIGH_BITS) !== 0) return this.#long(start, end);
    if (length <= COPIED_SUBSTRING && this.#decoded++ >= FIRST_STRINGS) {
      if (start < this.#windowStart || end > this.#windowEnd) this.#moveWindow(start);
      return this.#window.substring(start - this.#windowStart, end - this.#windowStart);
    }
    switch (length) {
      case 5:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, (a >> 24) & 0x7f, b & 0x7f);
      case 6:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, (a >> 24) & 0x7f, b & 0x7f, (b >> 8) & 0x7f);
      case 7:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, (a >> 24) & 0x7f, b & 0x7f, (b >> 8) & 0x7f, (b >> 16) & 0x7f);
      case 8:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, (a >> 24) & 0x7f, b & 0x7f, (b >> 8) & 0x7f, (b >> 16) & 0x7f, (b >> 24) & 0x7f);
      case 9:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, (a >> 24) & 0x7f, b & 0x7f, (b >> 8) & 0x7f, (b >> 16) & 0x7f, (b >> 24) & 0x7f, c & 0x7f);
      case 10:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, (a >> 24) & 0x7f, b & 0x7f, (b >> 8) & 0x7f, (b >> 16) & 0x7f, (b >> 24) & 0x7f, c & 0x7f, (c >> 8) & 0x7f);
      case 11:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, (a >> 24) & 0x7f, b & 0x7f, (b >> 8) & 0x7f, (b >> 16) & 0x7f, (b >> 24) & 0x7f, c & 0x7f, (c >> 8) & 0x7f, (c >> 16) & 0x7f);
      case 12:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, (a >> 24) & 0x7f, b & 0x7f, (b >> 8) & 0x7f, (b >> 16) & 0x7f, (b >> 24) & 0x7f, c & 0x7f, (c >> 8) & 0x7f, (c >> 16) & 0x7f, (c >> 24) & 0x7f);
      case 13:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, (a >> 24) & 0x7f, b & 0x7f, (b >> 8) & 0x7f, (b >> 16) & 0x7f, (b >> 24) & 0x7f, c & 0x7f, (c >> 8) & 0x7f, (c >> 16) & 0x7f, (c >> 24) & 0x7f, d & 0x7f);
      case 14:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, (a >> 24) & 0x7f, b & 0x7f, (b >> 8) & 0x7f, (b >> 16) & 0x7f, (b >> 24) & 0x7f, c & 0x7f, (c >> 8) & 0x7f, (c >> 16) & 0x7f, (c >> 24) & 0x7f, d & 0x7f, (d >> 8) & 0x7f);
      case 15:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, (a >> 24) & 0x7f, b & 0x7f, (b >> 8) & 0x7f, (b >> 16) & 0x7f, (b >> 24) & 0x7f, c & 0x7f, (c >> 8) & 0x7f, (c >> 16) & 0x7f, (c >> 24) & 0x7f, d & 0x7f, (d >> 8) & 0x7f, (d >> 16) & 0x7f);
      case 16:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, (a >> 24) & 0x7f, b & 0x7f, (b >> 8) & 0x7f, (b >> 16) & 0x7f, (b >> 24) & 0x7f, c & 0x7f, (c >> 8) & 0x7f, (c >> 16) & 0x7f, (c >> 24) & 0x7f, d & 0x7f, (d >> 8) & 0x7f, (d >> 16) & 0x7f, (d >> 24) & 0x7f);
      default:
        return this.#input!.buf.latin1Slice(start, end);
    }
  }

  #moveWindow(start: number): void {
    const input = this.#input!;
    this.#windowStart = start;
    this.#windowEnd = Math.min(start + WINDOW, input.end);
    this.#window = input.buf.latin1Slice(start, this.#windowEnd);
  }
}
/** UTF-8 with lone surrogates allowed; `undefined` when it is neither. */
export function decodeSurrogates(buf: Uint8Array, start: number, end: number): string | undefined {
  let text = '';
  let units: number[] = [];
  let i = start;
  while (i < end) {
    const lead = buf[i]!;
    const size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (size === 0 || i + size > end) return undefined;
    let point = size === 1 ? lead : lead & (0x7f >> size);
    for (let k = 1; k < size; k++) {
      const byte = buf[i + k]!;
      if ((byte & 0xc0) !== 0x80) return undefined;
      point = (point << 6) | (byte & 0x3f);
    }
    if ((size === 3 && point < 0x800) || (size === 4 && (point < 0x1_0000 || point > 0x10_ffff)))
      return undefined;
    if (point > 0xffff) {
      units.push(0xd800 + ((point - 0x1_0000) >> 10), 0xdc00 + ((point - 0x1_0000) & 0x3ff));
    } else {
      units.push(point);
    }
    i += size;
    if (units.length > 4096) {
      text += String.fromCharCode(...units);
      units = [];
    }
  }
  return text + String.fromCharCode(...units);
}
