/**
 * What the reader must remember about single places of its stack: dicts that are not made yet, and floats that look like
 * integers. Consumers of the stack compare one number, {@link Notes.top}, to know that nothing is noted in their part.
 */

/** In place of a dict's offset: the note is about an integral float. */
export const FLOAT_NOTE = -1;

export class Notes {
  /** Highest place noted; -1 for none. */
  top = -1;
  count = 0;
  /** Places on the stack, ascending. */
  readonly places: number[] = [];
  /** Offset of each dict's opcode in the input, or {@link FLOAT_NOTE}. */
  readonly offsets: number[] = [];
  /** Number in the memo of each dict, -1 for none. */
  readonly memos: number[] = [];

  push(place: number, offset: number): void {
    const n = this.count++;
    this.places[n] = place;
    this.offsets[n] = offset;
    this.memos[n] = -1;
    this.top = place;
  }

  pop(): void {
    const n = --this.count;
    this.top = n > 0 ? this.places[n - 1]! : -1;
  }

  /** Takes out the note number `n`. */
  remove(n: number): void {
    for (let i = n + 1; i < this.count; i++) {
      this.places[i - 1] = this.places[i]!;
      this.offsets[i - 1] = this.offsets[i]!;
      this.memos[i - 1] = this.memos[i]!;
    }
    this.pop();
  }

  /** The note of a dict on the stack that has this number in the memo, or -1. */
  withMemo(memo: number): number {
    for (let n = this.count - 1; n >= 0; n--) {
      if (this.offsets[n] !== FLOAT_NOTE && this.memos[n] === memo) return n;
    }
    return -1;
  }

  clear(): void {
    this.count = 0;
    this.top = -1;
  }
}
