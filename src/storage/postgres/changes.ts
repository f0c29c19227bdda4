import { ZERO_TID, type Oid, type Tid } from '../../ids';
import type { Schema } from './schema';
import type { ServerWork } from './server';
import type { Channel, Place } from './server-worker';

/** More changes than this are not worth telling one by one. */
const MOST = 100_000;

/** What was committed after a tid. */
export interface Changes {
  readonly last: Tid;
  /** How often objects were removed so far. */
  readonly removals: number;
  /** Each transaction with its oids, in order; `undefined` when there are too many. */
  readonly transactions: readonly (readonly [Tid, readonly Oid[]])[] | undefined;
}

/** Asks what was committed after `since`, through a connection that may have the commit lock; without `since` only for the last tid. */
export function* changesAfter(
  schema: Schema,
  channel: Channel,
  since: Tid | undefined,
  place?: Place,
): ServerWork<Changes> {
  const { txn, revision, meta } = schema;
  const removed = `FROM ${meta} AS m`;
  if (since === undefined) {
    const rows = yield {
      channel,
      name: 'last',
      text: `SELECT m.value, (SELECT max(tid) FROM ${txn}) ${removed} WHERE m.name = 'removals'`,
      values: [],
      ...(place && { place }),
    };
    rows.next();
    return { removals: rows.number(), last: rows.optionalTid() ?? ZERO_TID, transactions: [] };
  }
  // One row at least: the number of removals comes with each poll.
  const rows = yield {
    channel,
    name: 'changes',
    text: `SELECT m.value, c.tid, c.oid ${removed} LEFT JOIN (
        SELECT t.tid, r.oid FROM ${txn} AS t LEFT JOIN ${revision} AS r ON r.tid = t.tid WHERE t.tid > $1 ORDER BY t.tid LIMIT ${MOST + 1}
      ) AS c ON true WHERE m.name = 'removals' ORDER BY c.tid`,
    values: [since],
    ...(place && { place }),
  };
  const transactions: [Tid, Oid[]][] = [];
  let removals = 0;
  let count = 0;
  while (rows.next()) {
    if (++count > MOST)
      return { ...(yield* changesAfter(schema, channel, undefined, place)), transactions: undefined };
    removals = rows.number();
    const tid = rows.optionalTid();
    if (tid === undefined) break;
    if (transactions.at(-1)?.[0] !== tid) transactions.push([tid, []]);
    const oid = rows.optionalOid();
    if (oid !== undefined) transactions.at(-1)![1].push(oid);
  }
  return { last: transactions.at(-1)?.[0] ?? since, removals, transactions };
}
