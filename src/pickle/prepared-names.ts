/** Names of a state's columns as they stand in a pickle: made once for all states alike, compared and copied four bytes at a time. */
import { slotOfText } from './write-memo';
import { WriteAs } from './write-as';

/** Longer names are not prepared, nor are lists with one. */
const MAX_LENGTH = 64;
const SURROGATE = /[\ud800-\udfff]/;

/** Bytes four a word, the last word padded with zeros. */
export function wordsOf(bytes: Uint8Array): Int32Array {
  const padded = Buffer.alloc((bytes.length + 3) & ~3);
  padded.set(bytes);
  return Int32Array.from({ length: padded.length / 4 }, (_, i) => padded.readInt32LE(4 * i));
}

/** BINUNICODE, the length and the UTF-8 of each of some names. */
export class PreparedNames {
  readonly names: readonly string[];
  /** Whether the values are written as floats. */
  readonly isFloat: readonly boolean[];
  /** All names one after the other, each padded with zeros to whole words. */
  readonly words: Int32Array;
  /** Where in `words` each begins, and at last their end. */
  readonly starts: Int32Array;
  /** How many bytes each takes. */
  readonly sizes: Int32Array;
  /** For the last word of each, those of its bytes that count. */
  readonly lastMasks: Int32Array;
  /** Where the writer's memo looks for each. */
  readonly slots: Int32Array;
  /** Bytes of the largest, padding included. */
  readonly largest: number;

  private constructor(names: readonly string[], kinds: readonly WriteAs[]) {
    const encoded = names.map((name) => {
      const text = Buffer.from(name);
      const bytes = Buffer.alloc(5 + text.length);
      bytes[0] = 0x58;
      bytes.writeUInt32LE(text.length, 1);
      text.copy(bytes, 5);
      return bytes;
    });
    const words = encoded.map(wordsOf);
    this.names = names;
    this.isFloat = names.map((_, i) => kinds[i] === WriteAs.float);
    this.words = Int32Array.from(words.flatMap((each) => [...each]));
    this.starts = new Int32Array(names.length + 1);
    words.forEach((each, i) => (this.starts[i + 1] = this.starts[i]! + each.length));
    this.sizes = Int32Array.from(encoded, ({ length }) => length);
    this.lastMasks = this.sizes.map((size) => -1 >>> (((4 - size) & 3) << 3));
    this.slots = Int32Array.from(names, slotOfText);
    this.largest = Math.max(...words.map(({ length }) => 4 * length));
  }

  /** `undefined` for names that can't be prepared. */
  static of(names: readonly string[], kinds: readonly WriteAs[]): PreparedNames | undefined {
    if (names.length === 0 || new Set(names).size < names.length) return undefined;
    if (names.some((name) => name === '' || name.length > MAX_LENGTH || SURROGATE.test(name)))
      return undefined;
    return new PreparedNames(names, kinds);
  }

  /** Whether the name number `i` stands at `pos`. */
  standsAt(view: DataView, pos: number, i: number): boolean {
    const words = this.words;
    const last = this.starts[i + 1]! - 1;
    let at = pos;
    let w = this.starts[i]!;
    for (; w < last; w++) {
      if (view.getInt32(at, true) !== words[w]) return false;
      at += 4;
    }
    return ((view.getInt32(at, true) ^ words[w]!) & this.lastMasks[i]!) === 0;
  }
}
