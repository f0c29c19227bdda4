import { InvalidArgumentError } from '../errors';
import type { Backoff } from './interfaces';
import { isRetryable } from './retryable';
import { isThenable } from './steps';

/** Options of {@link retry}. */
export interface RetryOptions {
  /** How often the attempt is made at most. Default 3. */
  attempts?: number;
  backoff?: Backoff | false;
  /** Whether another attempt may help; asked once an attempt has failed. Default: `error.retryable === true`. */
  isRetryable?: (error: unknown) => boolean;
  /** Called before another attempt, with the error and the number of the one that failed (from 1). */
  onRetry?: (error: unknown, attempt: number) => void;
}

const DEFAULT_ATTEMPTS = 3;
/** A synchronous wait blocks the whole thread, so it is short: enough for another process to finish its commit. */
const SYNC_BACKOFF: Backoff = { baseMs: 2, maxMs: 20 };
const ASYNC_BACKOFF: Backoff = { baseMs: 10, maxMs: 1000 };

const neverNotified = new Int32Array(new SharedArrayBuffer(4));

/**
 * Makes attempts until one succeeds, fails for good, or `attempts` are used up; then its result or error is this
 * function's. An attempt begins, commits, and aborts after a failure, by itself. When one returns a promise, so does
 * this function, and the waiting goes on without blocking.
 * @param attempt gets its number, from 1
 */
export function retry<T>(attempt: (number: number) => T, options: RetryOptions = {}): T {
  const attempts = checkAttempts(options.attempts);
  for (let number = 1; ; number += 1) {
    let result: T;
    try {
      result = attempt(number);
    } catch (error) {
      // A lock that an asynchronous commit of this thread holds is not given back while this loop runs.
      if (needsTheLoop(error) || !mayRetry(error, number, attempts, options)) throw error;
      options.onRetry?.(error, number);
      sleepSync(backoffMs(number, options.backoff, SYNC_BACKOFF));
      continue;
    }
    // The only place where a promise can stand for T.
    return isThenable(result) ? (retryAsync(result, attempt, number, attempts, options) as T) : result;
  }
}

async function retryAsync(
  first: PromiseLike<unknown>,
  attempt: (number: number) => unknown,
  firstNumber: number,
  attempts: number,
  options: RetryOptions,
): Promise<unknown> {
  let pending: PromiseLike<unknown> | undefined = first;
  for (let number = firstNumber; ; number += 1) {
    try {
      const result: unknown = await (pending ?? attempt(number));
      return result;
    } catch (error) {
      pending = undefined;
      if (!mayRetry(error, number, attempts, options)) throw error;
      options.onRetry?.(error, number);
      await sleep(backoffMs(number, options.backoff, ASYNC_BACKOFF));
    }
  }
}

/** @throws InvalidArgumentError unless it is a positive integer */
export function checkAttempts(attempts = DEFAULT_ATTEMPTS): number {
  if (!Number.isInteger(attempts) || attempts < 1) {
    throw new InvalidArgumentError(
      `The number of attempts must be a positive integer, not ${String(attempts)}.`,
    );
  }
  return attempts;
}

/** Waits before the attempt after `number`, blocking the thread. */
export function backOffSync(number: number, backoff: Backoff | false | undefined): void {
  sleepSync(backoffMs(number, backoff, SYNC_BACKOFF));
}

/** Waits before the attempt after `number`. */
export function backOff(number: number, backoff: Backoff | false | undefined): Promise<void> {
  return sleep(backoffMs(number, backoff, ASYNC_BACKOFF));
}

/** Whether a storage said that an asynchronous commit of this very thread has its lock. */
function needsTheLoop(error: unknown): boolean {
  return (error as { code?: unknown } | null | undefined)?.code === 'COMMIT_BUSY';
}

function mayRetry(error: unknown, number: number, attempts: number, options: RetryOptions): boolean {
  if (number >= attempts) return false;
  return options.isRetryable ? options.isRetryable(error) : isRetryable(error, null);
}

/** "Full jitter": two that met once are unlikely to meet again at the same moment. */
function backoffMs(number: number, backoff: Backoff | false | undefined, defaults: Backoff): number {
  if (backoff === false) return 0;
  const { baseMs = 0, maxMs = 0, random = Math.random } = { ...defaults, ...backoff };
  return random() * Math.min(maxMs, baseMs * 2 ** (number - 1));
}

function sleepSync(ms: number): void {
  if (ms > 0) Atomics.wait(neverNotified, 0, 0, ms);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
