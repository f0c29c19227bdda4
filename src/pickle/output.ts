/** A growing buffer, and the opcodes that stand alone. */
import { encodeLong } from './numbers';
import type { PreparedNames } from './prepared-names';

/** Buffer methods that Node has and its types leave out. */
interface WritingBuffer extends Buffer {
  utf8Write(text: string, offset: number): number;
}

const FIRST_SIZE = 8192;
/** Size of the buffers after the first one, as long as the pickles are short. */
const NEXT_SIZE = 16_384;
/** Results up to this size are the buffer's own bytes, and the next pickle goes behind them: a copy costs 100 ns. */
const SLICED_SIZE = 1024;
/** A buffer larger than this is given back after use. */
const KEPT_SIZE = 0x10_0000;
/** Strings up to this length are written byte by byte as long as they are ASCII: a native call costs more. */
const SHORT_TEXT = 28;

/** So with bytes. */
const SHORT_BYTES = 40;
/** Room behind what is asked for, so that whole words may be written over the end of the last one. */
const SLACK = 4;

/** Lone surrogates have no UTF-8; Node writes U+FFFD for them. */
const SURROGATE = /[\ud800-\udfff]/;

export class Output {
  #buf = Buffer.allocUnsafeSlow(FIRST_SIZE) as WritingBuffer;
  #view = new DataView(this.#buf.buffer);
  /** Where the pickles at work begin; what lies before is the callers'. */
  #start = 0;
  #pos = 0;

  /** Starts anew. */
  reset(): void {
    this.#pos = this.#start;
    if (this.#buf.length > KEPT_SIZE) this.#use(Buffer.allocUnsafeSlow(FIRST_SIZE));
  }

  /** What was written, the caller's from now on: call {@link reset} before writing more. */
  take(): Buffer {
    const start = this.#start;
    const end = this.#pos;
    const size = end - start;
    // A result must not keep a buffer alive that grew for larger ones.
    if (size <= SLICED_SIZE && this.#buf.length <= NEXT_SIZE) {
      this.#start = end;
      return this.#buf.subarray(start, end);
    }
    const result = size > 2048 ? Buffer.allocUnsafeSlow(size) : Buffer.allocUnsafe(size);
    this.#buf.copy(result, 0, start, end);
    return result;
  }

  #use(buf: Buffer): void {
    this.#buf = buf as WritingBuffer;
    this.#view = new DataView(buf.buffer);
  }

  #grow(size: number): void {
    const used = this.#pos - this.#start;
    const needed = used + size + SLACK;
    const larger = Buffer.allocUnsafeSlow(
      Math.max(needed > FIRST_SIZE / 2 ? this.#buf.length * 2 : NEXT_SIZE, needed),
    );
    this.#buf.copy(larger, 0, this.#start, this.#pos);
    this.#use(larger);
    this.#start = 0;
    this.#pos = used;
  }

  byte(a: number): void {
    if (this.#pos + 1 > this.#buf.length) this.#grow(1);
    this.#buf[this.#pos++] = a;
  }

  byte2(a: number, b: number): void {
    if (this.#pos + 2 > this.#buf.length) this.#grow(2);
    this.#buf[this.#pos++] = a;
    this.#buf[this.#pos++] = b;
  }

  /** PROTO, EMPTY_DICT, the number that it gets in the memo, and MARK when it will have several items. */
  beginDict(protocol: number, index: number, several: boolean): void {
    if (this.#pos + 9 > this.#buf.length) this.#grow(9);
    const p = this.#pos;
    this.#buf[p] = 0x80;
    this.#buf[p + 1] = protocol;
    this.#buf[p + 2] = 0x7d;
    if (index < 256) {
      this.#buf[p + 3] = 0x71;
      this.#buf[p + 4] = index;
      this.#pos = p + 5;
    } else this.#putLong(p + 3, index);
    if (several) this.#buf[this.#pos++] = 0x28;
  }

  /** An opcode and 4 bytes, little-endian. */
  code32(code: number, value: number): void {
    if (this.#pos + 5 > this.#buf.length) this.#grow(5);
    this.#buf[this.#pos] = code;
    this.#view.setInt32(this.#pos + 1, value, true);
    this.#pos += 5;
  }

  /** The first `size` bytes of `words`. */
  words(words: Int32Array, size: number): void {
    if (this.#pos + size + SLACK > this.#buf.length) this.#grow(size);
    const view = this.#view;
    const start = this.#pos;
    for (let w = 0; 4 * w < size; w++) view.setInt32(start + 4 * w, words[w]!, true);
    this.#pos = start + size;
  }

  /** A name, and the number that it gets in the memo. */
  name(prepared: PreparedNames, i: number, index: number): void {
    const { words, starts } = prepared;
    const size = prepared.sizes[i]!;
    if (this.#pos + size + 2 + SLACK > this.#buf.length) this.#grow(size + 2);
    const view = this.#view;
    const start = this.#pos;
    const last = starts[i + 1]!;
    for (let w = starts[i]!, p = start; w < last; w++, p += 4) view.setInt32(p, words[w]!, true);
    const end = start + size;
    if (index < 256) {
      this.#buf[end] = 0x71;
      this.#buf[end + 1] = index;
      this.#pos = end + 2;
    } else this.#putLong(end, index);
  }

  /** LONG_BINPUT at `p`. The short form stands where it is needed, without a call: every text and reference has one. */
  #putLong(p: number, index: number): void {
    this.#pos = p;
    this.code32(0x72, index);
  }

  /** An opcode and a short index, or its long form. */
  indexed(short: number, long: number, index: number): void {
    if (index < 256) this.byte2(short, index);
    else this.code32(long, index);
  }

  /** A number that is an integer of 32 bits. */
  int32(value: number): void {
    if (value >= 0 && value <= 0xff) {
      if (this.#pos + 2 > this.#buf.length) this.#grow(2);
      this.#buf[this.#pos++] = 0x4b;
      this.#buf[this.#pos++] = value;
    } else if (value >= 0 && value <= 0xffff) {
      if (this.#pos + 3 > this.#buf.length) this.#grow(3);
      const buf = this.#buf;
      let p = this.#pos;
      buf[p++] = 0x4d;
      buf[p++] = value;
      buf[p++] = value >>> 8;
      this.#pos = p;
    } else {
      this.code32(0x4a, value);
    }
  }

  /** A safe integer that needs more than 32 bits: LONG1 with as few bytes as hold it. */
  safeInteger(value: number): void {
    if (value >= -0x8000_0000 && value <= 0x7fff_ffff) {
      this.int32(value);
      return;
    }
    if (this.#pos + 10 > this.#buf.length) this.#grow(10);
    const buf = this.#buf;
    const sizeAt = this.#pos + 1;
    buf[this.#pos] = 0x8a;
    let p = sizeAt + 1;
    const sign = value < 0 ? 0xff : 0;
    let rest = value;
    for (;;) {
      const low = rest - Math.floor(rest / 256) * 256;
      rest = Math.floor(rest / 256);
      buf[p++] = low;
      if ((rest === 0 && low < 0x80 && sign === 0) || (rest === -1 && low >= 0x80 && sign === 0xff)) break;
    }
    buf[sizeAt] = p - sizeAt - 1;
    this.#pos = p;
  }

  /** An integer of any size. */
  long(value: bigint): void {
    if (value >= -0x8000_0000n && value <= 0x7fff_ffffn) {
      this.int32(Number(value));
      return;
    }
    const bytes = encodeLong(value);
    if (bytes.length < 256) this.byte2(0x8a, bytes.length);
    else this.code32(0x8b, bytes.length);
    this.bytes(bytes);
  }

  float(value: number): void {
    if (this.#pos + 9 > this.#buf.length) this.#grow(9);
    this.#buf[this.#pos] = 0x47;
    this.#view.setFloat64(this.#pos + 1, value);
    this.#pos += 9;
  }

  bytes(bytes: Uint8Array): void {
    const size = bytes.length;
    if (this.#pos + size > this.#buf.length) this.#grow(size);
    if (size < SHORT_BYTES) {
      const buf = this.#buf;
      for (let i = 0, p = this.#pos; i < size; i++) buf[p++] = bytes[i]!;
    } else {
      this.#buf.set(bytes, this.#pos);
    }
    this.#pos += size;
  }

  /** `C` or `B` with its length and bytes. */
  binBytes(bytes: Uint8Array): void {
    if (bytes.length < 256) this.byte2(0x43, bytes.length);
    else this.code32(0x42, bytes.length);
    this.bytes(bytes);
  }

  /** `C`, 8 bytes as two big-endian words, and the number that they get in the memo. */
  bytes8(high: number, low: number, index: number): void {
    if (this.#pos + 12 > this.#buf.length) this.#grow(12);
    const p = this.#pos;
    this.#buf[p] = 0x43;
    this.#buf[p + 1] = 8;
    this.#view.setInt32(p + 2, high);
    this.#view.setInt32(p + 6, low);
    if (index < 256) {
      this.#buf[p + 10] = 0x71;
      this.#buf[p + 11] = index;
      this.#pos = p + 12;
    } else this.#putLong(p + 10, index);
  }

  /** Behind an oid: BINGET of its class, TUPLE2, the number that the pair gets in the memo, BINPERSID. */
  namedReference(cls: number, index: number): void {
    if (this.#pos + 9 > this.#buf.length) this.#grow(9);
    const p = this.#pos;
    this.#buf[p] = 0x68;
    this.#buf[p + 1] = cls;
    this.#buf[p + 2] = 0x86;
    if (index < 256) {
      this.#buf[p + 3] = 0x71;
      this.#buf[p + 4] = index;
      this.#pos = p + 5;
    } else this.#putLong(p + 3, index);
    this.#buf[this.#pos++] = 0x51;
  }

  /**
   * BINUNICODE: `X`, the length in bytes, UTF-8; lone surrogates as three bytes each. Then the number that it gets in the
   * memo.
   */
  text(text: string, index: number): void {
    const length = text.length;
    if (this.#pos + 7 + length * 3 > this.#buf.length) this.#grow(7 + length * 3);
    const buf = this.#buf;
    const start = this.#pos + 5;
    let end = start;
    if (length <= SHORT_TEXT) {
      let i = 0;
      for (; i < length; i++) {
        const unit = text.charCodeAt(i);
        if (unit >= 0x80) break;
        buf[end++] = unit;
      }
      if (i < length) end = start + this.#utf8(text, start);
    } else {
      end = start + this.#utf8(text, start);
    }
    const size = end - start;
    buf[start - 5] = 0x58;
    this.#view.setInt32(start - 4, size, true);
    if (index < 256) {
      buf[end] = 0x71;
      buf[end + 1] = index;
      this.#pos = end + 2;
    } else this.#putLong(end, index);
  }

  #utf8(text: string, start: number): number {
    const size = this.#buf.utf8Write(text, start);
    // As many bytes as units: all ASCII.
    if (size === text.length || !SURROGATE.test(text)) return size;
    return this.#utf8WithSurrogates(text, start);
  }

  #utf8WithSurrogates(text: string, start: number): number {
    const buf = this.#buf;
    let p = start;
    for (let i = 0; i < text.length; i++) {
      const point = text.codePointAt(i)!;
      if (point < 0x80) {
        buf[p++] = point;
      } else if (point < 0x800) {
        buf[p++] = 0xc0 | (point >> 6);
        buf[p++] = 0x80 | (point & 0x3f);
      } else if (point < 0x1_0000) {
        buf[p++] = 0xe0 | (point >> 12);
        buf[p++] = 0x80 | ((point >> 6) & 0x3f);
        buf[p++] = 0x80 | (point & 0x3f);
      } else {
        i++;
        buf[p++] = 0xf0 | (point >> 18);
        buf[p++] = 0x80 | ((point >> 12) & 0x3f);
        buf[p++] = 0x80 | ((point >> 6) & 0x3f);
        buf[p++] = 0x80 | (point & 0x3f);
      }
    }
    return p - start;
  }
}
