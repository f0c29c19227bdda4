import { InvalidArgumentError } from '../errors';
import { type Tid } from '../ids';
import {
  requireCapability,
  TransactionMetaData,
  type Storage,
  type StorageInstance,
  type TransactionInfo,
} from '../storage/index';
import type { DataManager, Transaction } from '../transaction/index';

/** A past transaction that can be undone. */
export interface UndoEntry {
  /** For `db.undo()`. */
  readonly id: Tid;
  readonly time: Date;
  readonly user: string;
  readonly description: string;
  readonly extension: Readonly<Record<string, unknown>>;
}

/** Undoes transactions when the one it has joined commits, with a storage instance of its own. */
export class UndoParticipant implements DataManager {
  readonly #storage: Storage;
  readonly #ids: readonly Tid[];
  readonly #sortKey: string;
  readonly #finished: (tid: Tid) => void;
  #instance: StorageInstance | undefined;
  #meta: TransactionMetaData | undefined;

  constructor(storage: Storage, ids: readonly Tid[], sortKey: string, finished: (tid: Tid) => void) {
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

  sortKey(): string {
    return this.#sortKey;
  }

  tpcBegin(transaction: Transaction): void {
    const { user, description, extension } = transaction;
    this.#meta = new TransactionMetaData({ user, description, extension });
    this.#instance = this.#storage.newInstance();
    this.#instance.poll();
    this.#instance.tpcBegin(this.#meta);
  }

  commit(): void {
    for (const id of this.#ids) this.#instance!.undo!(id, this.#meta!);
  }

  tpcVote(): void {
    this.#instance!.tpcVote(this.#meta!);
  }

  tpcFinish(): void {
    try {
      this.#finished(this.#instance!.tpcFinish(this.#meta!));
    } finally {
      this.#release();
    }
  }

  tpcAbort(): void {
    if (this.#instance && this.#meta) this.#instance.tpcAbort(this.#meta);
    this.#release();
  }

  abort(): void {
    this.#release();
  }

  #release(): void {
    this.#instance?.release();
    this.#instance = undefined;
    this.#meta = undefined;
  }
}

export function undoEntry({ tid, meta }: TransactionInfo, dateOf: (tid: Tid) => Date): UndoEntry {
  const { user, description, extension } = meta;
  return { id: tid, time: dateOf(tid), user, description, extension };
}
