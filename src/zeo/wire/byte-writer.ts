import type { WireValue } from './values';

const INITIAL = 512;
/** A writer that had to grow beyond this gives the space back after the message. */
const KEEP = 1 << 20;

/** Collects one framed message: four bytes of length, then what is written. Reused from message to message. */
export class ByteWriter {
  buffer = Buffer.allocUnsafeSlow(INITIAL);
  length = 4;

  /** Makes room for `count` more bytes and returns where they begin. */
  reserve(count: number): number {
    const start = this.length;
    const end = start + count;
    if (end > this.buffer.length) this.grow(end);
    this.length = end;
    return start;
  }

  byte(value: number): void {
    const at = this.reserve(1);
    this.buffer[at] = value;
  }

  bytes(value: Uint8Array): void {
    const at = this.reserve(value.length);
    this.buffer.set(value, at);
  }

  /** The message with its length in front, as a buffer of its own; the writer is empty again. */
  take(): Buffer {
    const end = this.length;
    this.buffer.writeUInt32BE(end - 4, 0);
    const out = Buffer.allocUnsafe(end);
    this.buffer.copy(out, 0, 0, end);
    this.reset();
    return out;
  }

  /** Forgets what was written. */
  reset(): void {
    this.length = 4;
    if (this.buffer.length > KEEP) this.buffer = Buffer.allocUnsafeSlow(INITIAL);
  }

  private grow(needed: number): void {
    const bigger = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2));
    this.buffer.copy(bigger, 0, 0, this.length);
    this.buffer = bigger;
  }
}

/** What kept a value from being written, for messages. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'undefined';
  if (typeof value === 'object' && value !== null) return value.constructor?.name ?? 'object';
  return typeof value;
}

/** The entries of a `Map` or plain object, as written in a dict. */
export function dictEntries(value: object): [WireValue, WireValue | undefined][] {
  if (value instanceof Map) return [...(value as Map<WireValue, WireValue>)];
  return Object.entries(value as Record<string, WireValue | undefined>);
}
