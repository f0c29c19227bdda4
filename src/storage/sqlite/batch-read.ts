import type { Oid } from '../../ids';
import type { Statement } from './driver';
import type { Handle } from './handle';

/** Fewer are as fast one by one. */
const MIN_BATCH = 16;
/** So many rows at a time: a view of one record keeps the batch in memory. */
const ROWS = 512;

/**
 * Many rows of `object` in one call. Most of what a row costs is its way through the driver, with a buffer of its own: so
 * SQLite joins them, and one buffer comes back with their lengths. Half the time of one call a row.
 */
export class BatchRead {
  readonly #rows: Statement<[Buffer | null, string]>;

  constructor(handle: Handle) {
    this.#rows = handle
      .prepare<[Buffer | null, string]>(
        "SELECT CAST(group_concat(state, '') AS BLOB), group_concat(ifnull(length(state), -1)) FROM (SELECT state FROM json_each(?) LEFT JOIN object ON oid = value)",
      )
      .raw();
  }

  /** The sealed rows, `undefined` where there is none; nothing at all when they must be read one by one. */
  rows(oids: readonly Oid[]): (Buffer | undefined)[] | undefined {
    if (oids.length < MIN_BATCH || oids.some((oid) => oid < 0)) return undefined;
    const rows: (Buffer | undefined)[] = [];
    for (let at = 0; at < oids.length; at += ROWS) {
      if (!this.#read(oids.slice(at, at + ROWS), rows)) return undefined;
    }
    return rows;
  }

  /** False when SQLite could not join them (they are too large together), or a damaged row is no blob. */
  #read(oids: readonly Oid[], into: (Buffer | undefined)[]): boolean {
    let joined: Buffer;
    let lengths: string[];
    try {
      const [bytes, text] = this.#rows.get(`[${oids.join()}]`)!;
      joined = bytes ?? Buffer.alloc(0);
      lengths = text.split(',');
    } catch {
      return false; // read one by one, the row that it is about says so
    }
    let at = 0;
    for (const text of lengths) {
      const length = Number(text);
      into.push(length < 0 ? undefined : joined.subarray(at, (at += length)));
    }
    return at === joined.length && lengths.length === oids.length;
  }
}
