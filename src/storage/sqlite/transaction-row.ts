/**
 * A row of `txn`. Its `crc` covers seq, tid, user, description, extension and changed; not `packed`, `past` and
 * `objects`, which packing corrects.
 */
import { CorruptionError } from '../../errors';
import { formatTid, type Oid, type Tid } from '../../ids';
import { TransactionMetaData } from '../transaction-meta';
import { crc32 } from './crc32';
import type { Statement } from './driver';
import type { Handle } from './handle';
import { unpackOids } from './oid-list';

/** A transaction as it is stored; integers are bigints because of the tid. */
export interface TransactionRow {
  readonly seq: bigint;
  readonly tid: bigint;
  readonly packed: bigint;
  readonly past: bigint;
  readonly objects: bigint;
  readonly crc: bigint;
  readonly user: Buffer | null;
  readonly description: Buffer | null;
  readonly extension: Buffer | null;
  readonly changed: Buffer | null;
}

const EMPTY = new Uint8Array(0);
const HEAD = new Uint8Array(16);
const HEAD_VIEW = new DataView(HEAD.buffer);

/** The columns of {@link TransactionRow} in a SELECT. */
export const TRANSACTION_COLUMNS =
  'seq, tid, packed, past, objects, crc, user, description, extension, changed';

/** Prepares a statement that gives {@link TransactionRow}s. */
export function prepareTransactions(handle: Handle, rest: string): Statement<TransactionRow> {
  return handle.prepare<TransactionRow>(`SELECT ${TRANSACTION_COLUMNS} FROM txn ${rest}`).safeIntegers();
}

/** The checksum of a row's content. */
export function transactionCrc(
  seq: number,
  tid: Tid,
  user: Uint8Array,
  description: Uint8Array,
  extension: Uint8Array,
  changed: Uint8Array,
): number {
  HEAD_VIEW.setBigUint64(0, BigInt(seq));
  HEAD_VIEW.setBigUint64(8, tid);
  let crc = crc32(HEAD, 0);
  for (const part of [user, description, extension, changed]) {
    // The length first, so that bytes can't move from one column to the next unseen.
    crc = part.length === 0 ? crc ^ 1 : crc32(part, (crc ^ (part.length << 1)) >>> 0);
  }
  return crc >>> 0;
}

/** What a transaction says of itself. `CorruptionError` when the row is damaged. */
export function rowMeta(row: TransactionRow): TransactionMetaData {
  checkRow(row);
  return new TransactionMetaData({
    user: row.user ?? EMPTY,
    description: row.description ?? EMPTY,
    extension: row.extension ?? EMPTY,
  });
}

/** The oids that a transaction changed. `CorruptionError` when the row is damaged. */
export function rowChanges(row: TransactionRow): Oid[] {
  checkRow(row);
  return unpackOids(row.changed ?? EMPTY);
}

function checkRow(row: TransactionRow): void {
  const crc = transactionCrc(
    Number(row.seq),
    row.tid as Tid,
    row.user ?? EMPTY,
    row.description ?? EMPTY,
    row.extension ?? EMPTY,
    row.changed ?? EMPTY,
  );
  if (crc !== Number(row.crc)) {
    throw new CorruptionError(
      `The stored transaction ${formatTid(row.tid as Tid)} is damaged: its checksum does not match.`,
    );
  }
}
