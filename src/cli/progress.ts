import { SingleBar } from 'cli-progress';
import { runSteps, type Progress, type Steps } from '../storage/index';
import type { Context } from './context';
import { formatCount } from './output';

/** How often the bar is drawn, in milliseconds. */
const DRAW_MS = 100;
const BAR_WIDTH = 30;

/** Does long work, with a bar on standard error where somebody can see it. */
export function runWithProgress<Result>(context: Context, steps: Steps<Result>): Result {
  if (!context.progress) return runSteps(steps);
  const bar = new SingleBar({
    format: (_options, { value, eta }, progress: Shown) => line(context, progress, value, eta),
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
  });
  let drawn = 0;
  let current: string | undefined;
  const onProgress = ({ phase, done, total }: Progress): void => {
    const now = Date.now();
    if (now - drawn < DRAW_MS) return;
    drawn = now;
    const shown: Shown = { phase, total };
    // Each phase counts from the beginning, and so does its remaining time.
    if (phase !== current) bar.start(total ?? 0, done, shown);
    current = phase;
    if (total !== undefined) bar.setTotal(total);
    bar.update(done, shown);
  };
  try {
    return runSteps(steps, { onProgress });
  } finally {
    if (current !== undefined) bar.stop();
  }
}

/** What the bar is told beside the numbers that it knows. */
interface Shown {
  readonly phase: string;
  /** `undefined` where nobody knows it: then there is a count instead of a bar. */
  readonly total: number | undefined;
}

function line({ colors }: Context, { phase, total }: Shown, value: number, eta: number): string {
  if (total === undefined) return `${phase}  ${formatCount(value)}`;
  const part = total === 0 ? 1 : Math.min(value / total, 1);
  const full = Math.round(part * BAR_WIDTH);
  const bar = colors.cyan('█'.repeat(full)) + colors.dim('░'.repeat(BAR_WIDTH - full));
  const left = Number.isFinite(eta) && eta >= 2 ? `  ${colors.dim(`${formatSeconds(eta)} left`)}` : '';
  const percent = `${Math.floor(part * 100)}%`.padStart(4);
  return `${phase}  ${bar} ${percent}  ${formatCount(value)} of ${formatCount(total)}${left}`;
}

function formatSeconds(seconds: number): string {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
