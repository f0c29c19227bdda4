import { InvalidSavepointRollbackError, SavepointsUnsupportedError } from './errors';
import type { DataManager, DataManagerSavepoint } from './interfaces';

/** What a savepoint needs of its transaction. */
export interface SavepointOwner {
  /** Whether the savepoint of this number has not ended. */
  isSavepointValid(index: number): boolean;
  /** Ends the later savepoints, goes back by `states`, and unjoins who joined later. */
  rollbackTo(index: number, states: readonly DataManagerSavepoint[]): void;
}

/**
 * A point inside a transaction that it can go back to, as often as needed, until the transaction ends or goes back
 * to an earlier one. Made by `transaction.savepoint()`.
 *
 * The transaction keeps no list of its savepoints (they are known by number), so one that nobody holds is free to go,
 * together with the saved states.
 */
export class Savepoint {
  readonly #owner: SavepointOwner;
  readonly #index: number;
  readonly #states: readonly DataManagerSavepoint[];

  /** @internal */
  constructor(owner: SavepointOwner, index: number, states: readonly DataManagerSavepoint[]) {
    this.#owner = owner;
    this.#index = index;
    this.#states = states;
  }

  /** False when a rollback would throw {@link InvalidSavepointRollbackError}. */
  get valid(): boolean {
    return this.#owner.isSavepointValid(this.#index);
  }

  /**
   * Undoes what was done since. Savepoints made later end; data managers that joined later are aborted and leave
   * the transaction. An error in it fails the transaction.
   */
  rollback(): void {
    if (!this.valid) throw new InvalidSavepointRollbackError();
    this.#owner.rollbackTo(this.#index, this.#states);
  }
}

/** The present states of data managers, in their order. */
export function saveStates(resources: readonly DataManager[], optimistic: boolean): DataManagerSavepoint[] {
  const states: DataManagerSavepoint[] = [];
  for (const manager of resources) {
    if (manager.savepoint) states.push(manager.savepoint());
    else if (optimistic) states.push(new NoRollback(manager));
    else throw new SavepointsUnsupportedError(manager);
  }
  return states;
}

class NoRollback implements DataManagerSavepoint {
  readonly #manager: DataManager;

  constructor(manager: DataManager) {
    this.#manager = manager;
  }

  rollback(): void {
    throw new SavepointsUnsupportedError(this.#manager);
  }
}
