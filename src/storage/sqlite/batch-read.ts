import type { Oid } from '../../ids';
import type { Statement } from './driver';
import type { Handle } from './handle';
import { checkRecord, damaged, HEADER, seqAt } from './record-format';
import { SqliteRecord } from './revisions';
import type { Tids } from './tids';

/** Fewer are as fast one by one. */
const MIN_BATCH = 6;
/** So many rows at a time: a view of one record keeps the batch in memory. */
const ROWS = 512;

/**
 * Many rows of `object` in one call. Most of what a row costs is its way through the driver, with a buffer of its own: so
 * SQLite joins them, and one buffer comes back with their lengths. Half the time of one call a row.
 */
export class BatchRead {
  readonly #rows: Statement<[Buffer | null, string]>;
  readonly #tids: Tids;

  constructor(handle: Handle, tids: Tids) {
    this.#tids = tids;
    this.#rows = handle
      .prepare<[Buffer | null, string]>(
        "SELECT CAST(group_concat(state, '') AS BLOB), '[' || group_concat(ifnull(length(state), -1)) || ']' FROM (SELECT state FROM json_each(?) LEFT JOIN object ON oid = value)",
      )
      .raw();
  }

  /**
   * The current records, `undefined` where there is none, or only one of a commit after `last`; nothing at all when they
   * must be read one by one.
   * @throws CorruptionError: it may be about another row than the damaged one
   */
  records(oids: readonly Oid[], last: number): (SqliteRecord | undefined)[] | undefined {
    if (oids.length < MIN_BATCH) return undefined;
    for (const oid of oids) if (oid < 0) return undefined;
    const records: (SqliteRecord | undefined)[] = [];
    for (let at = 0; at < oids.length; at += ROWS) {
      const some = at === 0 && oids.length <= ROWS ? oids : oids.slice(at, at + ROWS);
      if (!this.#read(some, last, records)) return undefined;
    }
    return records;
  }

  /** False when SQLite could not join them (they are too large together), or a damaged row is no blob. */
  #read(oids: readonly Oid[], last: number, into: (SqliteRecord | undefined)[]): boolean {
    let joined: Buffer;
    let lengths: number[];
    try {
      const [bytes, text] = this.#rows.get(`[${oids.join()}]`)!;
      joined = bytes ?? Buffer.alloc(0);
      lengths = JSON.parse(text) as number[];
    } catch {
      return false; // read one by one, the row that it is about says so
    }
    if (lengths.length !== oids.length) return false;
    const { buffer, byteOffset } = joined;
    let end = 0;
    for (let i = 0; i < lengths.length; i++) {
      const length = lengths[i]!;
      const start = end;
      if (length >= 0) end += length;
      if (end > joined.length) return false;
      if (length < 0) {
        into.push(undefined);
        continue;
      }
      if (length < HEADER) throw damaged(oids[i]!);
      // As `subarray`, which costs three times as much.
      const data = new Uint8Array(buffer, byteOffset + start + HEADER, length - HEADER);
      checkRecord(oids[i]!, joined, start, data);
      const seq = seqAt(joined, start);
      into.push(seq > last || length === HEADER ? undefined : new SqliteRecord(data, seq, this.#tids));
    }
    return end === joined.length;
  }
}
