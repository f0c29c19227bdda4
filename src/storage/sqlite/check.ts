import { formatOid, formatTid, type Oid, type Tid } from '../../ids';
import type { CheckReport } from '../interfaces';
import type { Progress, Steps } from '../steps';
import { PIECE, sizeCrc } from './blob-contents';
import type { Blobs } from './blobs';
import { crc32 } from './crc32';
import { oidOfKey } from './current-scan';
import type { Statement } from './driver';
import type { Engine } from './engine';
import { STEP_MS } from './gc-mark';
import { oidKey, type Handle } from './handle';
import { HEADER, openRecord, sealedSeq } from './record-format';
import { findReferences, unpackReferences } from './references';
import { Revisions } from './revisions';
import { prepareTransactions, rowChanges } from './transaction-row';
import { nextKey } from './walk';

/** Problems beyond these are counted, not listed. */
const MAX_PROBLEMS = 1_000;
const CHUNK = 200;

type RecordRow = [id: bigint, oid: bigint, seq: bigint, refs: Buffer | null, state: Buffer];

/** Reads everything in one snapshot. */
export class Check {
  readonly #engine: Engine;
  readonly #blobs: Blobs;
  readonly #handle: Handle;
  readonly #problems: string[] = [];
  readonly #exists: Statement<number>;
  readonly #chain: Revisions;
  #objects = 0;
  #revisions = 0;
  #more = 0;

  constructor(engine: Engine, blobs: Blobs) {
    this.#engine = engine;
    this.#blobs = blobs;
    this.#handle = engine.readHandle();
    this.#chain = new Revisions(this.#handle, engine.tids);
    this.#exists = this.#handle
      .prepare<number>(`SELECT length(state) > ${HEADER} FROM object WHERE oid = ?`)
      .pluck();
  }

  *run(): Steps<CheckReport> {
    this.#handle.begin();
    try {
      yield* this.#part('structure', this.#structure());
      yield* this.#part('transactions', this.#transactions());
      yield* this.#part('objects', this.#records('object', 'oid, oid', 'oid'));
      yield* this.#part('history', this.#records('history', 'id, oid', 'id'));
      yield* this.#part('blobs', this.#contents());
    } finally {
      this.#handle.rollback();
      this.#engine.giveBack(this.#handle);
    }
    if (this.#more > 0) this.#problems.push(`${this.#more} more problems are not listed.`);
    return { objects: this.#objects, revisions: this.#revisions, problems: this.#problems };
  }

  /** A part that can't go on is a problem too. */
  *#part(name: string, steps: Generator<Progress, void, void>): Generator<Progress, void, void> {
    try {
      yield* steps;
    } catch (error) {
      // Damage can make a row of anything: whatever fails, fails because of it.
      this.#report(`Checking the ${name} had to stop: ${messageOf(this.#handle.failed(error))}`);
    }
  }

  *#structure(): Generator<Progress, void, void> {
    const tables = this.#handle
      .prepare<string>("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
      .pluck()
      .all();
    for (const [place, table] of tables.entries()) {
      const found = this.#handle.prepare<string>(`PRAGMA integrity_check(${table})`).pluck().all();
      for (const problem of found) if (problem !== 'ok') this.#report(`Table ${table}: ${problem}`);
      yield { phase: 'structure', done: place + 1, total: tables.length };
    }
  }

  *#transactions(): Generator<Progress, void, void> {
    const rows = prepareTransactions(this.#handle, `WHERE seq > ? ORDER BY seq LIMIT ${CHUNK}`);
    let last = 0n;
    for (let after = 0, done = 0; ;) {
      const chunk = rows.all(after);
      if (chunk.length === 0) return;
      for (const row of chunk) {
        this.#attempt(() => rowChanges(row));
        if (row.tid <= last)
          this.#report(`Transaction ${formatTid(row.tid as Tid)} is not later than the one before.`);
        last = row.tid;
      }
      after = nextKey(this.#engine.path, after, Number(chunk.at(-1)!.seq));
      yield { phase: 'transactions', done: (done += chunk.length), total: this.#engine.log.latest };
    }
  }

  *#records(table: string, columns: string, key: string): Generator<Progress, void, void> {
    const rows = this.#handle
      .prepare<RecordRow>(
        `SELECT ${columns}, seq, refs, state FROM ${table} WHERE ${key} > ? ORDER BY ${key} LIMIT ${CHUNK}`,
      )
      .raw()
      .safeIntegers();
    const total = this.#handle.prepare<number>(`SELECT max(${key}) FROM ${table}`).pluck().get();
    let done = 0;
    for (let after = -(2n ** 63n); ;) {
      const end = performance.now() + STEP_MS;
      do {
        const chunk = rows.all(after);
        if (chunk.length === 0) return;
        for (const row of chunk) this.#record(row, table === 'object');
        after = nextKey<bigint>(this.#engine.path, after, chunk.at(-1)![0]);
        done += chunk.length;
      } while (performance.now() < end);
      yield { phase: table === 'object' ? 'objects' : table, done, total: total ?? undefined };
    }
  }

  #record([, key, seqOfRow, refs, state]: RecordRow, isCurrent: boolean): void {
    const oid = oidOfKey(key);
    const seq = Number(seqOfRow);
    this.#attempt(() => {
      const data = openRecord(oid, state);
      if (sealedSeq(state) !== seq)
        this.#report(`The record of ${formatOid(oid)} is not of the commit it is listed under.`);
      this.#engine.tids.tidOf(seq);
      this.#revisions++;
      this.#chain.priorRow(oid, state);
      if (state.length === HEADER) return;
      if (isCurrent) this.#objects++;
      this.#references(oid, data, unpackReferences(oid, seq, refs), isCurrent);
    });
  }

  #references(oid: Oid, data: Buffer, stored: Oid[] | undefined, isCurrent: boolean): void {
    const found = findReferences(data, this.#engine.host);
    if (stored && found && !sameOids(stored, found)) {
      this.#report(`The references kept for ${formatOid(oid)} are not those of its record.`);
    }
    if (!isCurrent) return;
    for (const target of found ?? stored ?? []) {
      if (this.#exists.get(oidKey(target)) !== 1) {
        this.#report(`${formatOid(oid)} refers to ${formatOid(target)}, which does not exist.`);
      }
    }
  }

  *#contents(): Generator<Progress, void, void> {
    const rows = this.#handle
      .prepare<[bigint, bigint]>(
        'SELECT oid, seq FROM blob WHERE (oid, seq) > (?, ?) ORDER BY oid, seq LIMIT 20',
      )
      .raw()
      .safeIntegers();
    const total = this.#handle.prepare<number>('SELECT count(*) FROM blob').pluck().get();
    for (let oid = -(2n ** 63n), seq = 0n, done = 0; ;) {
      const chunk = rows.all(oid, seq);
      if (chunk.length === 0) return;
      for (const [key, at] of chunk) yield* this.#content(oidOfKey(key), Number(at));
      const [lastOid, lastSeq] = chunk.at(-1)!;
      if (lastOid === oid) nextKey(this.#engine.path, seq, lastSeq);
      else nextKey(this.#engine.path, oid, lastOid);
      [oid, seq] = [lastOid, lastSeq];
      yield { phase: 'blobs', done: (done += chunk.length), total };
    }
  }

  *#content(oid: Oid, seq: number): Generator<Progress, void, void> {
    const size = this.#handle.prepare<{ size: number; crc: number }>(
      'SELECT size, crc FROM blob_content WHERE id = ?',
    );
    const piece = this.#handle.prepare<{ crc: number; data: Buffer }>(
      'SELECT crc, data FROM blob_chunk WHERE id = ?',
    );
    const content = this.#attempt(() => this.#blobs.committed.contentOf(oid, seq));
    if (content === undefined) return;
    const row = size.get(content);
    if (row === undefined || row.crc !== sizeCrc(content, row.size)) {
      this.#report(`The blob of ${formatOid(oid)} is damaged: its content ${content} is missing.`);
      return;
    }
    if (this.#blobs.files) {
      this.#attempt(() => this.#blobs.files!.open(content, row.size).close());
      return;
    }
    for (let place = 0; place * PIECE < row.size; place++) {
      const id = content * 2 ** 20 + place;
      const found = piece.get(id);
      if (found === undefined || crc32(found.data, id >>> 0) !== found.crc) {
        this.#report(`The blob of ${formatOid(oid)} is damaged in its piece ${place}.`);
      }
      if (place % 64 === 63) yield { phase: 'blobs', done: 0, total: undefined };
    }
  }

  #attempt<Result>(work: () => Result): Result | undefined {
    try {
      return work();
    } catch (error) {
      this.#report(messageOf(this.#handle.failed(error)));
      return undefined;
    }
  }

  #report(problem: string): void {
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(problem);
    else this.#more++;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function sameOids(one: readonly Oid[], other: readonly Oid[]): boolean {
  const unique = new Set(other);
  return one.length === unique.size && one.every((oid) => unique.has(oid));
}
