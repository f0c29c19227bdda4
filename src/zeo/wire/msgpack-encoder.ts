/**
 * Writes wire values as msgpack, every value in the shortest form there is, floats always in 64 bits: the bytes of
 * `msgpack.packb(value, use_bin_type=True)`. A library would write 3.0 as an int, and the format is small.
 */
import { InvalidArgumentError } from '../../errors';
import { type ByteWriter, describeValue, dictEntries } from './byte-writer';
import { WireFloat, WireObject, WireTuple, type WireValue } from './values';

/** Appends one value. Throws {@link InvalidArgumentError} for what msgpack can't carry. */
export function writeMsgpack(out: ByteWriter, value: WireValue | undefined): void {
  switch (typeof value) {
    case 'number':
      return writeNumber(out, value);
    case 'string':
      return writeString(out, value);
    case 'boolean':
      return out.byte(value ? 0xc3 : 0xc2);
    case 'bigint':
      return writeBigInt(out, value);
    case 'undefined':
      return out.byte(0xc0);
    case 'object':
      return writeObject(out, value);
    default:
      throw new InvalidArgumentError(`A ${describeValue(value)} can't be sent to a ZEO peer.`);
  }
}

function writeObject(out: ByteWriter, value: object | null): void {
  if (value === null) out.byte(0xc0);
  else if (value instanceof Uint8Array) writeBytes(out, value);
  else if (value instanceof WireTuple) writeArray(out, value.items);
  else if (Array.isArray(value)) writeArray(out, value as WireValue[]);
  else if (value instanceof WireFloat) writeFloat(out, value.value);
  else if (value instanceof WireObject) {
    throw new InvalidArgumentError(`A ${value.module}.${value.name} can't be sent as msgpack.`);
  } else writeMap(out, value);
}

function writeNumber(out: ByteWriter, value: number): void {
  if (!Number.isInteger(value)) return writeFloat(out, value);
  if (value >= 0) {
    if (value < 0x80) return out.byte(value);
    if (value <= 0xff) return writeShort(out, 0xcc, value);
    if (value <= 0xffff) return write16(out, 0xcd, value);
    if (value <= 0xffff_ffff) return write32(out, 0xce, value);
    return writeBigInt(out, BigInt(value));
  }
  if (value >= -0x20) return out.byte(value & 0xff);
  if (value >= -0x80) return writeShort(out, 0xd0, value & 0xff);
  if (value >= -0x8000) return write16(out, 0xd1, value & 0xffff);
  if (value >= -0x8000_0000) return write32(out, 0xd2, value >>> 0);
  return writeBigInt(out, BigInt(value));
}

function writeBigInt(out: ByteWriter, value: bigint): void {
  if (value >= -0x8000_0000n && value <= 0xffff_ffffn) return writeNumber(out, Number(value));
  if (value > 0xffff_ffff_ffff_ffffn || value < -0x8000_0000_0000_0000n) {
    throw new InvalidArgumentError(`The int ${value} is beyond the 64 bits of msgpack.`);
  }
  const at = out.reserve(9);
  out.buffer[at] = value < 0n ? 0xd3 : 0xcf;
  out.buffer.writeBigUInt64BE(BigInt.asUintN(64, value), at + 1);
}

function writeFloat(out: ByteWriter, value: number): void {
  const at = out.reserve(9);
  out.buffer[at] = 0xcb;
  out.buffer.writeDoubleBE(value, at + 1);
}

function writeString(out: ByteWriter, value: string): void {
  const size = Buffer.byteLength(value, 'utf8');
  if (size < 0x20) out.byte(0xa0 | size);
  else writeSize(out, size, 0xd9, 0xda, 0xdb);
  const at = out.reserve(size);
  out.buffer.write(value, at, 'utf8');
}

function writeBytes(out: ByteWriter, value: Uint8Array): void {
  writeSize(out, value.length, 0xc4, 0xc5, 0xc6);
  out.bytes(value);
}

function writeArray(out: ByteWriter, items: readonly WireValue[]): void {
  if (items.length < 0x10) out.byte(0x90 | items.length);
  else if (items.length <= 0xffff) write16(out, 0xdc, items.length);
  else write32(out, 0xdd, items.length);
  for (const item of items) writeMsgpack(out, item);
}

function writeMap(out: ByteWriter, dict: object): void {
  const entries = dictEntries(dict);
  if (entries.length < 0x10) out.byte(0x80 | entries.length);
  else if (entries.length <= 0xffff) write16(out, 0xde, entries.length);
  else write32(out, 0xdf, entries.length);
  for (const [key, value] of entries) {
    writeMsgpack(out, key);
    writeMsgpack(out, value);
  }
}

function writeSize(out: ByteWriter, size: number, op8: number, op16: number, op32: number): void {
  if (size <= 0xff) writeShort(out, op8, size);
  else if (size <= 0xffff) write16(out, op16, size);
  else write32(out, op32, size);
}

function writeShort(out: ByteWriter, op: number, value: number): void {
  const at = out.reserve(2);
  out.buffer[at] = op;
  out.buffer[at + 1] = value;
}

function write16(out: ByteWriter, op: number, value: number): void {
  const at = out.reserve(3);
  out.buffer[at] = op;
  out.buffer.writeUInt16BE(value, at + 1);
}

function write32(out: ByteWriter, op: number, value: number): void {
  const at = out.reserve(5);
  out.buffer[at] = op;
  out.buffer.writeUInt32BE(value, at + 1);
}
