/** A limit in bytes that the caches of one DB share. */
import { InvalidArgumentError } from '../errors';
import type { CacheBudget } from './interfaces';

/** A cache as its budget sees it. */
export interface BudgetMember {
  readonly bytes: number;
  /** Gives up states, even inside a transaction, until the budget is kept or nothing can go. */
  shrink(): void;
}

/** See {@link CacheBudget}. */
export class Budget implements CacheBudget {
  #limit = 0;
  #used = 0;
  #relieving = false;
  /** Below this nobody is asked again: what could go went the last time. */
  #quietUntil = 0;
  /** Weak, so that a budget does not keep the caches of closed connections. */
  readonly #members = new Set<WeakRef<BudgetMember>>();

  constructor(limit: number) {
    this.limit = limit;
  }

  get limit(): number {
    return this.#limit;
  }

  set limit(limit: number) {
    if (!(limit >= 0))
      throw new InvalidArgumentError(`A cache's limit is a number of bytes, 0 for none: not ${limit}.`);
    this.#limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  get exceeded(): boolean {
    return this.#limit > 0 && this.#used > this.#limit;
  }

  enter(member: BudgetMember): void {
    this.#members.add(new WeakRef(member));
  }

  /** A member's bytes moved by so many. */
  account(bytes: number): void {
    this.#used += bytes;
  }

  /** Asks the greatest members first. */
  relieve(): void {
    if (this.#relieving || !this.exceeded || this.#used < this.#quietUntil) return;
    this.#relieving = true;
    try {
      for (const member of this.#alive()) {
        if (!this.exceeded) return;
        member.shrink();
      }
    } finally {
      this.#quietUntil = this.#used + this.#limit / 32;
      this.#relieving = false;
    }
  }

  #alive(): BudgetMember[] {
    const alive: BudgetMember[] = [];
    for (const reference of this.#members) {
      const member = reference.deref();
      if (member === undefined) this.#members.delete(reference);
      else alive.push(member);
    }
    return alive.sort((a, b) => b.bytes - a.bytes);
  }
}

/** Makes a budget of `limit` bytes for the caches of one DB; 0 for no limit. */
export function createBudget(limit: number): CacheBudget {
  return new Budget(limit);
}
