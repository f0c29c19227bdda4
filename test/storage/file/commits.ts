/** Short ways to commit in tests. */
import { ZERO_TID, type Oid, type Tid } from '../../../src/ids';
import { TransactionMetaData, type Storage } from '../../../src/storage';

/** Commits what `change` does. */
export function commit(storage: Storage, change: (txn: TransactionMetaData) => void, description = ''): Tid {
  const txn = new TransactionMetaData({ description });
  storage.tpcBegin(txn);
  try {
    change(txn);
    storage.tpcVote(txn);
  } catch (error) {
    storage.tpcAbort(txn);
    throw error;
  }
  return storage.tpcFinish(txn);
}

/** Commits one record, on top of what is there. */
export function put(storage: Storage, oid: Oid, data: Uint8Array, description = ''): Tid {
  return commit(storage, (txn) => storage.store(oid, serialOf(storage, oid), data, txn), description);
}

/** The current serial, `ZERO_TID` for a new object. */
export function serialOf(storage: Storage, oid: Oid): Tid {
  try {
    return storage.load(oid).serial;
  } catch {
    return ZERO_TID;
  }
}

/** Commits an undo. */
export function undo(storage: Storage, tid: Tid): Tid {
  return commit(storage, (txn) => storage.undo!(tid, txn), 'undo');
}
