/**
 * Reads msgpack as `msgpack.unpackb(bytes, raw=False, use_list=False)` does. A declared count is checked against what is left
 * before anything is allocated (an item takes a byte at least), and depth and number of containers are bounded.
 */
import { ZeoProtocolError } from '../errors';
import { WireFloat, WireTuple, type WireValue } from './values';
import type { DecodeLimits } from './pickle-decoder';

const MAX_DEPTH = 64;

/** Reads one value that fills `bytes`. Byte strings are views of it. Throws {@link ZeoProtocolError}. */
export function readMsgpack(bytes: Buffer, limits: DecodeLimits): WireValue {
  return new MsgpackReader(bytes, limits).read();
}

class MsgpackReader {
  private at = 0;
  private depth = 0;
  private containers = 0;

  constructor(
    private readonly bytes: Buffer,
    private readonly limits: DecodeLimits,
  ) {}

  read(): WireValue {
    const value = this.value();
    if (this.at !== this.bytes.length) this.fail('bytes follow its end');
    return value;
  }

  private value(): WireValue {
    const op = this.unsigned(1);
    if (op < 0x80) return op;
    if (op < 0x90) return this.map(op & 0x0f);
    if (op < 0xa0) return this.array(op & 0x0f);
    if (op < 0xc0) return this.text(op & 0x1f);
    if (op >= 0xe0) return op - 0x100;
    return this.scalar(op);
  }

  private scalar(op: number): WireValue {
    switch (op) {
      case 0xc0:
        return null;
      case 0xc2:
      case 0xc3:
        return op === 0xc3;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.slice(this.unsigned(1 << (op - 0xc4)));
      case 0xca:
        return new WireFloat(this.slice(4).readFloatBE(0));
      case 0xcb:
        return new WireFloat(this.slice(8).readDoubleBE(0));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.unsigned(1 << (op - 0xcc));
      case 0xcf:
        return small(this.slice(8).readBigUInt64BE(0));
      case 0xd0:
      case 0xd1:
      case 0xd2: {
        const size = 1 << (op - 0xd0);
        return this.slice(size).readIntBE(0, size);
      }
      case 0xd3:
        return small(this.slice(8).readBigInt64BE(0));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.text(this.unsigned(1 << (op - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.array(this.unsigned(op === 0xdc ? 2 : 4));
      case 0xde:
      case 0xdf:
        return this.map(this.unsigned(op === 0xde ? 2 : 4));
      default:
        return this.fail(`the type 0x${op.toString(16)} is not part of the protocol`);
    }
  }

  private array(count: number): WireTuple {
    this.enter(count);
    const items: WireValue[] = [];
    for (let i = 0; i < count; i++) items.push(this.value());
    this.depth--;
    return new WireTuple(items);
  }

  private map(count: number): WireValue {
    this.enter(count * 2);
    const out = new Map<WireValue, WireValue>();
    for (let i = 0; i < count; i++) {
      const key = this.value();
      if (typeof key !== 'string' && !(key instanceof Uint8Array))
        this.fail('a key is neither str nor bytes');
      out.set(key, this.value());
    }
    this.depth--;
    return out;
  }

  private enter(items: number): void {
    if (++this.depth > MAX_DEPTH) this.fail(`it nests deeper than ${MAX_DEPTH}`);
    if (++this.containers > this.limits.containers) {
      this.fail(`it holds more than ${this.limits.containers} containers`);
    }
    if (items > this.bytes.length - this.at) this.fail('a declared count goes beyond its end');
  }

  private unsigned(size: number): number {
    return this.slice(size).readUIntBE(0, size);
  }

  private text(size: number): string {
    return this.slice(size).toString('utf8');
  }

  private slice(count: number): Buffer {
    const end = this.at + count;
    if (end > this.bytes.length) this.fail('a declared length goes beyond its end');
    const out = this.bytes.subarray(this.at, end);
    this.at = end;
    return out;
  }

  private fail(why: string): never {
    throw new ZeoProtocolError(`The peer sent msgpack that can't be read: ${why} (byte ${this.at}).`);
  }
}

function small(value: bigint): number | bigint {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : value;
}
