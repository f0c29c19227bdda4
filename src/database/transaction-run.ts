import { types } from 'node:util';
import { ClosedError, InvalidArgumentError, ZodbError, refuseUnknownOptions } from '../errors';
import {
  currentManager,
  isThenable,
  runInContext,
  type RunOptions,
  type TransactionManager,
} from '../transaction/index';
import type { Connection } from './connection';
import type { DB } from './db';
import type { Session } from './session';

/** Options of `db.transaction()`. */
export type TransactionOptions = RunOptions;

/** An object was used by code that its connection was not lent to. */
export class ForeignContextError extends ZodbError {
  constructor() {
    super(
      'An object was used outside of the db.transaction() that it came from, or in another one. ' +
        'Pass its oid (oidOf) or a copy of its data (toPlain) instead, and get it again from your own root.',
      { code: 'FOREIGN_CONTEXT' },
    );
  }
}

const KNOWN = ['attempts', 'backoff', 'note', 'onRetry'] satisfies (keyof TransactionOptions)[];

const LENT = { lent: true };

type Body = (root: object, connection: Connection) => unknown;

/** `db.transaction(fn)`: a run of the transaction room, with a connection that lives as long as the transaction. */
export function runTransaction(db: DB, fn: Body, given: TransactionOptions): unknown {
  refuseUnknownOptions('transaction()', given, KNOWN);
  if (typeof fn !== 'function') {
    throw new InvalidArgumentError(
      `transaction() takes a function, not ${fn === null ? 'null' : typeof fn}.`,
    );
  }
  const body = (): unknown => {
    const manager = currentManager();
    const known = db.pools.lentTo.get(manager);
    // One of an earlier attempt went back to the pool, and may belong to somebody else by now.
    if (known?.isOpen && known.transactionManager === manager) return fn(known.root, known);
    if (!types.isAsyncFunction(fn)) return callOn(db.pools.open(undefined, manager, LENT));
    const taken = db.pools.takeWhenFree();
    if (!isThenable(taken)) return callOn(db.pools.lend(taken as Session, manager, LENT));
    const transaction = manager.get();
    return (taken as Promise<Session>).then((session) => {
      if (transaction.ended) {
        db.pools.give(session);
        throw new ClosedError(
          'The transaction ended while this part of it waited for a connection: await it.',
        );
      }
      return callOn(db.pools.lend(session, manager, LENT));
    });
  };
  const callOn = (connection: Connection): unknown => {
    db.pools.lentTo.set(connection.transactionManager, connection);
    return fn(connection.root, connection);
  };
  const note = given.note ?? fn.name;
  return runInContext(body, {
    ...given,
    note: note === '_' ? '' : note,
  });
}

/** Throws unless the running code belongs to the transaction that `manager` runs. */
export function checkContext(manager: TransactionManager): void {
  if (currentManager() !== manager) throw new ForeignContextError();
}
