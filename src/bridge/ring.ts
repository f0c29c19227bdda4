/**
 * A queue of byte records in shared memory, written by one thread and read by another.
 *
 * | control word | meaning |
 * |---|---|
 * | 0 `HEAD` | where the writer goes on; the reader sleeps on it |
 * | 1 `TAIL` | where the reader goes on |
 * | 2 `ASLEEP` | 1 while the reader waits in `Atomics.wait`, so that no message need wake its event loop |
 * | 3 `BELL` | 1 from the message that wakes the reader's event loop until it is seen |
 * | 4 `BLOCKED` | 1 while the writer waits for room |
 *
 * A record is 8 bytes of header, little-endian — length; tag × 2 + 1 when another fragment of it follows — and its bytes. Head and tail are
 * positions in the data; they are equal when it is empty, so one byte stays free.
 */
export const CONTROL_WORDS = 8;
export const HEAD = 0;
export const TAIL = 1;
export const ASLEEP = 2;
export const BELL = 3;
export const BLOCKED = 4;
export const HEADER_BYTES = 8;

/** The reading end. */
export class RingReader {
  /** Tag of the record that {@link read} returned last. */
  tag = 0;
  private readonly header = Buffer.alloc(HEADER_BYTES);
  private fragments: Buffer[] = [];

  constructor(
    private readonly control: Int32Array,
    private readonly data: Uint8Array,
  ) {}

  /** Whether {@link read} has something to look at. */
  get readable(): boolean {
    return Atomics.load(this.control, HEAD) !== this.control[TAIL];
  }

  /** Whether the writer waits for room; asking forgets it. */
  takeBlocked(): boolean {
    return (
      Atomics.load(this.control, BLOCKED) === 1 && Atomics.compareExchange(this.control, BLOCKED, 1, 0) === 1
    );
  }

  /** The next whole record, or `undefined`. */
  read(): Buffer | undefined {
    while (this.readable) {
      this.copyOut(this.header, HEADER_BYTES);
      const length = this.header.readUInt32LE(0);
      const tag = this.header.readUInt32LE(4);
      const bytes = Buffer.allocUnsafe(length);
      this.copyOut(bytes, length);
      if (tag & 1) {
        this.fragments.push(bytes);
        continue;
      }
      this.tag = tag >>> 1;
      if (this.fragments.length === 0) return bytes;
      this.fragments.push(bytes);
      const whole = Buffer.concat(this.fragments);
      this.fragments = [];
      return whole;
    }
    return undefined;
  }

  /** Blocks this thread until there is something to read; false when `milliseconds` passed without. */
  wait(milliseconds: number): boolean {
    const tail = this.control[TAIL]!;
    if (Atomics.load(this.control, HEAD) !== tail) return true;
    Atomics.store(this.control, ASLEEP, 1);
    // A record written before the writer could see that we sleep changed HEAD, so this returns at once.
    const outcome = Atomics.wait(this.control, HEAD, tail, milliseconds);
    Atomics.store(this.control, ASLEEP, 0);
    return outcome !== 'timed-out';
  }

  private copyOut(target: Buffer, count: number): void {
    const tail = this.control[TAIL]!;
    const size = this.data.length;
    const first = Math.min(count, size - tail);
    target.set(this.data.subarray(tail, tail + first), 0);
    if (first < count) target.set(this.data.subarray(0, count - first), first);
    Atomics.store(this.control, TAIL, (tail + count) % size);
  }
}
