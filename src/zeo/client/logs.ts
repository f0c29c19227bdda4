/** What a server tells of its past: history, undo log, iteration. */
import { oidFromBytes, oidToBytes, tidFromBytes, tidToBytes, type Oid, type Tid } from '../../ids';
import {
  TransactionMetaData,
  type BoundedRecord,
  type CurrentRecord,
  type DataRecord,
  type HistoryEntry,
  type TransactionInfo,
  type TransactionRecord,
} from '../../storage/index';
import { ServerException, ZeoProtocolError } from '../errors';
import { extensionBytes, tidOfUndoId } from '../wire/metadata';
import { itemsOf, tuple, type WireValue } from '../wire/values';
import type { ServerConnection } from './connection';
import { isWorthAnother, type ServerLink } from './link';

type Entry = Map<WireValue, WireValue>;

const FIELDS = new Set<WireValue>(['id', 'tid', 'time', 'user_name', 'description', 'size']);
const same = (value: WireValue): WireValue => value;

export function history(link: ServerLink, oid: Oid, size: number): HistoryEntry[] {
  const reply = link.read((connection) => connection.call('history', tuple(oidToBytes(oid), size), same));
  return entriesOf(reply).map((entry) => ({
    tid: tidFromBytes(entry.get('tid') as Uint8Array),
    meta: metaOf(entry),
    size: Number(entry.get('size') ?? 0),
  }));
}

export function undoLog(
  link: ServerLink,
  first: number,
  last: number,
  filter: ((entry: TransactionInfo) => boolean) | undefined,
): TransactionInfo[] {
  if (!filter) return entriesOf(askUndoLog(link, first, last)).map(infoOf);
  // Entries are numbered after the filter, which only we can apply.
  const wanted = last < 0 ? first - last : last;
  const found: TransactionInfo[] = [];
  const step = 100;
  for (let from = 0; found.length < wanted; from += step) {
    const entries = entriesOf(askUndoLog(link, from, from + step)).map(infoOf);
    found.push(...entries.filter(filter));
    if (entries.length < step) break;
  }
  return found.slice(first, wanted);
}

function askUndoLog(link: ServerLink, first: number, last: number): WireValue {
  return link.read((connection) => connection.call('undoLog', tuple(first, last), same));
}

/**
 * Transactions in order; each step is a call. The server forgets the iterator when it is given up. When the connection is lost it goes on
 * with another.
 */
export function* iterate(
  link: ServerLink,
  start: Tid | undefined,
  stop: Tid | undefined,
): Generator<TransactionRecord> {
  let from = start;
  yield* overConnections(link, function* (connection) {
    const range = tuple(
      from === undefined ? null : tidToBytes(from),
      stop === undefined ? null : tidToBytes(stop),
    );
    const id = link.wait(connection.call('iterator_start', range, same)) as number;
    let open = true;
    try {
      for (;;) {
        const item = itemsOf(link.wait(connection.call('iterator_next', tuple(id), same)));
        if (!item) {
          open = false;
          return;
        }
        const [tidBytes, status, user, description, extension] = item;
        const tid = tidFromBytes(tidBytes as Uint8Array);
        from = (tid + 1n) as Tid;
        yield new ServerTransaction(
          link,
          tid,
          status === 'p' || (status instanceof Uint8Array && status[0] === 0x70) ? 'p' : ' ',
          makeMeta(user, description, extension),
        );
      }
    } finally {
      if (open && !connection.closed) connection.oneWay('iterator_gc', tuple([id]));
    }
  });
}

/** Yields what `read` yields, which is begun anew, after what it has yielded, when the connection is lost. */
function* overConnections<Item>(
  link: ServerLink,
  read: (connection: ServerConnection) => Generator<Item>,
): Generator<Item> {
  for (;;) {
    const connection = link.require();
    try {
      return yield* read(connection);
    } catch (error) {
      if (!isWorthAnother(error) || !connection.closed) throw error;
    }
  }
}

/** Its records are asked for with an iterator of their own, so that they can be listed at any time. */
class ServerTransaction implements TransactionRecord {
  constructor(
    private readonly link: ServerLink,
    readonly tid: Tid,
    readonly status: ' ' | 'p',
    readonly meta: TransactionMetaData,
  ) {}

  *records(): Generator<DataRecord> {
    const { link, tid } = this;
    let yielded = 0;
    yield* overConnections(link, function* (connection) {
      const bytes = tidToBytes(tid);
      const outer = link.wait(connection.call('iterator_start', tuple(bytes, bytes), same)) as number;
      const dropped = [outer];
      try {
        link.wait(connection.call('iterator_next', tuple(outer), same));
        const id = link.wait(connection.call('iterator_record_start', tuple(outer, bytes), same)) as number;
        dropped.push(id);
        for (let index = 0; ; index++) {
          const item = itemsOf(link.wait(connection.call('iterator_record_next', tuple(id), same)));
          if (!item) return;
          if (index < yielded) continue;
          yielded++;
          yield recordOf(item);
        }
      } finally {
        if (!connection.closed) connection.oneWay('iterator_gc', tuple(dropped));
      }
    });
  }
}

function recordOf([oid, tid, data, dataTid]: readonly WireValue[]): DataRecord {
  return {
    oid: oidFromBytes(oid as Uint8Array),
    tid: tidFromBytes(tid as Uint8Array),
    data: data instanceof Uint8Array ? Buffer.from(data) : null,
    dataTid: dataTid instanceof Uint8Array ? tidFromBytes(dataTid) : undefined,
  };
}

/** How current records are shown as of a moment: what is newer is replaced by what was there before. */
export interface Moment {
  readonly tid: Tid;
  loadBefore(oid: Oid): BoundedRecord | undefined;
}

/** Current records from an oid on; each step is a call. */
export function* currentRecords(link: ServerLink, from: Oid, moment: Moment): Generator<CurrentRecord> {
  let next: WireValue = from === 0 ? null : oidToBytes(from);
  for (;;) {
    const position: WireValue = next;
    let item: readonly WireValue[] | undefined;
    try {
      item = itemsOf(link.read((connection) => connection.call('record_iternext', tuple(position), same)));
    } catch (error) {
      // How Python's server says that there is nothing.
      if (error instanceof ServerException && error.serverClass === 'builtins.ValueError') return;
      throw error;
    }
    if (!item) return;
    const [oidBytes, tid, data, following] = item;
    const oid = oidFromBytes(oidBytes as Uint8Array);
    const serial = tidFromBytes(tid as Uint8Array);
    if (serial <= moment.tid) yield { oid, serial, data: Buffer.from(data as Uint8Array) };
    else {
      const before = moment.loadBefore(oid);
      if (before) yield { oid, serial: before.serial, data: before.data };
    }
    if (!(following instanceof Uint8Array)) return;
    next = Buffer.from(following);
  }
}

function entriesOf(reply: WireValue): Entry[] {
  const items = itemsOf(reply);
  if (!items?.every((item) => item instanceof Map)) {
    throw new ZeoProtocolError('The server sent a log whose entries are no dicts.');
  }
  return items as Entry[];
}

function infoOf(entry: Entry): TransactionInfo {
  const id = entry.get('id');
  return { tid: tidOfUndoId(id instanceof Uint8Array ? id : Buffer.alloc(0)), meta: metaOf(entry) };
}

function metaOf(entry: Entry): TransactionMetaData {
  const extension = new Map([...entry].filter(([name]) => !FIELDS.has(name)));
  return makeMeta(entry.get('user_name'), entry.get('description'), extension);
}

function makeMeta(
  user: WireValue | undefined,
  description: WireValue | undefined,
  extension: WireValue | undefined,
): TransactionMetaData {
  return new TransactionMetaData({
    user: textOrBytes(user),
    description: textOrBytes(description),
    extension: extensionBytes(extension instanceof Map ? extension : null),
  });
}

function textOrBytes(value: WireValue | undefined): string | Uint8Array {
  return value instanceof Uint8Array ? Buffer.from(value) : typeof value === 'string' ? value : '';
}

/** The objects that a transaction wrote. */
export function changedBy(link: ServerLink, tid: Tid): Oid[] {
  const oids: Oid[] = [];
  for (const transaction of iterate(link, tid, tid))
    for (const { oid } of transaction.records()) oids.push(oid);
  return oids;
}
