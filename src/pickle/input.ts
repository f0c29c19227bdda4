/**
 * The bytes a reader works on. Small inputs are copied into one place, so that a single view serves them all: making a
 * `DataView` for each costs as much as decoding three fields, and the view's 4-byte reads are what makes strings fast.
 */

/** Buffer methods that Node has and its types leave out; `toString` costs twice as much on short strings. */
export interface SlicingBuffer extends Buffer {
  latin1Slice(start: number, end: number): string;
  utf8Slice(start: number, end: number): string;
}

const COPIED_SIZE = 4096;
/** Bytes behind the input that may be read, though not used. */
const SLACK = 128;

/** Places for copies that no input uses now. */
const freeScratches: Buffer[] = [];

export class Input {
  buf: SlicingBuffer;
  view: DataView;
  /** Where the input ends. */
  end = 0;
  /** How far the view reaches. */
  readable = 0;
  /** What to add to a position to have that in the bytes given to {@link open}. */
  origin = 0;
  readonly #scratch = (freeScratches.pop() ?? Buffer.alloc(COPIED_SIZE + SLACK)) as SlicingBuffer;
  readonly #scratchView = new DataView(this.#scratch.buffer, this.#scratch.byteOffset, this.#scratch.length);

  constructor() {
    this.buf = this.#scratch;
    this.view = this.#scratchView;
  }

  /** Gives the place for copies to the next input; this one must not be used again. */
  dispose(): void {
    this.close();
    if (freeScratches.length < 8) freeScratches.push(this.#scratch);
  }

  /** Takes `bytes` from `start` up to `end`; positions count from `start`. */
  open(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start;
    this.end = size;
    this.origin = start;
    if (size <= COPIED_SIZE) {
      const source = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
      this.#scratch.set(source, 0);
      this.buf = this.#scratch;
      this.view = this.#scratchView;
      this.readable = size + SLACK;
    } else {
      this.buf = Buffer.from(bytes.buffer, bytes.byteOffset + start, size) as SlicingBuffer;
      this.view = new DataView(bytes.buffer, bytes.byteOffset + start, size);
      this.readable = size;
    }
  }

  /** Lets go of the bytes. */
  close(): void {
    this.buf = this.#scratch;
    this.view = this.#scratchView;
    this.end = 0;
  }
}
