/** Messages whose last argument is a part of a file, taken apart for the thread that fills them in. */
import { FLAG, type Codec } from '../wire/codec';
import { tuple, type WireValue } from '../wire/values';
import type { MessageShape } from './socket-orders';

/** A byte that no message has beside its bytes argument. */
const MARK = 0xfe;

/** What is around `count` bytes in the message `name(bytes)`. */
export function shapeOf(codec: Codec, name: string, count: number): MessageShape {
  const { bytes, at } = encoded(codec, name, [], count);
  return { head: Uint8Array.from(bytes.subarray(0, at)), tail: Uint8Array.from(bytes.subarray(at + count)) };
}

/** How the messages `name(...first, bytes)` begin, up to the opcode of `bytes`, and how much follows. */
export function startOf(
  codec: Codec,
  name: string,
  first: readonly WireValue[],
): { prefix: Uint8Array; trailer: number } {
  const count = 300;
  const { bytes, at } = encoded(codec, name, first, count);
  // The opcode's length: `B` and four bytes in a pickle, `c5` and two in msgpack.
  const opcode = codec.letter === 'Z' ? 5 : 3;
  return { prefix: Uint8Array.from(bytes.subarray(4, at - opcode)), trailer: bytes.length - at - count };
}

function encoded(
  codec: Codec,
  name: string,
  first: readonly WireValue[],
  count: number,
): { bytes: Buffer; at: number } {
  const filler = Buffer.alloc(count, MARK);
  const bytes = codec.encode(0, FLAG.oneWay, name, tuple(...first, filler));
  return { bytes, at: bytes.lastIndexOf(filler) };
}
