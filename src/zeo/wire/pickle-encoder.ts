/**
 * Writes wire values as Python's ZEO does: pickle protocol 3 without a memo (`fast` pickler), so the same value is always
 * the same bytes.
 *
 * | value | opcodes |
 * |---|---|
 * | int | `K` 1 byte, `M` 2 bytes, `J` 4 bytes signed, `8a` LONG1 beyond |
 * | bytes, str | `C` up to 255, `B` beyond; `X` |
 * | tuple | `)` `85` `86` `87`, `(`…`t` from four items on |
 * | list | `]`, one item `a`, else `(`…`e` in batches of 1,000 |
 * | dict | `}`, one item `s`, else `(`…`u` in batches of 1,000 |
 * | float, None, bool | `G`, `N`, `88` `89` |
 */
import { InvalidArgumentError } from '../../errors';
import { type ByteWriter, describeValue, dictEntries } from './byte-writer';
import { WireFloat, WireObject, WireTuple, type WireValue } from './values';

const BATCH = 1000;

/** Appends one complete pickle. */
export function writePickle(out: ByteWriter, value: WireValue | undefined): void {
  out.byte(0x80);
  out.byte(3);
  writeValue(out, value);
  out.byte(0x2e);
}

/** Appends the opcodes of one value. Throws {@link InvalidArgumentError} for what the wire can't carry. */
export function writeValue(out: ByteWriter, value: WireValue | undefined): void {
  switch (typeof value) {
    case 'number':
      return writeNumber(out, value);
    case 'string':
      return writeString(out, value);
    case 'boolean':
      return out.byte(value ? 0x88 : 0x89);
    case 'bigint':
      return writeLong(out, value);
    case 'undefined':
      return out.byte(0x4e);
    case 'object':
      return writeObject(out, value);
    default:
      throw new InvalidArgumentError(`A ${describeValue(value)} can't be sent to a ZEO peer.`);
  }
}

function writeObject(out: ByteWriter, value: object | null): void {
  if (value === null) out.byte(0x4e);
  else if (value instanceof Uint8Array) writeBytes(out, value);
  else if (value instanceof WireTuple) writeTuple(out, value.items);
  else if (Array.isArray(value)) writeList(out, value as WireValue[]);
  else if (value instanceof WireFloat) writeFloat(out, value.value);
  else if (value instanceof WireObject) writeForeign(out, value);
  else writeDict(out, value);
}

function writeNumber(out: ByteWriter, value: number): void {
  if (!Number.isInteger(value)) return writeFloat(out, value);
  if (value >= 0 && value <= 0xff) {
    const at = out.reserve(2);
    out.buffer[at] = 0x4b;
    out.buffer[at + 1] = value;
  } else if (value >= 0 && value <= 0xffff) {
    const at = out.reserve(3);
    out.buffer[at] = 0x4d;
    out.buffer.writeUInt16LE(value, at + 1);
  } else if (value >= -0x8000_0000 && value <= 0x7fff_ffff) {
    const at = out.reserve(5);
    out.buffer[at] = 0x4a;
    out.buffer.writeInt32LE(value, at + 1);
  } else {
    writeLong(out, BigInt(value));
  }
}

function writeFloat(out: ByteWriter, value: number): void {
  const at = out.reserve(9);
  out.buffer[at] = 0x47;
  out.buffer.writeDoubleBE(value, at + 1);
}

/** Two's complement, little-endian, as short as the sign bit allows. */
function writeLong(out: ByteWriter, value: bigint): void {
  if (value >= -0x8000_0000n && value <= 0x7fff_ffffn) return writeNumber(out, Number(value));
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const low = Number(rest & 0xffn);
    bytes.push(low);
    rest >>= 8n;
    if ((rest === 0n && low < 0x80) || (rest === -1n && low >= 0x80)) break;
  }
  if (bytes.length > 255) throw new InvalidArgumentError('An int of more than 255 bytes can not be sent.');
  out.byte(0x8a);
  out.byte(bytes.length);
  out.bytes(Uint8Array.from(bytes));
}

function writeString(out: ByteWriter, value: string): void {
  const size = Buffer.byteLength(value, 'utf8');
  const at = out.reserve(5 + size);
  out.buffer[at] = 0x58;
  out.buffer.writeUInt32LE(size, at + 1);
  out.buffer.write(value, at + 5, 'utf8');
}

function writeBytes(out: ByteWriter, value: Uint8Array): void {
  const size = value.length;
  if (size < 256) {
    const at = out.reserve(2 + size);
    out.buffer[at] = 0x43;
    out.buffer[at + 1] = size;
    out.buffer.set(value, at + 2);
  } else {
    const at = out.reserve(5 + size);
    out.buffer[at] = 0x42;
    out.buffer.writeUInt32LE(size, at + 1);
    out.buffer.set(value, at + 5);
  }
}

function writeTuple(out: ByteWriter, items: readonly WireValue[]): void {
  const count = items.length;
  if (count > 3) out.byte(0x28);
  for (const item of items) writeValue(out, item);
  out.byte(count === 0 ? 0x29 : count > 3 ? 0x74 : 0x84 + count);
}

function writeList(out: ByteWriter, items: readonly WireValue[]): void {
  out.byte(0x5d);
  for (let from = 0; from < items.length; from += BATCH) {
    const count = Math.min(BATCH, items.length - from);
    if (count > 1) out.byte(0x28);
    for (let i = from; i < from + count; i++) writeValue(out, items[i]);
    out.byte(count > 1 ? 0x65 : 0x61);
  }
}

function writeDict(out: ByteWriter, dict: object): void {
  const entries = dictEntries(dict);
  out.byte(0x7d);
  for (let from = 0; from < entries.length; from += BATCH) {
    const count = Math.min(BATCH, entries.length - from);
    if (count > 1) out.byte(0x28);
    for (let i = from; i < from + count; i++) {
      writeValue(out, entries[i]![0]);
      writeValue(out, entries[i]![1]);
    }
    out.byte(count > 1 ? 0x75 : 0x73);
  }
}

function writeForeign(out: ByteWriter, value: WireObject): void {
  if (/\n/.test(value.module + value.name)) {
    throw new InvalidArgumentError('A class name with a line break can not be sent.');
  }
  out.bytes(Buffer.from(`c${value.module}\n${value.name}\n`, 'utf8'));
  if (value.args !== undefined) {
    writeValue(out, value.args);
    out.byte(0x52);
  }
  if (value.state !== undefined) {
    writeValue(out, value.state);
    out.byte(0x62);
  }
}
