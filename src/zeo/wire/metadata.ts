/** Transaction metadata and log entries as they travel. */
import { ZERO_TID, tidToBytes, timeOfTid, type Tid } from '../../ids';
import { dumps, loads } from '../../pickle/index';
import { TransactionMetaData, type HistoryEntry, type TransactionInfo } from '../../storage/index';
import { WireTypeError } from './arguments';
import { ByteWriter } from './byte-writer';
import { readPickle } from './pickle-decoder';
import { writePickle } from './pickle-encoder';
import { depthOf, itemsOf, WireFloat, type WireValue } from './values';

/** Extensions hold plain data; nesting beyond this is refused. */
const MAX_DEPTH = 50;
const EMPTY = new Uint8Array(0);
const EMPTY_DICT: ReadonlyMap<WireValue, WireValue> = new Map();
const STORED_LIMITS = { containers: 1_000_000, allowed: () => true };

/** Metadata as a storage keeps them, from the dict of a client. */
export function extensionBytes(value: WireValue | undefined): Uint8Array {
  if (value === null || value === undefined) return EMPTY;
  if (!(value instanceof Map)) throw new WireTypeError('The extension of a transaction must be a dict.');
  if (value.size === 0) return EMPTY;
  if (depthOf(value as WireValue, MAX_DEPTH) > MAX_DEPTH) {
    throw new WireTypeError(`The extension of a transaction nests deeper than ${MAX_DEPTH}.`);
  }
  const writer = new ByteWriter();
  writePickle(writer, value as WireValue);
  const pickle = writer.take().subarray(4);
  // Storages write a memo; the same value should be the same bytes wherever it was committed. A float like 3.0 would become an int.
  return holdsIntegralFloat(value as WireValue) ? pickle : dumps(loads(pickle, { unknown: 'broken' }));
}

function holdsIntegralFloat(value: WireValue | undefined): boolean {
  if (value instanceof WireFloat) return Number.isInteger(value.value);
  if (value instanceof Map) {
    return [...value].some(
      ([key, item]) => holdsIntegralFloat(key as WireValue) || holdsIntegralFloat(item as WireValue),
    );
  }
  return itemsOf(value)?.some(holdsIntegralFloat) ?? false;
}

/** The dict in a transaction's extension, for the wire; empty when it can't be read. */
export function extensionDict(meta: TransactionMetaData): ReadonlyMap<WireValue, WireValue> {
  const bytes = meta.extensionBytes;
  if (bytes.length === 0) return EMPTY_DICT;
  const value = readPickle(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), STORED_LIMITS);
  return value instanceof Map ? (value as Map<WireValue, WireValue>) : EMPTY_DICT;
}

const LOW = 0xffff_ffffn;
/** Seconds in a unit of a tid's low half. */
const UNIT = 60 / 65_536 / 65_536;
/** Seconds from where Python's `TimeStamp` counts to 1970. */
const EPOCH = 25_202 * 86_400;

/** Seconds since 1970, rounded as Python rounds them (`timeTime` in `persistent/_timestamp.c`). */
function pythonTime(tid: Tid): number {
  return timeOfTid((tid & ~LOW) as Tid) / 1000 + EPOCH + Number(tid & LOW) * UNIT - EPOCH;
}

/** An entry of `history`: the extension's items, then the fields. */
export function historyToWire(entry: HistoryEntry): Map<WireValue, WireValue> {
  const out = new Map(extensionDict(entry.meta));
  out.set('time', new WireFloat(pythonTime(entry.tid)));
  out.set('user_name', entry.meta.userBytes);
  out.set('description', entry.meta.descriptionBytes);
  out.set('tid', tidToBytes(entry.tid));
  out.set('size', entry.size);
  return out;
}

/** An entry of `undoLog`: the fields, then the extension's items; an item can't take the place of the id. */
export function undoEntryToWire(info: TransactionInfo, size: number): Map<WireValue, WireValue> {
  const out = new Map<WireValue, WireValue>([
    ['id', undoId(info.tid)],
    ['time', new WireFloat(pythonTime(info.tid))],
    ['user_name', info.meta.userBytes],
    ['size', size],
    ['description', info.meta.descriptionBytes],
  ]);
  for (const [key, value] of extensionDict(info.meta)) if (!out.has(key)) out.set(key, value);
  return out;
}

/** What names a transaction in `undoLog` and `undoa`: its tid in base64. */
export function undoId(tid: Tid): Buffer {
  return Buffer.from(Buffer.from(tidToBytes(tid)).toString('base64'), 'latin1');
}

/** The tid of an {@link undoId}; `ZERO_TID`, which no transaction has, for anything else. */
export function tidOfUndoId(id: Uint8Array): Tid {
  const bytes = Buffer.from(Buffer.from(id).toString('latin1').trim(), 'base64');
  return bytes.length === 8 ? (bytes.readBigUInt64BE(0) as Tid) : ZERO_TID;
}
