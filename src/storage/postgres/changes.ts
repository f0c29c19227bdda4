import { ZERO_TID, type Oid, type Tid } from '../../ids';
import type { Schema } from './schema';
import type { ServerWork } from './server';
import type { Channel, Place } from './server-worker';

/** More changes than this are not worth telling one by one. */
const MOST = 100_000;

/** What was committed after a tid. */
export interface Changes {
  readonly last: Tid;
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
  const { txn, revision } = schema;
  if (since === undefined) {
    const rows = yield {
      channel,
      name: 'last',
      text: `SELECT max(tid) FROM ${txn}`,
      values: [],
      ...(place && { place }),
    };
    rows.next();
    return { last: rows.optionalTid() ?? ZERO_TID, transactions: [] };
  }
  const rows = yield {
    channel,
    name: 'changes',
    text: `SELECT t.tid, r.oid FROM ${txn} AS t LEFT JOIN ${revision} AS r ON r.tid = t.tid WHERE t.tid > $1 ORDER BY t.tid LIMIT ${MOST + 1}`,
    values: [since],
    ...(place && { place }),
  };
  const transactions: [Tid, Oid[]][] = [];
  let count = 0;
  while (rows.next()) {
    if (++count > MOST) {
      const { last } = yield* changesAfter(schema, channel, undefined, place);
      return { last, transactions: undefined };
    }
    const tid = rows.tid();
    if (transactions.at(-1)?.[0] !== tid) transactions.push([tid, []]);
    const oid = rows.optionalOid();
    if (oid !== undefined) transactions.at(-1)![1].push(oid);
  }
  return { last: transactions.at(-1)?.[0] ?? since, transactions };
}
