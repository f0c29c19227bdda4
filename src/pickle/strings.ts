/**
 * Text out of a pickle's bytes. Most strings of a record are short ASCII, many are keys seen before: those come out
 * of a table without a native call (40 ns each), other short ones out of a window decoded at once.
 */

/** Buffer methods that Node has and its types leave out; `toString` costs twice as much on short strings. */
export interface SlicingBuffer extends Buffer {
  latin1Slice(start: number, end: number): string;
  utf8Slice(start: number, end: number): string;
}

const TABLE_SIZE = 4096;
/** V8 copies substrings below 13 characters; longer ones would keep the whole window alive. */
const COPIED_SUBSTRING = 12;
const KEY_LIMIT = 48;
const WINDOW = 16_384;

/** Reads strings of one input after another. */
export class StringReader {
  readonly #table: (string | undefined)[] = new Array<string | undefined>(TABLE_SIZE).fill(undefined);
  #buf: SlicingBuffer | undefined = undefined;
  #end = 0;
  #window = '';
  #windowStart = 0;
  #windowEnd = 0;

  /** Starts on another input. */
  open(buf: SlicingBuffer, end: number): void {
    this.#buf = buf;
    this.#end = end;
    this.#windowEnd = 0;
  }

  /** Lets go of the input. */
  close(): void {
    this.#buf = undefined;
    this.#window = '';
    this.#windowEnd = 0;
  }

  /** A string that probably occurs again: a key, a name. The same text gives the same string, mostly. */
  key(start: number, end: number): string | undefined {
    const length = end - start;
    if (length > KEY_LIMIT || length === 0) return this.value(start, end);
    const buf = this.#buf!;
    const slot =
      (length * 61 +
        buf[start]! * 7 +
        buf[end - 1]! * 31 +
        buf[start + (length >> 1)]! * 131 +
        (length > 2 ? buf[end - 2]! : 0) * 523) &
      (TABLE_SIZE - 1);
    const hit = this.#table[slot];
    if (hit !== undefined && hit.length === length) {
      let i = 0;
      while (i < length && hit.charCodeAt(i) === buf[start + i]) i++;
      if (i === length) return hit;
    }
    const text = this.value(start, end);
    // Of the same length only if every byte was ASCII, so the comparison above is exact.
    if (text !== undefined && text.length === length) this.#table[slot] = text;
    return text;
  }

  /** A string; `undefined` when the bytes are no UTF-8 (lone surrogates pass, as in Python's "surrogatepass"). */
  value(start: number, end: number): string | undefined {
    const length = end - start;
    if (length <= COPIED_SUBSTRING) {
      const buf = this.#buf!;
      let bits = 0;
      for (let i = start; i < end; i++) bits |= buf[i]!;
      if (bits < 0x80) {
        if (start < this.#windowStart || end > this.#windowEnd) this.#moveWindow(start);
        return this.#window.substring(start - this.#windowStart, end - this.#windowStart);
      }
    }
    const text = this.#buf!.utf8Slice(start, end);
    if (!text.includes('\ufffd')) return text;
    return decodeSurrogates(this.#buf!, start, end);
  }

  #moveWindow(start: number): void {
    this.#windowStart = start;
    this.#windowEnd = Math.min(start + WINDOW, this.#end);
    this.#window = this.#buf!.latin1Slice(start, this.#windowEnd);
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
