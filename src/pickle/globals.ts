/** Global names as they stand in the input, found again without making strings. */
import { Global } from './global';
import type { Input } from './input';

const TABLE_SIZE = 256;
const MAX_LENGTH = 128;
/** How many names may share a slot: those of one module often begin alike. */
const SLOT_SIZE = 6;

interface Entry {
  /** `module LF name LF`, four bytes a word; the last one is masked. */
  readonly words: Int32Array;
  readonly lastMask: number;
  readonly length: number;
  readonly global: Global;
}

/** Shared by all readers of the process. */
const table: Entry[][] = Array.from({ length: TABLE_SIZE }, () => []);
let evict = 0;

/** Remembers the globals of the pickles read so far, up to a number. */
export class GlobalReader {
  /** Where the last global read ended. */
  end = 0;

  /** Reads `module LF name LF` at `start`; `undefined` when the lines don't end or are no UTF-8. Sets {@link end}. */
  read(input: Input, start: number): Global | undefined {
    if (start + MAX_LENGTH > input.readable) return this.#decode(input, start, undefined);
    const view = input.view;
    const first = view.getInt32(start, true);
    const slot =
      table[(Math.imul(first ^ view.getInt32(start + 4, true), 0x9e37_79b1 | 0) >>> 24) & (TABLE_SIZE - 1)]!;
    for (let n = 0; n < slot.length; n++) {
      const entry = slot[n]!;
      const words = entry.words;
      // The last words first: there names of one module differ.
      let i = words.length - 1;
      if ((view.getInt32(start + 4 * i, true) & entry.lastMask) !== words[i]) continue;
      while (--i >= 0 && view.getInt32(start + 4 * i, true) === words[i]);
      if (i >= 0 || start + entry.length > input.end) continue;
      this.end = start + entry.length;
      return entry.global;
    }
    return this.#decode(input, start, slot);
  }

  #decode({ buf, end, view }: Input, start: number, slot: Entry[] | undefined): Global | undefined {
    const firstEnd = buf.indexOf(0x0a, start);
    const secondEnd = firstEnd < 0 ? -1 : buf.indexOf(0x0a, firstEnd + 1);
    if (secondEnd < 0 || secondEnd >= end) return undefined;
    const module = buf.utf8Slice(start, firstEnd);
    const name = buf.utf8Slice(firstEnd + 1, secondEnd);
    if (module.includes('\ufffd') || name.includes('\ufffd')) return undefined;
    this.end = secondEnd + 1;
    const length = this.end - start;
    const global = Global.of(module, name);
    if (slot !== undefined && length <= MAX_LENGTH && length >= 8) {
      const words = new Int32Array(Math.ceil(length / 4));
      for (let i = 0; i < words.length; i++) words[i] = view.getInt32(start + 4 * i, true);
      const lastMask = (-1 >>> (((4 - length) & 3) << 3)) | 0;
      words[words.length - 1]! &= lastMask;
      const entry: Entry = { words, lastMask, length, global };
      if (slot.length < SLOT_SIZE) slot.push(entry);
      else slot[evict++ % SLOT_SIZE] = entry;
    }
    return global;
  }
}
