/**
 * One description of an order of events, driven two ways. Commit and abort are generators that yield what a
 * participant returned when it was not `undefined`; the drivers wait for it, or refuse to.
 */
import { AsyncRequiredError } from './errors';

/** An order of events. Participants that return nothing never reach the driver, so they cost nothing here. */
export type Steps = Generator<unknown, void, void>;

/** Whether `await` would wait for this value. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    value !== null &&
    (typeof value === 'object' || typeof value === 'function') &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}

/** Keeps a promise that nobody will wait for from ending the process when it is rejected. */
export function ignoreRejection(promise: PromiseLike<unknown>): void {
  promise.then(undefined, () => undefined);
}

/** Runs steps to their end. A promise among them makes the step fail with {@link AsyncRequiredError}. */
export function driveSync(steps: Steps): void {
  let step = steps.next();
  while (!step.done) {
    if (isThenable(step.value)) {
      ignoreRejection(step.value);
      step = steps.throw(
        new AsyncRequiredError(
          'A hook or data manager returned a promise in a synchronous commit, which can not wait for it. ' +
            "Use commitAsync(), and give a data manager that works so the property mode: 'async'.",
        ),
      );
    } else {
      step = steps.next();
    }
  }
}

/** Runs steps to their end without waiting for promises among them; `onRejection` hears of those that fail. */
export function driveDetached(steps: Steps, onRejection: (error: unknown) => void): void {
  let step = steps.next();
  while (!step.done) {
    if (isThenable(step.value)) step.value.then(undefined, onRejection);
    step = steps.next();
  }
}

/** Runs steps to their end, waiting for every promise among them. Without any it does not give up the event loop. */
export async function driveAsync(steps: Steps): Promise<void> {
  let step = steps.next();
  while (!step.done) {
    let failure: unknown;
    let failed = false;
    if (isThenable(step.value)) {
      try {
        await step.value;
      } catch (error) {
        failed = true;
        failure = error;
      }
    }
    step = failed ? steps.throw(failure) : steps.next();
  }
}
