/**
 * Removes what nobody needs any more, while others read and commit. What is reachable is followed object by object from the root and from all
 * that was committed after the pack time; then objects are gone through a page at a time, each page in a transaction of its own that has the commit lock:
 * what was committed since is followed first, so that nothing is removed that somebody began to refer to meanwhile.
 */
import { LockError, StorageError } from '../../errors';
import { oidFromBytes, ROOT_OID, type Oid, type Tid } from '../../ids';
import type { PackOptions, PackReport, StorageHost } from '../interfaces';
import { OidSet } from '../sqlite/oid-set';
import type { Steps } from '../steps';
import { oidArray, oidParameter } from './rows';
import type { Schema } from './schema';
import type { Server, Statement } from './server';
import { Channel, type Place } from './server-worker';

/** Objects followed or swept at once. */
const PAGE = 500;
/** Milliseconds for which a page waits for the commit lock before others have their turn. */
const PATIENCE = 100;

/** What a pack works with. */
export interface PackWork {
  readonly server: Server;
  readonly schema: Schema;
  readonly host: StorageHost | undefined;
  readonly lockTimeout: number;
}

/** Packs up to and including `packTid`. */
export function* packSteps(work: PackWork, packTid: Tid, last: Tid, options: PackOptions): Steps<PackReport> {
  const pack = new Pack(work, packTid, last, options.dryRun ?? false);
  pack.acquire();
  try {
    return yield* pack.run(options);
  } finally {
    pack.release();
  }
}

export function packIsUnderWay(): StorageError {
  return new StorageError('A pack of this storage is under way.', { code: 'PACKING' });
}

class Pack {
  readonly #work: PackWork;
  readonly #packTid: Tid;
  readonly #isDry: boolean;
  readonly #marked = new OidSet();
  readonly #transaction: number;
  readonly #place: Place;
  /** Everything up to here has been followed. */
  #seen: Tid;
  readonly #report = { revisions: 0, objects: 0, blobs: 0, bytes: 0 };

  constructor(work: PackWork, packTid: Tid, last: Tid, isDry: boolean) {
    this.#work = work;
    this.#packTid = packTid;
    this.#isDry = isDry;
    this.#seen = last;
    this.#transaction = work.server.newTransaction();
    this.#place = { transaction: this.#transaction, role: 'inside' };
  }

  /** One pack at a time, in all programs. The lock goes with the connection. */
  acquire(): void {
    const text = `SELECT pg_try_advisory_lock(${this.#work.schema.packLock})`;
    const rows = this.#work.server.call({
      channel: Channel.pack,
      place: { transaction: this.#transaction, role: 'begin' },
      text,
    });
    rows.next();
    if (rows.text() !== 't') throw packIsUnderWay();
  }

  release(): void {
    try {
      this.#query(`SELECT pg_advisory_unlock(${this.#work.schema.packLock})`);
    } catch (error) {
      // A connection that is lost has no locks, a closed storage no connection.
      if (!(error instanceof Error)) throw error;
    }
  }

  *run({ gc = true, roots = [] }: PackOptions): Steps<PackReport> {
    const { schema } = this.#work;
    const total = this.#number(
      `SELECT coalesce((SELECT objects FROM ${schema.txn} ORDER BY tid DESC LIMIT 1), 0)`,
    );
    const isFollowed = gc && this.#hasRoot();
    if (isFollowed) yield* this.#markAll([ROOT_OID, ...roots], total);
    if (!this.#isDry) {
      // From here on a snapshot that is older may miss revisions, and knows why.
      this.#query(`UPDATE ${schema.meta} SET value = greatest(value, $1) WHERE name = 'packed_to'`, [
        this.#packTid,
      ]);
    }
    yield* this.#sweepAll(isFollowed, total);
    if (!this.#isDry) yield* this.#forgetTransactions();
    return { ...this.#report };
  }

  #hasRoot(): boolean {
    return this.#query(`SELECT 1 FROM ${this.#work.schema.revision} WHERE oid = 0 LIMIT 1`).next();
  }

  *#markAll(roots: readonly Oid[], total: number): Steps<void> {
    const { revision } = this.#work.schema;
    yield* this.#following(roots, total);
    for (let after: string | undefined; ;) {
      const rows = this.#query(
        `SELECT DISTINCT oid FROM ${revision} WHERE tid > $1 ${after === undefined ? '' : 'AND oid > $2'} ORDER BY oid LIMIT ${PAGE}`,
        after === undefined ? [this.#packTid] : [this.#packTid, after],
      );
      const oids: Oid[] = [];
      while (rows.next()) oids.push(rows.oid());
      yield* this.#following(oids, total);
      if (oids.length < PAGE) return;
      after = oidParameter(oids.at(-1)!);
    }
  }

  *#following(oids: readonly Oid[], total: number): Steps<void> {
    const unmarked = oids.filter((oid) => this.#marked.add(oid));
    for (const done of this.#follow(unmarked)) yield { phase: 'mark', done, total };
  }

  /** Marks all that the retained revisions of these objects lead to. */
  *#follow(found: Oid[]): Generator<number, void, void> {
    while (found.length > 0) {
      const page = found.splice(-PAGE);
      const rows = this.#query(
        `SELECT r.oid, r.refs, CASE WHEN r.refs IS NULL THEN r.state END FROM unnest($1::bigint[]) AS wanted (oid)
          JOIN ${this.#work.schema.revision} AS r ON r.oid = wanted.oid WHERE ${this.#isRetained('r')}`,
        [oidArray(page), this.#packTid],
      );
      while (rows.next()) {
        rows.oid();
        const refs = rows.bytes();
        const state = rows.bytes();
        if (refs !== null)
          for (let at = 0; at < refs.length; at += 8) this.#mark(oidFromBytes(refs, at), found);
        else if (state !== null && this.#work.host)
          for (const oid of this.#work.host.references(state)) this.#mark(oid, found);
      }
      yield this.#marked.size;
    }
  }

  #mark(oid: Oid, found: Oid[]): void {
    if (this.#marked.add(oid)) found.push(oid);
  }

  /** A revision is retained unless another one of the same object came at or before the pack time ($2). */
  #isRetained(alias: string): string {
    return `NOT EXISTS (SELECT 1 FROM ${this.#work.schema.revision} AS later WHERE later.oid = ${alias}.oid AND later.tid > ${alias}.tid AND later.tid <= $2)`;
  }

  *#sweepAll(isFollowed: boolean, total: number): Steps<void> {
    const { revision } = this.#work.schema;
    let done = 0;
    for (let after: string | undefined; ;) {
      const rows = this.#query(
        `SELECT DISTINCT oid FROM ${revision} ${after === undefined ? '' : 'WHERE oid > $1'} ORDER BY oid LIMIT ${PAGE}`,
        after === undefined ? [] : [after],
      );
      const oids: Oid[] = [];
      while (rows.next()) oids.push(rows.oid());
      if (oids.length > 0) yield* this.#sweepPage(oids, isFollowed, done, total);
      done += oids.length;
      yield { phase: 'sweep', done, total };
      if (oids.length < PAGE) return;
      after = oidParameter(oids.at(-1)!);
    }
  }

  *#sweepPage(oids: readonly Oid[], isFollowed: boolean, done: number, total: number): Steps<void> {
    const end = performance.now() + this.#work.lockTimeout;
    while (!this.#begin()) {
      if (performance.now() > end) {
        throw new LockError(
          'The pack waits for a commit that does not end. What it removed so far stays removed; pack again.',
          {
            code: 'LOCK_TIMEOUT',
            retryable: true,
          },
        );
      }
      yield { phase: 'sweep', done, total };
    }
    try {
      if (isFollowed) this.#followNew();
      this.#remove(oids, isFollowed);
      this.#query(this.#isDry ? 'ROLLBACK' : 'COMMIT');
    } catch (error) {
      this.#rollback();
      throw error;
    }
  }

  /** Begins a transaction that has the commit lock; false when somebody else has it. */
  #begin(): boolean {
    const { server, schema } = this.#work;
    try {
      server.call({
        channel: Channel.pack,
        place: this.#place,
        text: `BEGIN; SET LOCAL lock_timeout = ${PATIENCE}; SELECT pg_advisory_xact_lock(${schema.commitLock})`,
      });
      return true;
    } catch (error) {
      this.#rollback();
      if (error instanceof LockError) return false;
      throw error;
    }
  }

  #rollback(): void {
    try {
      this.#query('ROLLBACK');
    } catch (error) {
      // Without a connection there is no transaction either.
      if (!(error instanceof Error)) throw error;
    }
  }

  /** What was committed since may refer to what looked like garbage. */
  #followNew(): void {
    const rows = this.#query(`SELECT DISTINCT oid FROM ${this.#work.schema.revision} WHERE tid > $1`, [
      this.#seen,
    ]);
    const oids: Oid[] = [];
    while (rows.next()) oids.push(rows.oid());
    // Those that were marked before may have new references.
    for (const oid of oids) this.#marked.add(oid);
    for (const _ of this.#follow(oids));
    const last = this.#query(`SELECT max(tid) FROM ${this.#work.schema.txn}`);
    last.next();
    this.#seen = last.tid();
  }

  #remove(oids: readonly Oid[], isFollowed: boolean): void {
    const { revision, blob, blobChunk, txn } = this.#work.schema;
    const unmarked = isFollowed ? oids.filter((oid) => !this.#marked.has(oid)) : [];
    // An object goes as a whole when its newest revision is not later than the pack time, and it is deleted or not reachable.
    const rows = this.#query(
      `WITH newest AS (
          SELECT DISTINCT ON (oid) oid, tid, state IS NULL AS deleted FROM ${revision} WHERE oid = ANY ($1::bigint[]) ORDER BY oid, tid DESC
        ), gone AS (
          SELECT oid, deleted FROM newest WHERE tid <= $2 AND (deleted OR oid = ANY ($3::bigint[]))
        ), removed AS (
          DELETE FROM ${revision} AS r WHERE r.oid = ANY ($1::bigint[]) AND (r.oid IN (SELECT oid FROM gone) OR NOT ${this.#isRetained('r')})
          RETURNING length(r.state) AS size, r.blob
        )
        SELECT count(*), coalesce(sum(size), 0), count(blob), (SELECT count(*) FROM gone), (SELECT count(*) FROM gone WHERE NOT deleted),
          array_to_string(array_agg(DISTINCT blob) FILTER (WHERE blob IS NOT NULL), ',') FROM removed`,
      [oidArray(oids), this.#packTid, oidArray(unmarked)],
    );
    rows.next();
    this.#report.revisions += rows.number();
    this.#report.bytes += rows.number();
    this.#report.blobs += rows.number();
    this.#report.objects += rows.number();
    const existing = rows.number();
    const contents = rows.text();
    if (contents !== null && contents !== '') {
      const sizes = this.#query(
        `DELETE FROM ${blob} AS b WHERE b.id = ANY ($1::bigint[]) AND NOT EXISTS (SELECT 1 FROM ${revision} WHERE blob = b.id) RETURNING b.id, b.size`,
        [`{${contents}}`],
      );
      const ids: string[] = [];
      while (sizes.next()) {
        ids.push(sizes.text()!);
        this.#report.bytes += sizes.number();
      }
      this.#query(`DELETE FROM ${blobChunk} WHERE blob = ANY ($1::bigint[])`, [`{${ids.join()}}`]);
    }
    if (existing > 0)
      this.#query(`UPDATE ${txn} SET objects = objects - $1 WHERE tid = (SELECT max(tid) FROM ${txn})`, [
        existing,
      ]);
  }

  /** Transactions that keep nothing vanish, but for the last one. */
  *#forgetTransactions(): Steps<void> {
    const { txn, revision } = this.#work.schema;
    this.#query(`UPDATE ${txn} SET packed = true WHERE tid <= $1 AND NOT packed`, [this.#packTid]);
    for (let done = 0; ;) {
      const rows = this.#query(
        `DELETE FROM ${txn} WHERE tid IN (SELECT tid FROM ${txn} AS t WHERE tid <= $1 AND tid < (SELECT max(tid) FROM ${txn})
          AND NOT EXISTS (SELECT 1 FROM ${revision} WHERE tid = t.tid) LIMIT ${10 * PAGE}) RETURNING tid`,
        [this.#packTid],
      );
      let count = 0;
      while (rows.next()) count += 1;
      done += count;
      yield { phase: 'forget', done, total: undefined };
      if (count === 0) return;
    }
  }

  #number(text: string): number {
    const rows = this.#query(text);
    rows.next();
    return rows.number();
  }

  #query(text: string, values?: readonly unknown[]): ReturnType<Server['call']> {
    // On the connection that has the pack lock, or not at all.
    const statement: Statement = { channel: Channel.pack, place: this.#place, text };
    return this.#work.server.call(values === undefined ? statement : { ...statement, values });
  }
}
