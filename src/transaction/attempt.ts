import { ForgottenAwaitError } from './errors';
import type { RunOptions } from './interfaces';
import type { TransactionManager } from './manager';
import { backOff, backOffSync } from './retry';
import { run, type Verdict } from './run';
import { isThenable } from './steps';
import type { Transaction } from './transaction';

/** One attempt of `manager.attempts()`. */
export class Attempt {
  /** From 1. */
  readonly number: number;
  /** In the last attempt every error comes out. */
  readonly isLast: boolean;

  readonly #manager: TransactionManager;
  readonly #options: Omit<RunOptions, 'attempts'>;
  #success = false;
  #pending = false;

  private constructor(
    manager: TransactionManager,
    number: number,
    isLast: boolean,
    options: Omit<RunOptions, 'attempts'>,
  ) {
    this.#manager = manager;
    this.number = number;
    this.isLast = isLast;
    this.#options = options;
  }

  /** @internal The attempts, until one succeeds. */
  static *loop(
    manager: TransactionManager,
    number: number,
    options: Omit<RunOptions, 'attempts'>,
  ): IterableIterator<Attempt> {
    for (let count = 1; count <= number; count += 1) {
      const attempt = new Attempt(manager, count, count === number, options);
      yield attempt;
      if (attempt.#pending) {
        throw new ForgottenAwaitError(
          'An attempt was still under way when the next one was asked for: write `await attempt.run(…)`.',
        );
      }
      if (attempt.#success) return;
    }
  }

  /** Whether the transaction was committed. */
  get success(): boolean {
    return this.#success;
  }

  /**
   * Calls `fn` in a new transaction and commits it; aborts it when `fn` or the commit fails. A retryable error is
   * then swallowed, and a moment waited, unless this is the last attempt.
   * @returns what `fn` returned, undefined after a swallowed error; a promise of it when `fn` returned one
   */
  run<T>(fn: (transaction: Transaction) => PromiseLike<T>): Promise<T | undefined>;
  run<T>(fn: (transaction: Transaction) => T): T | undefined;
  run(fn: (transaction: Transaction) => unknown): unknown {
    const verdict: Verdict = { retryable: false, nested: false };
    try {
      const result = run(this.#manager, fn, { ...this.#options, attempts: 1 }, verdict);
      if (isThenable(result)) {
        this.#pending = true;
        return this.#finish(result, verdict);
      }
      this.#success = true;
      return result;
    } catch (error) {
      this.#swallow(error, verdict);
      backOffSync(this.number, this.#options.backoff);
      return undefined;
    }
  }

  async #finish(result: PromiseLike<unknown>, verdict: Verdict): Promise<unknown> {
    try {
      const value: unknown = await result;
      this.#success = true;
      return value;
    } catch (error) {
      this.#swallow(error, verdict);
      await backOff(this.number, this.#options.backoff);
      return undefined;
    } finally {
      this.#pending = false;
    }
  }

  #swallow(error: unknown, { retryable, nested }: Verdict): void {
    if (!retryable || nested || this.isLast) throw error;
    this.#options.onRetry?.(error, this.number);
  }
}
