import { oidFromBytes, type Oid, type Tid } from '../../ids';
import { OidSet } from '../sqlite/oid-set';
import type { Steps } from '../steps';
import type { PackSession } from './pack-session';
import { oidArray, oidParameter } from './rows';
import type { Schema } from './schema';

/** Objects followed at once. */
const PAGE = 500;
/** Objects looked at in one go, without their records. */
const SCAN = 5_000;

/** Objects that can be reached: from the root, and from all that was committed after the pack time. */
export class PackMarks {
  readonly #session: PackSession;
  readonly #packTid: Tid;
  readonly #marked = new OidSet();
  /** Everything up to here has been followed. */
  #seen: Tid;

  constructor(session: PackSession, packTid: Tid, last: Tid) {
    this.#session = session;
    this.#packTid = packTid;
    this.#seen = last;
  }

  /** Marks all that these lead to, or what is newer than the pack time. */
  *run(roots: readonly Oid[], total: number): Steps<void> {
    const { revision } = this.#session.schema;
    yield* this.#following(roots, total);
    for (let after: string | undefined; ;) {
      const rows = this.#session.query(
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

  /** Objects that are not marked and were not changed after the pack time. */
  *unmarked(total: number): Steps<Oid[]> {
    const { revision } = this.#session.schema;
    const found: Oid[] = [];
    for (let after: string | undefined, done = 0; ;) {
      const rows = this.#session.query(
        `SELECT DISTINCT ON (oid) oid, tid <= $1 FROM ${revision} ${after === undefined ? '' : 'WHERE oid > $2'} ORDER BY oid, tid DESC LIMIT ${SCAN}`,
        after === undefined ? [this.#packTid] : [this.#packTid, after],
      );
      let count = 0;
      for (let oid: Oid; rows.next(); count++) {
        oid = rows.oid();
        if (rows.text() === 't' && !this.#marked.has(oid)) found.push(oid);
        if (count === SCAN - 1) after = oidParameter(oid);
      }
      done += count;
      yield { phase: 'mark', done: Math.min(done, total), total };
      if (count < SCAN) return found;
    }
  }

  has(oid: Oid): boolean {
    return this.#marked.has(oid);
  }

  /** Marks what was committed since, and all that leads to. */
  catchUp(): void {
    const { revision, txn } = this.#session.schema;
    const rows = this.#session.query(`SELECT DISTINCT oid FROM ${revision} WHERE tid > $1`, [this.#seen]);
    const oids: Oid[] = [];
    while (rows.next()) oids.push(rows.oid());
    // Those that were marked before may have new references.
    for (const oid of oids) this.#marked.add(oid);
    for (const _ of this.#follow(oids));
    const last = this.#session.query(`SELECT max(tid) FROM ${txn}`);
    last.next();
    this.#seen = last.tid();
  }

  *#following(oids: readonly Oid[], total: number): Steps<void> {
    const unmarked = oids.filter((oid) => this.#marked.add(oid));
    for (const done of this.#follow(unmarked)) yield { phase: 'mark', done, total };
  }

  /** Marks all that the retained revisions of these objects lead to. */
  *#follow(found: Oid[]): Generator<number, void, void> {
    const { schema, host } = this.#session;
    while (found.length > 0) {
      const page = found.splice(-PAGE);
      const rows = this.#session.query(
        `SELECT r.refs, CASE WHEN r.refs IS NULL THEN r.state END FROM unnest($1::bigint[]) AS wanted (oid)
          JOIN ${schema.revision} AS r ON r.oid = wanted.oid WHERE ${isRetained(schema, 'r')}`,
        [oidArray(page), this.#packTid],
      );
      while (rows.next()) {
        const refs = rows.bytes();
        const state = rows.bytes();
        if (refs !== null)
          for (let at = 0; at < refs.length; at += 8) this.#mark(oidFromBytes(refs, at), found);
        else if (state !== null && host) for (const oid of host.references(state)) this.#mark(oid, found);
      }
      yield this.#marked.size;
    }
  }

  #mark(oid: Oid, found: Oid[]): void {
    if (this.#marked.add(oid)) found.push(oid);
  }
}

/** A revision is retained unless another one of the same object came at or before the pack time ($2). */
export function isRetained({ revision }: Schema, alias: string): string {
  return `NOT EXISTS (SELECT 1 FROM ${revision} AS later WHERE later.oid = ${alias}.oid AND later.tid > ${alias}.tid AND later.tid <= $2)`;
}
