import { ReadOnlyError, StorageTransactionError } from '../../errors';
import { tidToBytes, type Oid, type Tid } from '../../ids';
import { type Storage, TransactionMetaData } from '../../storage/index';
import { transactionKey } from '../wire/arguments';
import { tuple, type WireTuple, type WireValue } from '../wire/values';
import { BlobUpload } from './blob-transfer';
import { commitGroup, isSmall, type GroupMember, type GroupResult } from './commit-group';
import type { HostedStorage } from './hosted-storage';
import type { InvalidationBatch } from './invalidation-batch';
import { ClientIterators } from './iterators';
import { Later } from './later';
import type { ServerLogger } from './logger';
import { TransactionLog, type LoggedOperation, type TransactionLimits } from './transaction-log';
import { prepareCommit } from './vote';

/** What a session needs of the connection that carries it. */
export interface SessionConnection {
  /** Who the client is, for logs. */
  readonly label: string;
  /** Sends a one-way message. */
  oneWay(name: string, args: WireValue): void;
  /** Sends the same one-way message as others of the storage: it is encoded once. */
  broadcast(name: string, args: WireValue): void;
  /** Sends the batch's messages about commits `from` up to `to`. */
  sendBatch(batch: InvalidationBatch, from: number, to: number): void;
  /** What is sent between these leaves together. */
  cork(): void;
  uncork(): void;
  /** Ends the connection. */
  close(reason: string): void;
}

/** Limits for one session. */
export interface SessionOptions {
  readonly readOnly: boolean;
  /** Milliseconds between vote and finish; `undefined`: no limit. */
  readonly transactionTimeout: number | undefined;
  readonly transactionLimits: TransactionLimits;
}

/** One client of one storage: its transaction and its iterators. */
export class Session implements GroupMember {
  readonly iterators = new ClientIterators();
  transaction: TransactionLog | undefined;
  upload: BlobUpload | undefined;
  /** The client does not want its pack any more. */
  stopPack = false;
  #voting = false;
  #locked = false;
  #changed: Oid[] = [];
  /** The answer to a commit at once, from the call until it is given. */
  #later: Later | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    readonly hosted: HostedStorage,
    readonly connection: SessionConnection,
    readonly options: SessionOptions,
    private readonly log: ServerLogger,
  ) {
    hosted.clients.add(this);
  }

  get storage(): Storage {
    return this.hosted.storage;
  }

  invalidated(changes: WireTuple): void {
    this.connection.broadcast('invalidateTransaction', changes);
  }

  invalidatedBy(batch: InvalidationBatch, from: number, to: number): void {
    this.connection.sendBatch(batch, from, to);
  }

  restart(reason: string): void {
    this.connection.close(reason);
  }

  sizeChanged(): void {
    this.connection.oneWay('info', tuple(this.sizeInfo()));
  }

  sizeInfo(): { length: number; size: number } {
    return { length: this.storage.objectCount(), size: this.storage.size() };
  }

  /** Throws unless this client may write. */
  checkWritable(): void {
    if (this.options.readOnly) throw new ReadOnlyError();
  }

  begin(id: WireValue | undefined, meta: TransactionMetaData, tid: Tid | undefined, status: ' ' | 'p'): void {
    this.checkWritable();
    const key = transactionKey(id);
    if (this.transaction) {
      if (this.transaction.key === key) return;
      throw new StorageTransactionError('A client can have one transaction at a time.');
    }
    this.transaction = new TransactionLog(key, meta, tid, status, this.options.transactionLimits);
    this.#changed = [];
    this.hosted.stats.activeTransactions++;
  }

  /** The transaction under way; throws when `id` is not its name. */
  require(id: WireValue | undefined): TransactionLog {
    this.checkWritable();
    const key = transactionKey(id);
    if (this.transaction?.key !== key) {
      throw new StorageTransactionError('This is not the transaction under way; call tpc_begin first.');
    }
    return this.transaction;
  }

  add(id: WireValue | undefined, make: (log: TransactionLog) => LoggedOperation): void {
    const log = this.require(id);
    if (this.#voting || this.#locked) {
      throw new StorageTransactionError('The transaction has been voted on; it can not be changed any more.');
    }
    const operation = make(log);
    log.add(operation);
    if (operation.op !== 'check' && operation.op !== 'undo') this.hosted.stats.stores++;
  }

  /** Waits for the turn of this client, then makes the transaction ready. The result is that of `vote`. */
  vote(id: WireValue | undefined): WireValue | Promise<WireValue> {
    const log = this.require(id);
    const turn = this.#takeTurn();
    return turn ? turn.then(() => this.#prepare(log)) : this.#prepare(log);
  }

  /**
   * Votes, and finishes in the same turn unless the client is to merge conflicts first: the tid, or None, with the answer of `vote`.
   * The commit lock is held for no round trip to the client, and those who wait for it commit together where the storage can.
   */
  commit(id: WireValue | undefined): Later {
    const log = this.require(id);
    const turn = this.#takeTurn();
    const later = (this.#later = new Later());
    const begin = (): void => this.#commitNow(log, later);
    // What others have sent meanwhile is read first, so that they can take part.
    if (turn) void turn.then(begin);
    else setImmediate(begin);
    return later;
  }

  #commitNow(log: TransactionLog, later: Later): void {
    const { commits, storage } = this.hosted;
    // It may have been aborted just before.
    if (this.transaction === log && this.groupable && storage.commitTogether) {
      const next = (): GroupMember | undefined =>
        commits.takeNext(({ groupable }) => groupable !== undefined);
      if (commitGroup(this.hosted, this, next)) return;
    }
    this.#prepareAndFinish(log).then(
      (value) => later.succeed(value),
      (error: unknown) => later.fail(error),
    );
  }

  get groupable(): TransactionLog | undefined {
    const { transaction } = this;
    return this.#later && transaction && isSmall(transaction) ? transaction : undefined;
  }

  concluded(result: GroupResult): void {
    const later = this.#later!;
    if ('error' in result) {
      this.#forget();
      return later.fail(result.error);
    }
    if ('conflicts' in result) {
      this.#endTurn();
      return later.succeed(tuple(null, result.conflicts));
    }
    this.connection.cork();
    this.sizeChanged();
    this.#forget();
    later.succeed(tuple(tidToBytes(result.tid), result.answer));
    this.connection.uncork();
  }

  async #prepareAndFinish(log: TransactionLog): Promise<WireValue> {
    const answer = await this.#prepare(log);
    return tuple(this.#locked ? tidToBytes(this.#finish(log)) : null, answer);
  }

  #takeTurn(): Promise<void> | undefined {
    if (this.#locked) throw new StorageTransactionError('Already voting (locked)');
    if (this.#voting) throw new StorageTransactionError('Already voting (waiting)');
    this.#voting = true;
    const turn = this.hosted.commits.acquire(this);
    if (turn) this.hosted.noteWaiting();
    return turn;
  }

  async #prepare(log: TransactionLog): Promise<WireValue> {
    // Its turn may have come and gone with an abort.
    if (this.transaction !== log) throw new StorageTransactionError('The transaction was aborted.');
    this.#startTimer();
    try {
      const { answer, changed, conflicts } = await prepareCommit(
        this.hosted,
        log,
        () => this.transaction === log,
      );
      if (this.transaction !== log) {
        this.storage.tpcAbort(log.meta);
        throw new StorageTransactionError('The transaction was aborted while it was voted on.');
      }
      this.#voting = false;
      if (conflicts) {
        this.storage.tpcAbort(log.meta);
        this.#endTurn();
      } else {
        this.#locked = true;
        this.#changed = changed;
      }
      return answer;
    } catch (error) {
      this.storage.tpcAbort(log.meta);
      if (this.transaction === log) this.#forget();
      throw error;
    }
  }

  /** Commits; null when `id` is not the transaction under way. */
  finish(id: WireValue | undefined): Tid | null {
    this.checkWritable();
    const log = this.transaction;
    if (log?.key !== transactionKey(id)) return null;
    if (!this.#locked) throw new StorageTransactionError('tpc_finish came before vote.');
    return this.#finish(log);
  }

  #finish(log: TransactionLog): Tid {
    let tid: Tid;
    try {
      this.hosted.checkAwaited(log.key);
      tid = this.storage.tpcFinish(log.meta);
    } catch (error) {
      this.storage.tpcAbort(log.meta);
      this.#forget();
      throw error;
    }
    // Nothing else runs between the commit and these lines: what was loaded before it left before them.
    this.hosted.committed({ tid, oids: this.#changed, by: this, key: log.key });
    this.sizeChanged();
    this.#forget();
    return tid;
  }

  /** Aborts; silent when `id` is not the transaction under way. */
  abort(id: WireValue | undefined): void {
    if (this.transaction === undefined || this.transaction.key !== transactionKey(id)) return;
    this.#abort();
  }

  /** The connection is gone. */
  close(): void {
    this.hosted.clients.delete(this);
    this.iterators.close();
    this.upload?.discard();
    this.upload = undefined;
    if (!this.transaction) return;
    this.log.info(this.#fields({ locked: this.#locked }), 'Disconnected during a transaction; it is aborted');
    this.#abort();
  }

  #abort(): void {
    this.hosted.stats.aborts++;
    this.storage.tpcAbort(this.transaction!.meta);
    this.#forget();
  }

  #forget(): void {
    this.transaction?.close();
    this.transaction = undefined;
    this.#changed = [];
    this.hosted.stats.activeTransactions--;
    this.#endTurn();
  }

  #endTurn(): void {
    clearTimeout(this.#timer);
    this.#voting = false;
    this.#locked = false;
    this.#later = undefined;
    this.hosted.commits.release(this);
  }

  #startTimer(): void {
    const limit = this.options.transactionTimeout;
    if (limit === undefined) return;
    this.#timer = setTimeout(() => {
      const seconds = limit / 1000;
      this.log.fatal(this.#fields({ seconds }), `Transaction timeout after ${seconds} seconds`);
      this.connection.close(`Transaction timeout after ${seconds} seconds`);
    }, limit);
  }

  #fields(fields: object): object {
    return { client: this.connection.label, storage: this.hosted.id, ...fields };
  }
}
