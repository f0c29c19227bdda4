/** Waiting for what must happen, however long the machine takes for it; and time that passes only when a test lets it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ClientDisconnected } from '../../src/zeo';

/** How long anything may take before a test gives up, in milliseconds: only a limit, nothing takes as long. */
export const PATIENCE = 150_000;

/** Resolves when something holds. */
export async function until(holds: () => boolean, what = 'it'): Promise<void> {
  const end = Date.now() + PATIENCE;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`${what} did not happen`);
    await sleep(5);
  }
}

/**
 * Does what ends at a time limit of its own, again until it does not; blocks meanwhile. For what is to be there before a test with short
 * limits begins, and for errors whose cause is known only after a while.
 */
export function patiently<Result>(
  work: () => Result,
  isTooEarly = (error: unknown): boolean => error instanceof ClientDisconnected,
): Result {
  const end = Date.now() + PATIENCE;
  for (;;) {
    try {
      return work();
    } catch (error) {
      if (!isTooEarly(error) || Date.now() > end) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

/** From here on time limits of this thread end when the test lets time pass, not when the machine stands still; until `jest.useRealTimers()`. */
export function stopTime(): void {
  jest.useFakeTimers({
    doNotFake: [
      ...(['Date', 'hrtime', 'nextTick', 'queueMicrotask', 'setImmediate', 'clearImmediate'] as const),
      ...(['setInterval', 'clearInterval'] as const),
    ],
  });
}

/** Lets time pass, and what is due happen. */
export async function passTime(milliseconds: number): Promise<void> {
  await jest.advanceTimersByTimeAsync(milliseconds);
}
