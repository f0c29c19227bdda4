import { Presets, SingleBar } from 'cli-progress';
import { runSteps, type Progress, type Steps } from '../storage/index';
import type { Context } from './context';

/** How often the bar is drawn, in milliseconds. */
const DRAW_MS = 100;

/** Does long work, with a bar on standard error where somebody can see it. */
export function runWithProgress<Result>(context: Context, steps: Steps<Result>): Result {
  if (!context.progress) return runSteps(steps);
  const bar = new SingleBar(
    {
      format: '{phase} [{bar}] {value}/{total}',
      stream: process.stderr,
      clearOnComplete: true,
      hideCursor: true,
    },
    Presets.shades_classic,
  );
  let drawn = 0;
  let isStarted = false;
  const onProgress = ({ phase, done, total }: Progress): void => {
    const now = Date.now();
    if (now - drawn < DRAW_MS) return;
    drawn = now;
    if (!isStarted) bar.start(total ?? done, done, { phase });
    isStarted = true;
    bar.setTotal(Math.max(total ?? done, 1));
    bar.update(done, { phase });
  };
  try {
    return runSteps(steps, { onProgress });
  } finally {
    if (isStarted) bar.stop();
  }
}
