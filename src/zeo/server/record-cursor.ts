import { ROOT_OID, oidToBytes, tidToBytes, type Oid, type Tid } from '../../ids';
import { InvalidArgumentError } from '../../errors';
import { requireCapability, type CurrentRecord } from '../../storage/index';
import { oidArgument } from '../wire/arguments';
import { tuple, type WireValue } from '../wire/values';
import type { Session } from './session';

interface Cursor {
  readonly records: Iterator<CurrentRecord>;
  readonly next: CurrentRecord;
  /** The cursor shows the state of this transaction. */
  readonly tid: Tid;
}

/** Where each client is in its walk, so that the next step need not look for the place. */
const cursors = new WeakMap<Session, Cursor>();

/** One step of `record_iternext`: (oid, tid, data, next oid or None). */
export function nextRecord(session: Session, from: WireValue): WireValue {
  const { storage } = session;
  requireCapability(storage, 'currentRecords');
  const wanted = from === null ? ROOT_OID : oidArgument(from);
  const { records, next, tid } = resume(session, wanted) ?? start(session, wanted);
  const step = records.next();
  if (step.done) cursors.delete(session);
  else cursors.set(session, { records, next: step.value, tid });
  return tuple(
    oidToBytes(next.oid),
    tidToBytes(next.serial),
    next.data,
    step.done ? null : oidToBytes(step.value.oid),
  );
}

function resume(session: Session, oid: Oid): Cursor | undefined {
  const cursor = cursors.get(session);
  if (cursor?.next.oid !== oid || cursor.tid !== session.storage.lastTransaction()) return undefined;
  return cursor;
}

function start(session: Session, oid: Oid): Cursor {
  const records = session.storage.currentRecords!(oid);
  const first = records.next();
  if (first.done) throw new InvalidArgumentError('There is no object from this oid on.');
  return { records, next: first.value, tid: session.storage.lastTransaction() };
}
