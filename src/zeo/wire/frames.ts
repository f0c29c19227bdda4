/**
 * Sized messages: four bytes of unsigned big-endian length, then that many bytes, in both directions
 * (`ZEO/src/ZEO/asyncio/base.py`).
 */
import { ZeoProtocolError } from '../errors';

const EMPTY = Buffer.alloc(0);
const SMALLEST = 4096;
/** Space given to a message before all of it has arrived, in bytes; beyond, twice what has. */
const AT_ONCE = 1 << 20;

/** Puts the length in front of a message. */
export function frame(payload: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(payload.length + 4);
  out.writeUInt32BE(payload.length, 0);
  out.set(payload, 4);
  return out;
}

/**
 * Cuts a stream of bytes into messages. What a peer declares costs at most 1 MiB; beyond, memory follows what has arrived (twice of
 * it at most), and a message longer than the limit is refused when its length is read.
 */
export class FrameReader {
  /** The longest message accepted, in bytes. May be changed between messages. */
  limit: number;
  private data: Buffer = EMPTY;
  private start = 0;
  private end = 0;
  /** Whether `data` was made here, so that its free end may be written to. */
  private own = false;

  /** @param reuse a message is only good until the next {@link push}: space is used again instead of made anew */
  constructor(
    limit: number,
    private readonly reuse = false,
  ) {
    this.limit = limit;
  }

  /** Bytes that arrived and were not yet handed out. */
  get pendingBytes(): number {
    return this.end - this.start;
  }

  /** Takes what arrived. The chunk belongs to the reader from now on. */
  push(chunk: Buffer): void {
    const pending = this.end - this.start;
    if (pending === 0) {
      this.data = chunk;
      this.start = 0;
      this.end = chunk.length;
      this.own = false;
      return;
    }
    const needed = pending + chunk.length;
    if (this.own && this.reuse && this.start + needed > this.data.length && needed <= this.data.length) {
      this.data.copyWithin(0, this.start, this.end);
      this.start = 0;
      this.end = pending;
    } else if (!this.own || this.start + needed > this.data.length) {
      // A message of ordinary size gets its place at once.
      const announced = pending >= 4 ? Math.min(this.data.readUInt32BE(this.start) + 4, AT_ONCE) : 0;
      const bigger = Buffer.allocUnsafeSlow(
        Math.max(needed > AT_ONCE ? needed * 2 : needed, announced, SMALLEST),
      );
      this.data.copy(bigger, 0, this.start, this.end);
      this.data = bigger;
      this.start = 0;
      this.end = pending;
      this.own = true;
    }
    chunk.copy(this.data, this.end);
    this.end += chunk.length;
  }

  /**
   * The next whole message, or `undefined` when more must arrive first; a view of what was pushed, never overwritten unless
   * the reader was made to reuse its space.
   * Throws {@link ZeoProtocolError} for a message longer than the limit.
   */
  next(): Buffer | undefined {
    const pending = this.end - this.start;
    if (pending < 4) return undefined;
    const size = this.data.readUInt32BE(this.start);
    if (size > this.limit) {
      throw new ZeoProtocolError(
        `The peer announced a message of ${size} bytes; the limit is ${this.limit}.`,
      );
    }
    if (pending < size + 4) return undefined;
    const from = this.start + 4;
    this.start = from + size;
    const message = this.data.subarray(from, this.start);
    if (this.start === this.end) {
      this.data = EMPTY;
      this.start = this.end = 0;
      this.own = false;
    }
    return message;
  }
}
