import type { Statement } from './driver';
import type { Handle } from './handle';
import type { WriteStatements } from './write-statements';

/**
 * The transaction of a connection's handle: for reading, a snapshot; for the time of a commit, for writing.
 */
export class SnapshotTransaction {
  /** The handle shows exactly the snapshot. */
  isOpen = false;
  /** The handle holds the write lock: the transaction is a commit now. */
  isWriting = false;
  /** How often objects had been removed, when {@link begin} last told a number. */
  removals = 0;
  readonly #handle: Handle;
  readonly #newest: Statement<[seq: number | null, removals: number | null]>;
  readonly #version: Statement<number>;
  #seenVersion = -1;

  constructor(handle: Handle) {
    this.#handle = handle;
    this.#newest = handle
      .prepare<[number | null, number | null]>(
        "SELECT max(seq), (SELECT value FROM meta WHERE name = 'removals') FROM txn",
      )
      .raw();
    this.#version = handle.prepare<number>('PRAGMA data_version').pluck();
  }

  /**
   * Opens a snapshot; the number of the last commit in it, or `undefined` when nobody has written through another handle
   * since the one before: then it is the same, or this handle's own commit.
   */
  begin(): number | undefined {
    try {
      this.#handle.begin();
      this.isOpen = true;
      const version = this.#version.get()!;
      if (version === this.#seenVersion) return undefined;
      const [newest, removals] = this.#newest.get()!;
      this.removals = removals ?? 0;
      this.#seenVersion = version;
      return newest ?? 0;
    } catch (error) {
      this.ended();
      this.#handle.rollback();
      throw this.#handle.failed(error);
    }
  }

  end(): void {
    if (!this.isOpen) return;
    this.ended();
    this.#handle.rollback();
  }

  /** Takes the write lock; false when somebody else has it, or has written since the snapshot. */
  tryToWrite(statements: WriteStatements): boolean {
    return (this.isWriting = this.isOpen && statements.tryToWrite(this.#handle));
  }

  /** It was committed or rolled back. */
  ended(): void {
    this.isOpen = false;
    this.isWriting = false;
  }
}
