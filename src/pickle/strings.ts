/**
 * Text out of a pickle's bytes. Most strings of a record are short ASCII, many are keys seen before: those come out
 * of a table, compared four bytes at a time, other short ones out of a window decoded at once. A native call costs 40 ns,
 * as much as JSON.parse takes for three whole strings.
 */
import type { Input } from './input';

interface Entry {
  readonly text: string;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

const TABLE_SIZE = 4096;
const WORDS_LIMIT = 16;
/** V8 copies substrings below 13 characters; longer ones would keep the whole window alive. */
const COPIED_SUBSTRING = 12;
const WINDOW = 4096;
/** So many short strings are put together from their bytes before a window pays. */
const FIRST_STRINGS = 3;
const HIGH_BITS = 0x8080_8080 | 0;

/** Shared by all readers of the process: keys seen by one are likely to be met by the next. */
const table: (Entry | undefined)[] = new Array<Entry | undefined>(TABLE_SIZE).fill(undefined);

const { fromCharCode } = String;

/** Reads strings of one input after another. */
export class StringReader {
  #input: Input | undefined = undefined;
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

  /** A string that probably occurs again: a key, a name. The same text gives the same string, mostly. */
  key(start: number, end: number): string | undefined {
    const length = end - start;
    const input = this.#input!;
    if (length > WORDS_LIMIT || length === 0 || start + WORDS_LIMIT > input.readable)
      return this.value(start, end);
    const view = input.view;
    let a = view.getInt32(start, true);
    let b = 0;
    let c = 0;
    let d = 0;
    const mask = -1 >>> (((4 - length) & 3) << 3);
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
      a ^ Math.imul(b, 0x9e37_79b1) ^ Math.imul(c, 0x85eb_ca6b) ^ d ^ length,
      0xc2b2_ae35 | 0,
    );
    const slot = mixed >>> 20;
    const hit = table[slot];
    if (
      hit !== undefined &&
      hit.a === a &&
      hit.b === b &&
      hit.c === c &&
      hit.d === d &&
      hit.text.length === length
    ) {
      return hit.text;
    }
    if (((a | b | c | d) & HIGH_BITS) !== 0) return this.value(start, end);
    const text = this.#ascii(start, end, a, b, c, d);
    table[slot] = { text, a, b, c, d };
    return text;
  }

  /** A string; `undefined` when the bytes are no UTF-8 (lone surrogates pass, as in Python's "surrogatepass"). */
  value(start: number, end: number): string | undefined {
    const length = end - start;
    const input = this.#input!;
    if (length <= WORDS_LIMIT && length > 0 && start + WORDS_LIMIT <= input.readable) {
      return length <= 4 ? this.#short(start, end) : this.#words(start, end);
    }
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

  /** 5 to 16 bytes. */
  #words(start: number, end: number): string | undefined {
    const length = end - start;
    const view = this.#input!.view;
    const mask = -1 >>> (((4 - length) & 3) << 3);
    const a = view.getInt32(start, true);
    let b = view.getInt32(start + 4, true);
    let c = 0;
    let d = 0;
    if (length <= 8) {
      b &= mask;
    } else {
      c = view.getInt32(start + 8, true);
      if (length <= 12) c &= mask;
      else d = view.getInt32(start + 12, true) & mask;
    }
    if (((a | b | c | d) & HIGH_BITS) !== 0) {
      const text = this.#input!.buf.utf8Slice(start, end);
      return text.includes('\ufffd') ? decodeSurrogates(this.#input!.buf, start, end) : text;
    }
    return this.#ascii(start, end, a, b, c, d);
  }

  /** Up to 4 bytes: so short that few are different. */
  #short(start: number, end: number): string | undefined {
    const length = end - start;
    const a = this.#input!.view.getInt32(start, true) & (-1 >>> ((4 - length) << 3));
    const slot = Math.imul(a ^ length, 0xc2b2_ae35 | 0) >>> 20;
    const hit = table[slot];
    if (hit !== undefined && hit.a === a && hit.b === 0 && hit.text.length === length) return hit.text;
    if ((a & HIGH_BITS) !== 0) return decodeSurrogates(this.#input!.buf, start, end);
    const text = this.#input!.buf.latin1Slice(start, end);
    table[slot] = { text, a, b: 0, c: 0, d: 0 };
    return text;
  }

  /** 1 to 16 bytes that are ASCII, also given as words. */
  #ascii(start: number, end: number, a: number, b: number, c: number, d: number): string {
    const length = end - start;
    if (length <= COPIED_SUBSTRING && this.#decoded++ >= FIRST_STRINGS) {
      if (start < this.#windowStart || end > this.#windowEnd) this.#moveWindow(start);
      return this.#window.substring(start - this.#windowStart, end - this.#windowStart);
    }
    switch (length) {
      case 5:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, a >> 24, b);
      case 6:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, a >> 24, b & 0x7f, b >> 8);
      case 7:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, a >> 24, b & 0x7f, (b >> 8) & 0x7f, b >> 16);
      case 8:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, a >> 24, b & 0x7f, (b >> 8) & 0x7f, (b >> 16) & 0x7f, b >> 24);
      case 9:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, a >> 24, b & 0x7f, (b >> 8) & 0x7f, (b >> 16) & 0x7f, b >> 24, c);
      case 10:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, a >> 24, b & 0x7f, (b >> 8) & 0x7f, (b >> 16) & 0x7f, b >> 24, c & 0x7f, c >> 8);
      case 11:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, a >> 24, b & 0x7f, (b >> 8) & 0x7f, (b >> 16) & 0x7f, b >> 24, c & 0x7f, (c >> 8) & 0x7f, c >> 16);
      case 12:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, a >> 24, b & 0x7f, (b >> 8) & 0x7f, (b >> 16) & 0x7f, b >> 24, c & 0x7f, (c >> 8) & 0x7f, (c >> 16) & 0x7f, c >> 24);
      case 13:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, a >> 24, b & 0x7f, (b >> 8) & 0x7f, (b >> 16) & 0x7f, b >> 24, c & 0x7f, (c >> 8) & 0x7f, (c >> 16) & 0x7f, c >> 24, d);
      case 14:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, a >> 24, b & 0x7f, (b >> 8) & 0x7f, (b >> 16) & 0x7f, b >> 24, c & 0x7f, (c >> 8) & 0x7f, (c >> 16) & 0x7f, c >> 24, d & 0x7f, d >> 8);
      case 15:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, a >> 24, b & 0x7f, (b >> 8) & 0x7f, (b >> 16) & 0x7f, b >> 24, c & 0x7f, (c >> 8) & 0x7f, (c >> 16) & 0x7f, c >> 24, d & 0x7f, (d >> 8) & 0x7f, d >> 16);
      case 16:
        // prettier-ignore
        return fromCharCode(a & 0x7f, (a >> 8) & 0x7f, (a >> 16) & 0x7f, a >> 24, b & 0x7f, (b >> 8) & 0x7f, (b >> 16) & 0x7f, b >> 24, c & 0x7f, (c >> 8) & 0x7f, (c >> 16) & 0x7f, c >> 24, d & 0x7f, (d >> 8) & 0x7f, (d >> 16) & 0x7f, d >> 24);
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
