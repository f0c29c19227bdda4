import type { Steps } from '../../storage/index';

const SLICE_MS = 8;
/** A step may be no more than a question whether a commit has ended, which needs the event loop. */
const SLICE_STEPS = 50;

/** Does long work in slices, between which clients are served; `undefined` when it was given up on the way. */
export async function runBetween<Result>(
  steps: Steps<Result>,
  givenUp: () => boolean = () => false,
): Promise<Result | undefined> {
  for (;;) {
    const end = performance.now() + SLICE_MS;
    for (let i = 0; i < SLICE_STEPS && performance.now() < end; i++) {
      const step = steps.next();
      if (step.done) return step.value;
    }
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (!givenUp()) continue;
    steps.return(undefined as Result);
    return undefined;
  }
}
