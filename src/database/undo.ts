import { InvalidArgumentError, UndoError } from '../errors';
import { formatOid, type Oid, type Tid } from '../ids';
import { className } from '../record/index';
import {
  requireCapability,
  type Storage,
  type StorageInstance,
  type TransactionInfo,
} from '../storage/index';
import type { DataManager, Transaction } from '../transaction/index';
import { StorageCommit } from './storage-commit';

/** A past transaction that can be undone. */
export interface UndoEntry {
  /** For `db.undo()`. */
  readonly id: Tid;
  readonly time: Date;
  readonly user: string;
  readonly description: string;
  readonly extension: Readonly<Record<string, unknown>>;
}

/**
 * Undoes transactions when the one it has joined commits, with a storage instance of its own unless a connection of the
 * same transaction commits to the same storage.
 */
export class UndoParticipant implements DataManager {
  readonly #storage: Storage;
  readonly #ids: readonly Tid[];
  readonly #sortKey: string;
  readonly #finished: (tid: Tid, oids: readonly Oid[]) => void;
  #instance: StorageInstance | undefined;
  #commit: StorageCommit | undefined;
  #undone: readonly Oid[] = [];

  constructor(
    storage: Storage,
    ids: readonly Tid[],
    sortKey: string,
    finished: (tid: Tid, oids: readonly Oid[]) => void,
  ) {
    requireCapability(storage, 'undo');
    for (const id of ids) {
      if (typeof id !== 'bigint') {
        throw new InvalidArgumentError(
          `undo() takes the id of an undoLog() entry, a bigint, not ${typeof id}.`,
        );
      }
    }
    this.#storage = storage;
    this.#ids = ids;
    this.#sortKey = sortKey;
    this.#finished = finished;
  }

  get mode(): 'sync' | 'both' {
    return this.#storage.supports.asyncCommit ? 'both' : 'sync';
  }

  sortKey(): string {
    return this.#sortKey;
  }

  tpcBegin(transaction: Transaction): void {
    this.#join(transaction).begin();
  }

  async tpcBeginAsync(transaction: Transaction): Promise<void> {
    await this.#join(transaction).beginAsync();
  }

  commit(): void {
    const commit = this.#commit!;
    const undone = new Set<Oid>();
    for (const id of this.#ids) {
      try {
        for (const oid of commit.instance.undo!(id, commit.meta)) undone.add(oid);
      } catch (error) {
        throw this.#explain(error);
      }
    }
    this.#undone = [...undone];
    commit.claimUndone(this.#undone, this, (writer) => writer instanceof UndoParticipant);
  }

  tpcVote(): void {
    this.#commit!.vote();
  }

  async tpcVoteAsync(): Promise<void> {
    await this.#commit!.voteAsync();
  }

  tpcFinish(): void {
    try {
      this.#finished(this.#commit!.finish(), this.#undone);
    } finally {
      this.#release();
    }
  }

  async tpcFinishAsync(): Promise<void> {
    try {
      this.#finished(await this.#commit!.finishAsync(), this.#undone);
    } finally {
      this.#release();
    }
  }

  tpcCommit(): void {
    this.#finished(this.#commit!.commit(), this.#undone);
    this.#release();
  }

  async tpcCommitAsync(): Promise<void> {
    this.#finished(await this.#commit!.commitAsync(), this.#undone);
    this.#release();
  }

  tpcAbort(): void {
    try {
      this.#commit?.abort();
    } finally {
      this.#release();
    }
  }

  abort(): void {
    this.tpcAbort();
  }

  #join(transaction: Transaction): StorageCommit {
    let instance = StorageCommit.find(transaction, this.#storage)?.instance;
    if (!instance) {
      instance = this.#instance = this.#storage.newInstance();
      instance.poll();
    }
    return (this.#commit = StorageCommit.join(transaction, this.#storage, instance));
  }

  /** Adds the classes of the objects that stand in the way. */
  #explain(error: unknown): unknown {
    if (!(error instanceof UndoError) || error.oids.length === 0) return error;
    const named = error.oids.map((oid) => `${this.#classOf(oid)} ${formatOid(oid)}`);
    return new UndoError(
      `This can't be undone, as later transactions changed the same objects, and the changes can't be merged: ` +
        `${named.join(', ')}. Undo the later ones, too: undoMultiple([newest, …, oldest]).`,
      error.oids,
      { cause: error },
    );
  }

  #classOf(oid: Oid): string {
    try {
      return className(this.#storage.load(oid).data);
    } catch {
      return 'deleted object'; // or unreadable: the error at hand matters more
    }
  }

  #release(): void {
    const instance = this.#instance;
    this.#instance = undefined;
    this.#commit = undefined;
    this.#undone = [];
    instance?.release();
  }
}

export function undoEntry({ tid, meta }: TransactionInfo, dateOf: (tid: Tid) => Date): UndoEntry {
  const { user, description, extension } = meta;
  return { id: tid, time: dateOf(tid), user, description, extension };
}
