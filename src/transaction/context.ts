/**
 * Which transaction manager the running code works with: the one of the async context that it was started in.
 * A run puts a frame around its function; frames know what surrounds them and which nested run is under way in
 * them, so that runs which are not nested properly, and code that outlives its run, are found.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { StaleContextError } from './errors';
import type { TransactionManager } from './manager';

/** One call of a run's function, or of `withManager`, as its async context sees it. */
export class Frame {
  readonly manager: TransactionManager;
  /** What surrounds this frame, of whichever manager. */
  readonly outer: Frame | undefined;
  /** False for `withManager`, which only names the manager. */
  readonly isRun: boolean;
  /** The run of the same transaction that this one is nested in. */
  readonly parent: Frame | null;
  /** For messages: the name of the function. */
  readonly label: string;
  /** The nested run that is under way. */
  child: Frame | null = null;
  /** The run's function has returned and its transaction is being committed: hooks are called in this frame. */
  committing = false;
  /** The run is over. */
  ended = false;
  /** What the caller of a nested asynchronous run holds. */
  promise: Promise<unknown> | null = null;

  constructor(manager: TransactionManager, isRun: boolean, parent: Frame | null, label: string) {
    this.manager = manager;
    this.outer = outerOf(manager);
    this.isRun = isRun;
    this.parent = parent;
    this.label = label;
  }

  /** Ends this frame and what is still under way in it. */
  end(): void {
    this.ended = true;
    this.endChild();
  }

  /** Ends the nested run that is still under way. */
  endChild(): void {
    const { child } = this;
    if (child === null) return;
    this.child = null;
    // The error of the run that was left alone is a consequence; this frame's caller hears of the reason.
    child.promise?.catch(() => undefined);
    child.end();
  }
}

// Two copies of this package in one process must see each other's contexts, or connections of the one would not
// be committed by the other.
const FRAMES = Symbol.for('zodb.transaction.frames.1');
const shared = globalThis as { [FRAMES]?: AsyncLocalStorage<Frame | undefined> };
const frames = (shared[FRAMES] ??= new AsyncLocalStorage<Frame | undefined>());

/**
 * The frame around a new one, but for what says no more: runs that are over, and `withManager` of the same manager.
 * A timer that starts the next one inside of its own frame would otherwise make a chain without end.
 */
function outerOf(manager: TransactionManager): Frame | undefined {
  let outer = frames.getStore();
  while (outer !== undefined && (outer.ended || (!outer.isRun && outer.manager === manager)))
    outer = outer.outer;
  return outer;
}

/** The innermost frame around the running code. */
export function currentFrame(): Frame | undefined {
  return frames.getStore();
}

/** Calls `fn` inside the frame. */
export function inFrame<T>(frame: Frame, fn: () => T): T {
  return frames.run(frame, fn);
}

/**
 * The innermost run of this manager around the running code. A `withManager` inside a run that has ended
 * takes its place: naming a manager is how code that outlives a run goes on.
 */
export function runFrameOf(manager: TransactionManager): Frame | undefined {
  let named = false;
  for (let frame = frames.getStore(); frame !== undefined; frame = frame.outer) {
    if (frame.manager !== manager) continue;
    if (frame.isRun) return frame.ended && named ? undefined : frame;
    named = true;
  }
  return undefined;
}

/** Throws when the code around was started in a run that has ended. */
export function refuseStale(frame: Frame): void {
  if (!frame.ended) return;
  throw new StaleContextError(
    `This code was started in ${frame.label}, which has ended: a promise in it was not awaited. ` +
      'Await it there; or start work that outlives the run with detached(fn) or withManager(manager, fn).',
  );
}

/**
 * Calls `fn` with `manager` as the ambient transaction manager: `transaction.get()`, `transaction.commit()` and
 * the rest mean this one, in everything that `fn` calls or awaits.
 */
export function withManager<T>(manager: TransactionManager, fn: () => T): T {
  return frames.run(new Frame(manager, false, null, 'withManager()'), fn);
}

/** Calls `fn` outside every run: for timers, loops and caches that are set up in a run and outlive it. */
export function detached<T>(fn: () => T): T {
  return frames.run(undefined, fn);
}
