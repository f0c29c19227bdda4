import { tidToBytes, oidToBytes, type Tid } from '../../ids';
import { StorageError } from '../../errors';
import type { DataRecord, TransactionRecord } from '../../storage/index';
import { extensionDict } from '../wire/metadata';
import { WireKeyError } from '../wire/errors-on-wire';
import { tuple, type WireTuple } from '../wire/values';

/** Iterators that one client may have open at a time. */
const MOST = 1000;

interface Open {
  readonly transactions: Iterator<TransactionRecord> | undefined;
  readonly records: Iterator<DataRecord> | undefined;
  /** The transaction handed out last. */
  last: TransactionRecord | undefined;
}

/** The iterators that a client has open; numbered from 0, those over transactions and over records together. */
export class ClientIterators {
  readonly #open = new Map<number, Open>();
  #next = 0;

  start(transactions: Iterator<TransactionRecord>): number {
    return this.#add({ transactions, records: undefined, last: undefined });
  }

  /** The next transaction; null at the end, after which the number is forgotten. */
  next(id: number): WireTuple | null {
    const entry = this.#get(id);
    const step = entry.transactions?.next() ?? { done: true, value: undefined };
    if (step.done) {
      this.#open.delete(id);
      return null;
    }
    const { tid, status, meta } = (entry.last = step.value);
    return tuple(tidToBytes(tid), status, meta.userBytes, meta.descriptionBytes, extensionDict(meta));
  }

  /** Begins with the records of the transaction that {@link next} returned last. */
  startRecords(id: number, tid: Tid): number {
    const { last } = this.#get(id);
    if (last?.tid !== tid) {
      throw new StorageError(
        'Records can be listed only of the transaction that the iterator returned last.',
      );
    }
    return this.#add({
      transactions: undefined,
      records: last.records()[Symbol.iterator](),
      last: undefined,
    });
  }

  nextRecord(id: number): WireTuple | null {
    const step = this.#get(id).records?.next() ?? { done: true, value: undefined };
    if (step.done) {
      this.#open.delete(id);
      return null;
    }
    const { oid, tid, data, dataTid } = step.value;
    return tuple(oidToBytes(oid), tidToBytes(tid), data, dataTid === undefined ? null : tidToBytes(dataTid));
  }

  /** Forgets one; silent when it is not there. */
  drop(id: number): void {
    const entry = this.#open.get(id);
    this.#open.delete(id);
    entry?.transactions?.return?.();
    entry?.records?.return?.();
  }

  close(): void {
    for (const id of [...this.#open.keys()]) this.drop(id);
  }

  #add(entry: Open): number {
    if (this.#open.size >= MOST)
      throw new StorageError(`A client can't have more than ${MOST} iterators open.`);
    this.#open.set(this.#next, entry);
    return this.#next++;
  }

  #get(id: number): Open {
    const entry = this.#open.get(id);
    if (!entry) throw new WireKeyError(id);
    return entry;
  }
}
