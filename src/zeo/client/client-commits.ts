import { randomUUID } from 'node:crypto';
import { ReadOnlyError, StorageTransactionError } from '../../errors';
import { oidFromBytes, type Oid, type Tid } from '../../ids';
import {
  CommitLock,
  type CommitResult,
  type StorageHost,
  type TransactionMetaData,
  type TransactionStatus,
} from '../../storage/index';
import { itemsOf, tuple } from '../wire/values';
import type { ClientParts } from './client-parts';
import { ClientTransaction } from './client-transaction';

/** The commits of a client: one transaction at a time, its changes put into the cache when the server has them. */
export class ClientCommits {
  host: StorageHost | undefined;
  readonly #parts: ClientParts;
  readonly #lock: CommitLock;
  /** Makes our names for transactions different from those of all other clients. */
  readonly #clientId = randomUUID();
  #transaction: ClientTransaction | undefined;
  #count = 0;
  #oids: Oid[] = [];

  constructor(parts: ClientParts) {
    this.#parts = parts;
    this.#lock = new CommitLock(parts.name);
  }

  /** One of those that the server gave us; it gives a hundred at a time. */
  newOid(): Oid {
    if (this.#oids.length === 0) {
      this.#oids = this.#parts.link.call('new_oids', tuple(), (reply) =>
        (itemsOf(reply) ?? []).map((oid) => oidFromBytes(oid as Uint8Array)).reverse(),
      );
    }
    return this.#oids.pop()!;
  }

  begin(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): void {
    this.#lock.acquire(txn);
    this.#begin(txn, tid, status);
  }

  async beginAsync(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): Promise<void> {
    await this.#lock.acquireAsync(txn);
    try {
      await this.#parts.link.requireAsync();
    } catch (error) {
      this.#lock.release(txn);
      throw error;
    }
    this.#begin(txn, tid, status);
  }

  /** The transaction under way; throws unless it is this one. */
  require(txn: TransactionMetaData): ClientTransaction {
    this.#lock.require(txn);
    return this.#transaction!;
  }

  vote(txn: TransactionMetaData): readonly Oid[] {
    const transaction = this.require(txn);
    try {
      return this.#parts.link.run(transaction.vote());
    } catch (error) {
      throw this.#voteFailed(error);
    }
  }

  async voteAsync(txn: TransactionMetaData): Promise<readonly Oid[]> {
    const transaction = this.require(txn);
    try {
      return await this.#parts.link.runAsync(transaction.vote());
    } catch (error) {
      throw this.#voteFailed(error);
    }
  }

  /** Votes and finishes. After an error, {@link abort} is to follow. */
  commit(txn: TransactionMetaData): CommitResult {
    const transaction = this.require(txn);
    let result: CommitResult;
    try {
      result = this.#parts.link.run(
        transaction.commit((tid) => this.#committed(transaction, tid, undefined)),
      );
    } catch (error) {
      throw this.#voteFailed(error);
    }
    this.#end(txn);
    return result;
  }

  async commitAsync(txn: TransactionMetaData): Promise<CommitResult> {
    const transaction = this.require(txn);
    const work = transaction.commit((tid) => this.#committed(transaction, tid, undefined));
    let result: CommitResult;
    try {
      result = await this.#parts.link.runAsync(work);
    } catch (error) {
      throw this.#voteFailed(error);
    }
    this.#end(txn);
    return result;
  }

  finish(txn: TransactionMetaData, callback: ((tid: Tid) => void) | undefined): Tid {
    const transaction = this.#voted(txn);
    try {
      return this.#parts.link.run(transaction.finish((tid) => this.#committed(transaction, tid, callback)));
    } finally {
      this.#end(txn);
    }
  }

  async finishAsync(txn: TransactionMetaData, callback: ((tid: Tid) => void) | undefined): Promise<Tid> {
    const transaction = this.#voted(txn);
    const work = transaction.finish((tid) => this.#committed(transaction, tid, callback));
    try {
      return await this.#parts.link.runAsync(work);
    } finally {
      this.#end(txn);
    }
  }

  abort(txn: TransactionMetaData): void {
    if (this.#transaction?.meta !== txn) return this.#lock.release(txn);
    this.#transaction.abort();
    this.#end(txn);
  }

  /** Aborts what is under way; those who wait for their turn get `error`. */
  close(error: Error): void {
    this.#transaction?.abort();
    this.#lock.close(error);
  }

  #begin(txn: TransactionMetaData, tid: Tid | undefined, status: TransactionStatus = ' '): void {
    const { connector, link, view } = this.#parts;
    try {
      const connection = link.require();
      if (connector.isReadOnly) throw new ReadOnlyError('Only a read-only ZEO server could be reached.');
      const count = ++this.#count;
      const id = connection.epoch === undefined ? count : `${this.#clientId}-${count}`;
      const context = {
        host: this.host,
        connection: () => connector.current,
        load: view.load.bind(view),
      };
      this.#transaction = new ClientTransaction(id, txn, connection, context, tid, status);
    } catch (error) {
      this.#lock.release(txn);
      throw error;
    }
  }

  #voted(txn: TransactionMetaData): ClientTransaction {
    const transaction = this.require(txn);
    if (!transaction.voted) throw new StorageTransactionError('tpcFinish came before tpcVote.');
    return transaction;
  }

  #voteFailed(error: unknown): unknown {
    // What made the conflict is on its way, but need not have arrived: the next load asks the server.
    const oid = (error as { oid?: Oid }).oid;
    if (oid !== undefined) this.#parts.cache.invalidate(oid, undefined);
    return error;
  }

  /** The server has committed; runs in the order of the wire. */
  #committed(transaction: ClientTransaction, tid: Tid, callback: ((tid: Tid) => void) | undefined): void {
    const { adapter, blobs, cache, view } = this.#parts;
    callback?.(tid);
    const oids = new Set([...transaction.stored.keys(), ...transaction.changedElsewhere]);
    for (const oid of oids) cache.invalidate(oid, tid);
    for (const [oid, { data }] of transaction.stored) {
      if (!transaction.changedElsewhere.has(oid)) cache.store(oid, tid, undefined, data);
    }
    blobs.committed(transaction, tid);
    adapter.committed(tid, [...oids], transaction.meta);
    view.committed(tid);
  }

  #end(txn: TransactionMetaData): void {
    this.#parts.blobs.forget(this.#transaction);
    this.#transaction = undefined;
    this.#lock.release(txn);
  }
}
