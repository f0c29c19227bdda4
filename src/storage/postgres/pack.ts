/**
 * Removes what nobody needs any more, while others read and commit. A pack that was killed is simply done again.
 *
 * 1. What is reachable is followed object by object from the root and from all that was committed after the pack time (pack-marks.ts).
 * 2. What is not is doomed, all at once, with the commit lock, after what was committed meanwhile was followed too. From then on no
 *    commit may refer to it. So it does not matter in which order it goes: nobody begins to refer to an object of which a part is gone.
 * 3. Objects are gone through a page at a time, each page in a transaction of its own that has the commit lock.
 * 4. Transactions that keep nothing go.
 */
import { InvalidArgumentError } from '../../errors';
import { ROOT_OID, tidFromTime, ZERO_TID, type Oid, type Tid } from '../../ids';
import type { PackOptions, PackReport } from '../interfaces';
import { OidSet } from '../sqlite/oid-set';
import type { Steps } from '../steps';
import { isRetained, PackMarks } from './pack-marks';
import { PackSession, type PackWork } from './pack-session';
import { oidArray, oidParameter } from './rows';
import { doom, undoom } from './schema';
import { Channel } from './server-worker';

/** Objects swept at once. */
const PAGE = 500;
/** Transactions looked at at once. */
const TRANSACTIONS = 5_000;

/** Packs; `last` is the newest transaction. */
export function* packSteps(work: PackWork, last: Tid, options: PackOptions): Steps<PackReport> {
  const { time = Infinity } = options;
  if (Number.isNaN(time))
    throw new InvalidArgumentError(`The pack time must be in milliseconds, not ${time}.`);
  const rows = work.server.call({
    channel: Channel.read,
    text: `SELECT max(tid) FROM ${work.schema.txn} WHERE tid <= $1`,
    // Tids may run ahead of the clock: "now" means everything that is committed.
    values: [time >= Date.now() ? last : tidFromTime(time)],
  });
  rows.next();
  const packTid = rows.optionalTid();
  if (packTid === undefined) return { revisions: 0, objects: 0, blobs: 0, bytes: 0 };
  const session = new PackSession(work);
  session.acquire();
  try {
    return yield* new Pack(session, packTid, last, options.dryRun ?? false).run(options);
  } finally {
    session.release();
  }
}

class Pack {
  readonly #session: PackSession;
  readonly #packTid: Tid;
  readonly #last: Tid;
  readonly #isDry: boolean;
  readonly #doomed = new OidSet();
  readonly #report = { revisions: 0, objects: 0, blobs: 0, bytes: 0 };

  constructor(session: PackSession, packTid: Tid, last: Tid, isDry: boolean) {
    this.#session = session;
    this.#packTid = packTid;
    this.#last = last;
    this.#isDry = isDry;
  }

  *run({ gc = true, roots = [] }: PackOptions): Steps<PackReport> {
    const { schema } = this.#session;
    const total = this.#session.number(
      `SELECT coalesce((SELECT objects FROM ${schema.txn} ORDER BY tid DESC LIMIT 1), 0)`,
    );
    let marks: PackMarks | undefined;
    // Without a root everything would be garbage.
    if (gc && this.#session.query(`SELECT 1 FROM ${schema.revision} WHERE oid = 0 LIMIT 1`).next()) {
      marks = new PackMarks(this.#session, this.#packTid, this.#last);
      yield* marks.run([ROOT_OID, ...roots], total);
    }
    if (!this.#isDry) {
      // From here on a snapshot that is older may miss revisions, and knows why; and what was committed before can't be undone.
      this.#session.query(`UPDATE ${schema.meta} SET value = greatest(value, $1) WHERE name = 'packed_to'`, [
        this.#packTid,
      ]);
    }
    if (marks !== undefined) yield* this.#doom(marks, total);
    yield* this.#sweepAll(total);
    if (!this.#isDry) {
      const removals = this.#session.query(undoom(schema));
      if (removals.next()) this.#session.removed(removals.number());
      yield* this.#forgetTransactions();
    }
    return { ...this.#report };
  }

  *#doom(marks: PackMarks, total: number): Steps<void> {
    const { schema } = this.#session;
    const unmarked = yield* marks.unmarked(total);
    if (this.#isDry) {
      for (const oid of unmarked) this.#doomed.add(oid);
      return;
    }
    // A pack that was killed left them.
    const left = this.#session.query(`SELECT oid FROM ${schema.doomed}`);
    while (left.next()) this.#doomed.add(left.oid());
    if (unmarked.length === 0) return;
    let removals = 0;
    yield* this.#session.locked('mark', 'COMMIT', () => {
      marks.catchUp();
      const doomed = unmarked.filter((oid) => !marks.has(oid));
      this.#session.query(`INSERT INTO ${schema.doomed} SELECT unnest($1::bigint[]) ON CONFLICT DO NOTHING`, [
        oidArray(doomed),
      ]);
      removals = this.#session.number(doom(schema));
      for (const oid of doomed) this.#doomed.add(oid);
    });
    this.#session.removed(removals);
  }

  *#sweepAll(total: number): Steps<void> {
    const { revision } = this.#session.schema;
    let done = 0;
    for (let after: string | undefined; ;) {
      const rows = this.#session.query(
        `SELECT DISTINCT oid FROM ${revision} ${after === undefined ? '' : 'WHERE oid > $1'} ORDER BY oid LIMIT ${PAGE}`,
        after === undefined ? [] : [after],
      );
      const oids: Oid[] = [];
      while (rows.next()) oids.push(rows.oid());
      if (oids.length > 0) {
        const remove = (): void => this.#remove(oids);
        yield* this.#session.locked('sweep', this.#isDry ? 'ROLLBACK' : 'COMMIT', remove);
      }
      done += oids.length;
      yield { phase: 'sweep', done: Math.min(done, total), total };
      if (oids.length < PAGE) return;
      after = oidParameter(oids.at(-1)!);
    }
  }

  #remove(oids: readonly Oid[]): void {
    const { revision, blob, blobChunk, txn, doomed } = this.#session.schema;
    const unreachable = oidArray(oids.filter((oid) => this.#doomed.has(oid)));
    // An object goes as a whole when its newest revision is not later than the pack time, and it is deleted or not reachable.
    const rows = this.#session.query(
      `WITH newest AS (
          SELECT wanted.oid, r.tid, r.deleted FROM unnest($1::bigint[]) AS wanted (oid)
            CROSS JOIN LATERAL (SELECT tid, state IS NULL AS deleted FROM ${revision} WHERE oid = wanted.oid ORDER BY tid DESC LIMIT 1) AS r
        ), gone AS (
          SELECT oid, deleted FROM newest WHERE tid <= $2 AND (deleted OR oid = ANY ($3::bigint[]))
        ), removed AS (
          DELETE FROM ${revision} AS r WHERE r.oid = ANY ($1::bigint[]) AND (r.oid IN (SELECT oid FROM gone) OR NOT ${isRetained(this.#session.schema, 'r')})
          RETURNING length(r.state) AS size, r.blob
        ), undoomed AS (
          DELETE FROM ${doomed} WHERE oid = ANY (ARRAY(SELECT oid FROM gone))
        )
        SELECT count(*), coalesce(sum(size), 0), count(blob), (SELECT count(*) FROM gone), (SELECT count(*) FROM gone WHERE NOT deleted),
          array_to_string(array_agg(DISTINCT blob) FILTER (WHERE blob IS NOT NULL), ',') FROM removed`,
      [oidArray(oids), this.#packTid, unreachable],
    );
    rows.next();
    this.#report.revisions += rows.number();
    this.#report.bytes += rows.number();
    this.#report.blobs += rows.number();
    this.#report.objects += rows.number();
    const existing = rows.number();
    const contents = rows.text();
    if (contents !== null && contents !== '') {
      const sizes = this.#session.query(
        `DELETE FROM ${blob} AS b WHERE b.id = ANY ($1::bigint[]) AND NOT EXISTS (SELECT 1 FROM ${revision} WHERE blob = b.id) RETURNING b.id, b.size`,
        [`{${contents}}`],
      );
      const ids: string[] = [];
      while (sizes.next()) {
        ids.push(sizes.text()!);
        this.#report.bytes += sizes.number();
      }
      this.#session.query(`DELETE FROM ${blobChunk} WHERE blob = ANY ($1::bigint[])`, [`{${ids.join()}}`]);
    }
    if (existing > 0) {
      this.#session.query(
        `UPDATE ${txn} SET objects = objects - $1 WHERE tid = (SELECT max(tid) FROM ${txn})`,
        [existing],
      );
    }
  }

  /** Transactions that keep nothing vanish, but for the last one; the others can't be undone any more. */
  *#forgetTransactions(): Steps<void> {
    const { txn, revision } = this.#session.schema;
    for (let after = ZERO_TID, done = 0; ;) {
      const rows = this.#session.query(
        `WITH page AS (SELECT tid FROM ${txn} WHERE tid > $1 AND tid <= $2 ORDER BY tid LIMIT ${TRANSACTIONS}), gone AS (
            DELETE FROM ${txn} AS t WHERE tid = ANY (ARRAY(SELECT tid FROM page)) AND tid < (SELECT max(tid) FROM ${txn})
              AND NOT EXISTS (SELECT 1 FROM ${revision} WHERE tid = t.tid) RETURNING tid
          ), kept AS (
            UPDATE ${txn} SET packed = true WHERE tid = ANY (ARRAY(SELECT tid FROM page)) AND tid <> ALL (ARRAY(SELECT tid FROM gone)) AND NOT packed
          ) SELECT max(tid), count(*) FROM page`,
        [after, this.#packTid],
      );
      rows.next();
      after = rows.optionalTid() ?? after;
      const count = rows.number();
      done += count;
      yield { phase: 'forget', done, total: undefined };
      if (count < TRANSACTIONS) return;
    }
  }
}
