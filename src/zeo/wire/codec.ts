/**
 * Messages of ZEO 5 and 6. After the handshake everything in both directions is a sized message that holds one
 * 4-tuple (`ZEO/src/ZEO/asyncio/base.py`, `marshal.py`):
 *
 * | field | request | reply |
 * |---|---|---|
 * | id | 1, 2, … for calls; 0 for one-way calls; the tuple (oid, tid) for `loadBefore`; -1 heartbeat | that of the request |
 * | flag | False: wants a reply; True: one-way | 0 result, 2 error |
 * | name | method | `.reply` |
 * | args | tuple of arguments | the result, or (class name, state) of the error |
 */
import { ZeoProtocolError } from '../errors';
import { ByteWriter } from './byte-writer';
import { readMsgpack } from './msgpack-decoder';
import { writeMsgpack } from './msgpack-encoder';
import { readPickle, type DecodeLimits } from './pickle-decoder';
import { writePickle } from './pickle-encoder';
import { itemsOf, tuple, WireTuple, type WireValue } from './values';

/** The protocol version spoken, after the codec's letter. */
export const PROTOCOL_VERSION = '5';
/** Name of a reply. */
export const REPLY = '.reply';
/** Flags of a message. */
export const FLAG = { call: false, oneWay: true, result: 0, error: 2 } as const;
/** Message id of a heartbeat. */
export const HEARTBEAT_ID = -1;

/** A message taken apart. */
export interface Message {
  readonly id: WireValue;
  readonly flag: boolean | number;
  readonly name: string;
  readonly args: WireValue;
}

/** One of the two ways to write a message. */
export interface Codec {
  /** `Z` pickle, `M` msgpack. */
  readonly letter: 'Z' | 'M';
  /** The message with its length in front. Throws `InvalidArgumentError` for what can't be sent. */
  encode(id: WireValue, flag: boolean | number, name: string, args: WireValue | undefined): Buffer;
  /** Throws {@link ZeoProtocolError}. Byte strings are views of `bytes`. */
  decode(bytes: Buffer): Message;
}

/** The codec of a handshake's letter. */
export function makeCodec(letter: 'Z' | 'M', limits: DecodeLimits): Codec {
  const writer = new ByteWriter();
  const write = letter === 'Z' ? writePickle : writeMsgpack;
  const read = letter === 'Z' ? readPickle : readMsgpack;
  return {
    letter,
    encode(id, flag, name, args) {
      try {
        write(writer, tuple(id, flag, name, args ?? null));
        return writer.take();
      } finally {
        writer.reset();
      }
    },
    decode: (bytes) => toMessage(read(bytes, limits)),
  };
}

function toMessage(value: WireValue): Message {
  const items = itemsOf(value);
  if (!items || items.length !== 4) throw new ZeoProtocolError('The peer sent what is not a 4-tuple.');
  const [id, flag, name, args] = items as [WireValue, WireValue, WireValue, WireValue];
  if (typeof flag !== 'boolean' && typeof flag !== 'number') {
    throw new ZeoProtocolError('The peer sent a message whose flag is no int.');
  }
  if (typeof name !== 'string') throw new ZeoProtocolError('The peer sent a message whose name is no str.');
  return { id, flag, name, args };
}

/** Limits for what a server takes from clients: plain data, dict subclasses, and the prefix filter of `undoInfo`. */
export const SERVER_DECODE_LIMITS: DecodeLimits = {
  containers: 200_000,
  allowed: (module, name) =>
    (module === 'ZopeUndo.Prefix' && name === 'Prefix') ||
    (name === 'dict' && (module === 'builtins' || module === '__builtin__')),
};

/** Limits for what a client takes from its server; classes stay inert. */
export const CLIENT_DECODE_LIMITS: DecodeLimits = { containers: 20_000_000, allowed: () => true };

/** A key by which a message id is found again; `undefined` for what can't be one. */
export function messageKey(id: WireValue): number | string | undefined {
  if (typeof id === 'number') return id;
  if (!(id instanceof WireTuple) || id.items.length !== 2) return undefined;
  const [oid, tid] = id.items;
  if (!(oid instanceof Uint8Array) || !(tid instanceof Uint8Array)) return undefined;
  return Buffer.from(oid).toString('latin1') + Buffer.from(tid).toString('latin1');
}
