import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';

/** A page in the log, with what SQLite writes before it. */
const FRAME = 4_096 + 24;
/** Bytes by which the log's file is lengthened at once: what the disk makes of them counts more than how often. */
const STEP = 512 * 1024;
/** Pages between two looks: how many a commit writes is known by estimate only. */
const PAGES = 250;

/** Allocated when it is needed, once: memory that is only read takes no room. */
let zeros: Buffer | undefined;

/**
 * Keeps the file of the write-ahead log longer than what is in it. A commit that lengthens the file waits not only for its own
 * bytes, but for the file system to note the new length: twice as long. SQLite has no such setting, but as a rule finds the
 * remains of an older log after its last page; zeros are no page either.
 */
export class LogSpace {
  readonly #path: string;
  readonly #limit: number;
  #file: number | undefined;
  #isLow = false;

  /** @param limit bytes beyond which the file is not lengthened; 0 to leave it alone */
  constructor(path: string, limit: number) {
    this.#path = path;
    this.#limit = limit;
  }

  /**
   * Sees how much room there is; the next commit makes more when it is little.
   * @param pages length of the log
   * @returns after about how many more pages to look again
   */
  look(pages: number): number {
    if (this.#limit === 0) return PAGES;
    try {
      // A handle that writes keeps the log open: until it is closed this is the same file.
      this.#file ??= openSync(this.#path, 'r+');
      const size = fstatSync(this.#file).size;
      const room = size - pages * FRAME;
      const isLow = room < STEP / 2;
      if (isLow && size + STEP > this.#limit) return PAGES;
      this.#isLow = isLow;
      return Math.min(PAGES, (room + (isLow ? STEP : 0) - STEP / 4) / FRAME);
    } catch {
      return PAGES;
    }
  }

  /** Under the write lock: nobody else writes to the log, and none of its pages are beyond the end of the file. */
  provide(): void {
    if (!this.#isLow) return;
    this.#isLow = false;
    try {
      writeSync(this.#file!, (zeros ??= Buffer.alloc(STEP)), 0, STEP, fstatSync(this.#file!).size);
    } catch {
      // No space: if it is needed, the commit itself will say so.
    }
  }

  /** Lets go of the file, before SQLite does. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
    this.#isLow = false;
  }
}
