/** Reading revisions. Each query answers in one round trip what a reader must know. */
import { POSKeyError, ReadConflictError } from '../../errors';
import { formatTid, type Oid, type Tid } from '../../ids';
import type { BoundedRecord, LoadedRecord } from '../interfaces';
import { oidArray, oidParameter } from './rows';
import type { Schema } from './schema';
import type { ServerWork, Statement } from './server';
import { Channel } from './server-worker';

/** A revision of one object, read out of a transaction. */
export interface Revision {
  readonly oid: Oid;
  readonly tid: Tid;
  /** `null`: deleted. */
  readonly data: Uint8Array | null;
  /** The transaction in which the state was made. */
  readonly origin: Tid;
  readonly blob: string | null;
}

/** Reads one object; the statement is prepared once. */
export class RevisionReader {
  readonly #schema: Schema;
  readonly #current: string;
  readonly #before: string;
  readonly #exactly: string;
  readonly #many: string;

  constructor(schema: Schema) {
    this.#schema = schema;
    const { revision } = schema;
    this.#current = `SELECT tid, state FROM ${revision} WHERE oid = $1 ORDER BY tid DESC LIMIT 1`;
    this.#before = `SELECT found.tid, found.state, later.tid FROM (SELECT 1) AS one
      LEFT JOIN LATERAL (SELECT tid, state FROM ${revision} WHERE oid = $1 AND tid < $2 ORDER BY tid DESC LIMIT 1) AS found ON true
      LEFT JOIN LATERAL (SELECT tid FROM ${revision} WHERE oid = $1 AND tid >= $2 ORDER BY tid LIMIT 1) AS later ON true`;
    this.#exactly = `SELECT tid, state FROM ${revision} WHERE oid = $1 AND tid = $2`;
    this.#many = `SELECT found.tid, found.state FROM unnest($1::bigint[]) WITH ORDINALITY AS wanted (oid, place)
      LEFT JOIN LATERAL (SELECT tid, state FROM ${revision} AS r WHERE r.oid = wanted.oid AND r.tid < $2 ORDER BY r.tid DESC LIMIT 1) AS found ON true
      ORDER BY wanted.place`;
  }

  /** The current revision. `POSKeyError`. */
  *current(oid: Oid): ServerWork<LoadedRecord> {
    const rows = yield this.#read('current', this.#current, [oidParameter(oid)]);
    if (rows.next()) {
      const serial = rows.tid();
      const data = rows.bytes();
      if (data !== null) return { data, serial };
    }
    throw new POSKeyError(oid);
  }

  /** As `Storage.loadBefore`. */
  *before(oid: Oid, tid: Tid): ServerWork<BoundedRecord | undefined> {
    const rows = yield this.#read('before', this.#before, [oidParameter(oid), tid]);
    rows.next();
    const serial = rows.optionalTid();
    const data = rows.bytes();
    const end = rows.optionalTid();
    if (serial !== undefined) {
      if (data === null) throw new POSKeyError(oid);
      return { data, serial, end };
    }
    if (tid <= (yield* this.packedTo())) {
      throw new ReadConflictError(
        'The revision that this snapshot needs was packed. Run the transaction again.',
        {
          oid,
        },
      );
    }
    if (end === undefined) throw new POSKeyError(oid);
    return undefined;
  }

  /** Several at once, `undefined` for those that did not exist. */
  *manyBefore(oids: readonly Oid[], tid: Tid): ServerWork<(LoadedRecord | undefined)[]> {
    const rows = yield this.#read('many', this.#many, [oidArray(oids), tid]);
    const records: (LoadedRecord | undefined)[] = [];
    let isMissing = false;
    while (rows.next()) {
      const serial = rows.optionalTid();
      const data = rows.bytes();
      if (serial === undefined) isMissing = true;
      records.push(serial === undefined || data === null ? undefined : { data, serial });
    }
    if (isMissing && tid <= (yield* this.packedTo())) {
      const oid = oids[records.indexOf(undefined)];
      throw new ReadConflictError(
        'A revision that this snapshot needs was packed. Run the transaction again.',
        {
          ...(oid === undefined ? {} : { oid }),
        },
      );
    }
    return records;
  }

  /** Exactly that revision. `POSKeyError`. */
  *exactly(oid: Oid, tid: Tid): ServerWork<LoadedRecord> {
    const rows = yield this.#read('exactly', this.#exactly, [oidParameter(oid), tid]);
    if (rows.next()) {
      const serial = rows.tid();
      const data = rows.bytes();
      if (data !== null) return { data, serial };
    }
    throw new POSKeyError(oid, `No revision of the object was written at ${formatTid(tid)}.`);
  }

  /** Which of these objects do not exist now, or are being removed. */
  *missing(oids: readonly Oid[]): ServerWork<Set<Oid>> {
    const { revision, doomed } = this.#schema;
    const text = `SELECT wanted.oid FROM unnest($1::bigint[]) AS wanted (oid) WHERE NOT EXISTS (
      SELECT 1 FROM (SELECT state FROM ${revision} WHERE oid = wanted.oid ORDER BY tid DESC LIMIT 1) AS newest WHERE state IS NOT NULL)
      OR EXISTS (SELECT 1 FROM ${doomed} AS d WHERE d.oid = wanted.oid)`;
    const rows = yield this.#read('missing', text, [oidArray(oids)]);
    const missing = new Set<Oid>();
    while (rows.next()) missing.add(rows.oid());
    return missing;
  }

  /** What was superseded at this tid or before may be gone. */
  *packedTo(): ServerWork<Tid> {
    const rows = yield this.#read(
      'packed',
      `SELECT value FROM ${this.#schema.meta} WHERE name = 'packed_to'`,
      [],
    );
    rows.next();
    return rows.tid();
  }

  #read(name: string, text: string, values: readonly unknown[]): Statement {
    return { channel: Channel.read, name, text, values };
  }
}
