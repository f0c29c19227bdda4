/** Transactions of the past: listed, walked, and those of one object. */
import { POSKeyError } from '../../errors';
import type { Oid, Tid } from '../../ids';
import type {
  CurrentRecord,
  DataRecord,
  HistoryEntry,
  TransactionInfo,
  TransactionRecord,
} from '../interfaces';
import { TransactionMetaData } from '../transaction-meta';
import { oidParameter, type Rows } from './rows';
import type { Schema } from './schema';
import type { Server, Statement } from './server';
import { Channel } from './server-worker';

/** Rows asked for at once, and the bytes of records in them. */
const PAGE = 500;
const PAGE_BYTES = 4 << 20;
/** The largest number of PostgreSQL's `bigint`. */
const LARGEST = 2n ** 63n - 1n;

/** Newest first, in pages; only those that can be undone. */
export function* undoable(server: Server, { txn, meta }: Schema, newest: Tid): Generator<TransactionInfo> {
  for (let before = (newest + 1n) as Tid; ;) {
    const rows = server.call(
      read(
        `SELECT tid, username, description, extension FROM ${txn} WHERE tid < $1 AND ${isKept(meta)} ORDER BY tid DESC LIMIT ${PAGE}`,
        [before],
      ),
    );
    const entries: TransactionInfo[] = [];
    while (rows.next()) entries.push({ tid: rows.tid(), meta: metaOf(rows) });
    yield* entries;
    if (entries.length < PAGE) return;
    before = entries.at(-1)!.tid;
  }
}

/** The revisions of an object, newest first. `POSKeyError`. */
export function historyOf(server: Server, { txn, revision }: Schema, oid: Oid, size: number): HistoryEntry[] {
  const rows = server.call(
    read(
      `SELECT r.tid, coalesce(length(r.state), 0), t.username, t.description, t.extension FROM ${revision} AS r
        JOIN ${txn} AS t ON t.tid = r.tid WHERE r.oid = $1 ORDER BY r.tid DESC LIMIT $2`,
      [oidParameter(oid), size],
    ),
  );
  const entries: HistoryEntry[] = [];
  while (rows.next()) {
    const tid = rows.tid();
    const length = rows.number();
    entries.push({ tid, size: length, meta: metaOf(rows) });
  }
  if (entries.length === 0) throw new POSKeyError(oid);
  return entries;
}

/** Transactions with `start <= tid <= stop`, in order. */
export function* walkTransactions(
  server: Server,
  schema: Schema,
  start: Tid,
  stop: Tid,
): IterableIterator<TransactionRecord> {
  for (let from = start; ;) {
    const rows = server.call(
      read(
        `SELECT tid, packed, username, description, extension FROM ${schema.txn} WHERE tid >= $1 AND tid <= $2 ORDER BY tid LIMIT ${PAGE}`,
        [from, stop],
      ),
    );
    const found: TransactionRecord[] = [];
    while (rows.next()) {
      const tid = rows.tid();
      const status = rows.text() === 't' ? 'p' : ' ';
      found.push({ tid, status, meta: metaOf(rows), records: () => recordsOf(server, schema, tid) });
    }
    yield* found;
    if (found.length < PAGE) return;
    from = (found.at(-1)!.tid + 1n) as Tid;
  }
}

function* recordsOf(server: Server, { revision }: Schema, tid: Tid): Generator<DataRecord> {
  for (let after: string | undefined; ;) {
    const rows = server.call(
      read(
        bounded(
          `SELECT oid, tid, state, state_tid FROM ${revision} WHERE tid = $1 ${after === undefined ? '' : 'AND oid > $2'} ORDER BY oid LIMIT ${PAGE}`,
        ),
        after === undefined ? [tid] : [tid, after],
      ),
    );
    let found = 0;
    let count = 0;
    for (; rows.next(); count++) {
      found = rows.number();
      const oid = rows.oid();
      rows.bytes();
      const data = rows.bytes();
      yield { oid, tid, data, dataTid: rows.optionalTid() };
      after = oidParameter(oid);
    }
    if (count === found && count < PAGE) return;
  }
}

/** The revisions that are current at a tid, in order of oids. */
export function* walkCurrent(
  server: Server,
  { revision }: Schema,
  from: Oid,
  at: Tid,
): IterableIterator<CurrentRecord> {
  const first = BigInt(oidParameter(from));
  // The largest oids are negative numbers in the tables.
  const ranges =
    first < 0n
      ? [[first, -1n]]
      : [
          [first, LARGEST],
          [-LARGEST - 1n, -1n],
        ];
  for (const [start, end] of ranges as [bigint, bigint][]) {
    for (let next = start; ;) {
      const rows = server.call(
        read(
          bounded(
            `SELECT DISTINCT ON (oid) oid, tid, state, state_tid FROM ${revision} WHERE oid >= $1 AND oid <= $2 AND tid <= $3 ORDER BY oid, tid DESC LIMIT ${PAGE}`,
          ),
          [next, end, at],
        ),
      );
      let found = 0;
      let count = 0;
      for (; rows.next(); count++) {
        found = rows.number();
        const oid = rows.oid();
        const serial = rows.tid();
        const data = rows.bytes();
        if (data !== null) yield { oid, serial, data };
        next = BigInt(oidParameter(oid)) + 1n;
      }
      if (count === found && count < PAGE) break;
    }
  }
}

/** Of the rows of a page (oid, tid, state, state_tid) as many as are not too large together, but one at least; each with the number of rows of the page. */
function bounded(page: string): string {
  return `SELECT found, oid, tid, state, state_tid FROM (
      SELECT count(*) OVER () AS found, oid, tid, state, state_tid,
        sum(coalesce(length(state), 0)) OVER (ORDER BY oid ROWS UNBOUNDED PRECEDING) - coalesce(length(state), 0) AS before FROM (${page}) AS page
    ) AS sized WHERE before < ${PAGE_BYTES} ORDER BY oid`;
}

/** Of a transaction: all that its undo needs is there. A pack may have removed a part of it, and was killed before it said so. */
export function isKept(meta: string): string {
  return `NOT packed AND tid > (SELECT value FROM ${meta} WHERE name = 'packed_to')`;
}

function metaOf(rows: Rows): TransactionMetaData {
  return new TransactionMetaData({
    user: rows.bytes()!,
    description: rows.bytes()!,
    extension: rows.bytes()!,
  });
}

function read(text: string, values: readonly unknown[]): Statement {
  return { channel: Channel.read, text, values };
}
