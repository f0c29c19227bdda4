import type { DataManager } from './interfaces';

/**
 * What a transaction remembers of its savepoints: how many there were, which have ended, and who joined after
 * which. Numbers start at 1 and are not used again.
 */
export class SavepointBook {
  #last = 0;
  readonly #ended = new EndedSavepoints();
  /** Who joined after a savepoint, with the number of the last one made before. */
  readonly #lateJoins: { readonly manager: DataManager; readonly after: number }[] = [];

  /** The number of a new savepoint. */
  next(): number {
    this.#last += 1;
    return this.#last;
  }

  isValid(index: number): boolean {
    return !this.#ended.has(index);
  }

  /** Ends the savepoints made after this one; 0 ends all. */
  endAfter(index: number): void {
    this.#ended.end(index, this.#last);
  }

  /** A data manager joins now. No savepoint needs its state: going back there means leaving the transaction again. */
  joined(manager: DataManager): void {
    this.#lateJoins.push({ manager, after: this.#last });
  }

  /** Forgets and returns the data manager that joined first after this savepoint. */
  takeJoinedAfter(index: number): DataManager | undefined {
    const position = this.#lateJoins.findIndex(({ after }) => after >= index);
    return position < 0 ? undefined : this.#lateJoins.splice(position, 1)[0]!.manager;
  }
}

/**
 * Which savepoint numbers have ended, without a list of the savepoints: disjoint ranges `(from, to]` in ascending
 * order. A rollback ends all numbers after its own, so it swallows the ranges behind it.
 */
class EndedSavepoints {
  readonly #froms: number[] = [];
  readonly #tos: number[] = [];

  /** Ends the numbers after `index` up to `last`. */
  end(index: number, last: number): void {
    while (this.#froms.length > 0 && this.#froms[this.#froms.length - 1]! >= index) {
      this.#froms.pop();
      this.#tos.pop();
    }
    if (last > index) {
      this.#froms.push(index);
      this.#tos.push(last);
    }
  }

  has(index: number): boolean {
    // The range to look at is the last one that starts below the number.
    let low = 0;
    let high = this.#froms.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#froms[middle]! < index) low = middle + 1;
      else high = middle;
    }
    return low > 0 && index <= this.#tos[low - 1]!;
  }
}
