/** Global names as they stand in the input, found again without making strings. */
import { Global } from './global';

const TABLE_SIZE = 512;

interface Entry {
  /** `module LF name LF` */
  readonly text: string;
  readonly global: Global;
}

/** Remembers the globals of the pickles read so far, up to a number. */
export class GlobalReader {
  readonly #table: (Entry | undefined)[] = new Array<Entry | undefined>(TABLE_SIZE).fill(undefined);
  /** Where the last global read ended. */
  end = 0;

  /** Reads `module LF name LF` at `start`; `undefined` when the lines don't end or are no UTF-8. Sets {@link end}. */
  read(buf: Buffer, start: number, limit: number): Global | undefined {
    let hash = 0;
    let i = start;
    let lines = 0;
    while (i < limit) {
      const byte = buf[i++]!;
      hash = (Math.imul(hash, 31) + byte) | 0;
      if (byte === 0x0a && ++lines === 2) break;
    }
    if (lines < 2) return undefined;
    this.end = i;
    const slot = (hash ^ (hash >>> 9)) & (TABLE_SIZE - 1);
    const hit = this.#table[slot];
    const length = i - start;
    if (hit !== undefined && hit.text.length === length) {
      let k = 0;
      while (k < length && hit.text.charCodeAt(k) === buf[start + k]) k++;
      if (k === length) return hit.global;
    }
    const text = buf.toString('utf8', start, i);
    if (text.includes('\ufffd')) return undefined;
    const newline = text.indexOf('\n');
    const global = Global.of(text.slice(0, newline), text.slice(newline + 1, -1));
    if (text.length === length && length < 1000) this.#table[slot] = { text, global };
    return global;
  }
}
