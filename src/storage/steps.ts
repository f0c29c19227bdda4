/**
 * Long work as steps: a generator that yields its progress every few milliseconds. A command line drives it in one
 * go, a server between other work.
 */

/** How far long work has come. */
export interface Progress {
  /** What is being done, in a word or two: `'mark'`, `'sweep'`, `'copy pages'`. */
  readonly phase: string;
  /** Units of this phase that are done. */
  readonly done: number;
  /** Units of this phase in all, where it is known. */
  readonly total: number | undefined;
}

/** Long work: yields {@link Progress}, returns its result. Ended early (`return()`), it leaves things consistent. */
export type Steps<Result> = Generator<Progress, Result, void>;

/** Options of {@link runSteps} and {@link runStepsAsync}. */
export interface RunOptions {
  readonly onProgress?: (progress: Progress) => void;
  /** Stops at the next step and throws its reason. */
  readonly signal?: AbortSignal;
}

/** Does all the work now. */
export function runSteps<Result>(steps: Steps<Result>, options: RunOptions = {}): Result {
  for (;;) {
    const step = oneStep(steps, options);
    if (step.done) return step.value;
  }
}

/** How long {@link runStepsAsync} works before it lets others run, in milliseconds. */
const SLICE_MS = 8;

/** Does the work in slices of a few milliseconds, between which the event loop goes on. */
export async function runStepsAsync<Result>(steps: Steps<Result>, options: RunOptions = {}): Promise<Result> {
  for (;;) {
    const sliceEnd = performance.now() + SLICE_MS;
    do {
      const step = oneStep(steps, options);
      if (step.done) return step.value;
    } while (performance.now() < sliceEnd);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

function oneStep<Result>(steps: Steps<Result>, options: RunOptions): IteratorResult<Progress, Result> {
  if (options.signal?.aborted) {
    steps.return(undefined as Result);
    throw options.signal.reason;
  }
  const step = steps.next();
  if (!step.done) options.onProgress?.(step.value);
  return step;
}
