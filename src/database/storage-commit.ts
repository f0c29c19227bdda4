import { UndoError } from '../errors';
import { formatOid, type Oid, type Tid } from '../ids';
import { TransactionMetaData, type Storage, type StorageInstance } from '../storage/index';
import type { Transaction } from '../transaction/index';
import { keepSpecimen } from '../specimens';
import { ConnectionStateError } from './connection-errors';

const NONE: readonly Oid[] = [];

const underWay = new WeakMap<Transaction, StorageCommit[]>();

/**
 * A storage's two-phase commit within one transaction, shared by all who take part in it with this storage: a connection,
 * further connections of the same transaction manager, and undos. The storage is locked once, all write through one
 * instance, and the last to vote, the first to finish and the first to abort do it for all.
 */
export class StorageCommit {
  readonly meta: TransactionMetaData;
  readonly instance: StorageInstance;
  /** Oids whose stored data are not what was given. Known after the last vote. */
  resolved: readonly Oid[] = NONE;
  /** Whether there are several members. */
  isShared = false;
  readonly #storage: Storage;
  #began = false;
  #over = false;
  #members = 1;
  #votes = 0;
  #tid: Tid | undefined;
  /** Who wrote what; kept only where there are several members. */
  #writers: Map<Oid, object> | undefined;

  private constructor(storage: Storage, instance: StorageInstance, transaction: Transaction) {
    const { user, description } = transaction;
    const extension = transaction.hasExtension ? transaction.extension : undefined;
    this.meta = new TransactionMetaData({ user, description, extension });
    this.#storage = storage;
    this.instance = instance;
  }

  static {
    const nothing = { user: '', description: '', hasExtension: false } as Transaction;
    const { meta } = keepSpecimen(
      new StorageCommit(Object.create(null) as Storage, Object.create(null) as StorageInstance, nothing),
    );
    keepSpecimen(meta);
  }

  /** The commit that another member has begun in this transaction. */
  static find(transaction: Transaction, storage: Storage): StorageCommit | undefined {
    return underWay.get(transaction)?.find((commit) => commit.#storage === storage && !commit.#over);
  }

  /** A new member's commit: the one under way, or a new one through `instance`. All join before any of them writes. */
  static join(transaction: Transaction, storage: Storage, instance: StorageInstance): StorageCommit {
    // Whoever takes part has joined by now.
    if (transaction.hasOneManager) return new StorageCommit(storage, instance, transaction);
    const shared = StorageCommit.find(transaction, storage);
    if (shared) {
      shared.#members++;
      shared.isShared = true;
      shared.#writers ??= new Map();
      return shared;
    }
    const commit = new StorageCommit(storage, instance, transaction);
    const known = underWay.get(transaction);
    if (known) known.push(commit);
    else underWay.set(transaction, [commit]);
    return commit;
  }

  begin(): void {
    if (this.#began) return;
    this.#began = true;
    this.instance.tpcBegin(this.meta);
  }

  async beginAsync(): Promise<void> {
    if (this.#began) return;
    this.#began = true;
    await this.instance.tpcBeginAsync!(this.meta);
  }

  /** `member` writes this object. Throws when another one has. */
  claim(oid: Oid, member: object): void {
    if (!this.#writers) return;
    const other = this.#writers.get(oid);
    if (other !== undefined && other !== member) {
      throw new ConnectionStateError(
        `Two connections of one transaction changed object ${formatOid(oid)}. ` +
          'Use one connection, or give each a transaction manager of its own.',
      );
    }
    this.#writers.set(oid, member);
  }

  /** As {@link claim}, for what an undo wrote: several undos may change one object. */
  claimUndone(oids: readonly Oid[], member: object, isUndo: (writer: object) => boolean): void {
    if (!this.#writers) return;
    const taken = oids.filter((oid) => {
      const other = this.#writers!.get(oid);
      return other !== undefined && !isUndo(other);
    });
    if (taken.length > 0) {
      throw new UndoError(
        `The transaction that undoes has changed the same objects itself: ${taken.map(formatOid).join(', ')}.`,
        taken,
      );
    }
    for (const oid of oids) this.#writers.set(oid, member);
  }

  /** What others than `member` wrote: the instance that they used is not told of it by `poll`. */
  writtenByOthers(member: object): Oid[] {
    if (!this.#writers) return [];
    return [...this.#writers].filter(([, writer]) => writer !== member).map(([oid]) => oid);
  }

  vote(): void {
    if (++this.#votes === this.#members) this.resolved = this.instance.tpcVote(this.meta);
  }

  async voteAsync(): Promise<void> {
    if (++this.#votes === this.#members) this.resolved = await this.instance.tpcVoteAsync!(this.meta);
  }

  finish(): Tid {
    return (this.#tid ??= this.#finished(this.instance.tpcFinish(this.meta)));
  }

  async finishAsync(): Promise<Tid> {
    return (this.#tid ??= this.#finished(await this.instance.tpcFinishAsync!(this.meta)));
  }

  /** The vote and the finish of an only member. */
  commit(): Tid {
    const { instance } = this;
    if (!instance.tpcCommit) {
      this.resolved = instance.tpcVote(this.meta);
      return this.#finished(instance.tpcFinish(this.meta));
    }
    const { tid, resolved } = instance.tpcCommit(this.meta);
    this.resolved = resolved;
    return this.#finished(tid);
  }

  async commitAsync(): Promise<Tid> {
    const { instance } = this;
    if (!instance.tpcCommitAsync) {
      await this.voteAsync();
      return this.finishAsync();
    }
    const { tid, resolved } = await instance.tpcCommitAsync(this.meta);
    this.resolved = resolved;
    return this.#finished(tid);
  }

  abort(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#began) this.instance.tpcAbort(this.meta);
  }

  #finished(tid: Tid): Tid {
    this.#over = true;
    return tid;
  }
}
