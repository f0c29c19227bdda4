import type { Oid } from '../../ids';
import type { TransactionMetaData } from '../transaction-meta';

/** What a transaction under way has done so far. */
export interface Pending {
  readonly txn: TransactionMetaData;
  readonly changed: Set<Oid>;
  readonly resolved: Oid[];
  readonly undone: Map<Oid, Uint8Array | null>;
  removed: boolean;
  created: number;
}
