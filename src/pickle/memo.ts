/** The memo of a pickle: values by number, nearly always numbered in order. */
import type { StringReader } from './strings';

/** Stands for `undefined` in the memo, where that means "empty". */
const UNDEFINED: unique symbol = Symbol('undefined');

/** A gap larger than this goes to a map. */
const MAX_GAP = 1024;

export class Memo {
  /** Values; `undefined` where there is none, or where it is to be made when asked for. */
  readonly entries: unknown[] = [];
  /** One more than the highest number in `entries`. */
  size = 0;
  #gaps = 0;
  #far: Map<number, unknown> | undefined = undefined;
  /**
   * For numbers whose entry is `undefined`: one more than the offset of the 8 bytes that it stands for; for a text, that
   * of its length, negated; 0 for neither.
   */
  readonly #lazyStarts: number[] = [];
  /** Those of pairs; what stands at other numbers means nothing. Classes are few and stay anyway: they are not cleared. */
  readonly #lazyClasses: unknown[] = [];

  /** How many values there are: the number that MEMOIZE gives the next one. */
  get count(): number {
    return this.size - this.#gaps + (this.#far?.size ?? 0);
  }

  put(index: number, value: unknown): void {
    if (index === this.size) {
      this.entries[index] = value === undefined ? UNDEFINED : value;
      this.size++;
    } else {
      this.#putOutOfOrder(index, value === undefined ? UNDEFINED : value);
    }
  }

  /** Keeps a number for a value that is not made yet: a dict on the stack. */
  reserve(index: number): void {
    if (index === this.size) this.size++;
    else this.#putOutOfOrder(index, null);
    if (index < this.size) {
      this.entries[index] = undefined;
      this.#lazyStarts[index] = 0;
    }
  }

  /**
   * Keeps a number for a short text whose length stands at `start` of the input: hardly any is asked for again, and to store a
   * new object in an old array costs more than a number.
   */
  reserveText(index: number, start: number, text: string): void {
    if (index === this.size && index < this.entries.length) {
      this.size++;
      this.#lazyStarts[index] = -start - 1;
    } else {
      this.put(index, text);
    }
  }

  /**
   * Keeps a number for the 8 bytes at `start` of the input, or for the pair of them and `cls`: parts of a reference,
   * which hardly anything asks for again.
   */
  reserve8(index: number, start: number, cls?: unknown): void {
    this.reserve(index);
    if (index >= this.size) return;
    this.#lazyStarts[index] = start + 1;
    this.#lazyClasses[index] = cls;
  }

  /** As {@link reserve8} of both parts of a reference, which have the next two numbers; false when they have others. */
  reserveReference(oidIndex: number, pairIndex: number, start: number, cls: unknown): boolean {
    const size = this.size;
    if (oidIndex !== size || pairIndex !== size + 1) return false;
    this.entries[size] = undefined;
    this.entries[pairIndex] = undefined;
    this.#lazyStarts[size] = start + 1;
    this.#lazyStarts[pairIndex] = start + 1;
    this.#lazyClasses[size] = undefined;
    this.#lazyClasses[pairIndex] = cls;
    this.size = size + 2;
    return true;
  }

  #putOutOfOrder(index: number, value: unknown): void {
    if (index < this.size) {
      this.entries[index] = value;
    } else if (index - this.size <= MAX_GAP) {
      this.#gaps += index - this.size;
      while (this.size < index) {
        this.#lazyStarts[this.size] = 0;
        this.entries[this.size++] = undefined;
      }
      this.entries[this.size++] = value;
    } else {
      (this.#far ??= new Map()).set(index, value);
    }
  }

  /** A value; `undefined` also when there is none: ask {@link find} then. */
  get(index: number): unknown {
    return index < this.size ? this.entries[index] : undefined;
  }

  /** A value that {@link get} gave as it lies in `entries`. */
  static unwrap(value: unknown): unknown {
    return value === UNDEFINED ? undefined : value;
  }

  /** Whether a value is the stand-in of `undefined`. */
  static isWrapped(value: unknown): boolean {
    return value === UNDEFINED;
  }

  /** What {@link get} did not find: made lazily from `input`, or far out; `undefined` when there is none. Still wrapped. */
  find(index: number, input: Buffer, strings: StringReader): unknown {
    const start = index < this.size ? (this.#lazyStarts[index] ?? 0) : 0;
    if (start === 0) return this.#far?.get(index);
    if (start < 0) return (this.entries[index] = strings.key(3 - start, 3 - start + input[-start - 1]!));
    const bytes = Buffer.from(input.subarray(start - 1, start + 7));
    const cls = this.#lazyClasses[index];
    const value = cls === undefined ? bytes : Object.freeze([bytes, cls]);
    this.#lazyStarts[index] = 0;
    this.entries[index] = value;
    return value;
  }

  /** How many numbers below `size` are free. */
  get gaps(): number {
    return this.#gaps;
  }

  /** The values far out, for {@link rewind}. */
  copyOfFar(): ReadonlyMap<number, unknown> | undefined {
    return this.#far && new Map(this.#far);
  }

  /** Goes back to an earlier size. */
  rewind(size: number, gaps: number, far: ReadonlyMap<number, unknown> | undefined): void {
    for (let i = size; i < this.size; i++) this.entries[i] = undefined;
    this.size = size;
    this.#gaps = gaps;
    this.#far = far && new Map(far);
  }

  /** Forgets everything. */
  clear(): void {
    const entries = this.entries;
    if (entries.length > 4096) entries.length = this.#lazyStarts.length = this.#lazyClasses.length = 0;
    else for (let i = this.size - 1; i >= 0; i--) entries[i] = undefined;
    this.size = 0;
    this.#gaps = 0;
    this.#far = undefined;
  }
}
