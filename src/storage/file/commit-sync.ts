import type { FileCommit } from './commit';
import type { FileSystem } from './file-system';

/**
 * How commits reach the disk: what a transaction wrote, then the mark that makes it one, each with a sync after it unless only one is
 * wanted; and for several transactions together, all that they wrote, then all their marks.
 */
export class CommitSync {
  readonly #system: FileSystem;
  readonly #isOrdered: boolean;
  #together: FileCommit[] | undefined;

  /** @param isOrdered a mark must not reach the disk before what it marks */
  constructor(system: FileSystem, isOrdered: boolean) {
    this.#system = system;
    this.#isOrdered = isOrdered;
  }

  /** Whether commits wait for each other. */
  get isTogether(): boolean {
    return this.#together !== undefined;
  }

  /** A transaction was written, but for its mark. */
  written(fd: number): void {
    if (this.#isOrdered && !this.#together) this.#system.sync(fd);
  }

  /** Marks a transaction; it is durable now, or at the {@link end}. */
  complete(fd: number, commit: FileCommit): void {
    if (this.#together) {
      this.#together.push(commit);
      return;
    }
    commit.pending.markComplete();
    this.#system.sync(fd);
  }

  /** From now on commits wait for the {@link end}. */
  begin(): void {
    this.#together = [];
  }

  /** Makes durable what has waited, and returns it. */
  end(fd: number): readonly FileCommit[] {
    const commits = this.#together ?? [];
    this.#together = undefined;
    if (commits.length === 0) return commits;
    if (this.#isOrdered) this.#system.sync(fd);
    for (const { pending } of commits) pending.markComplete();
    this.#system.sync(fd);
    return commits;
  }
}
