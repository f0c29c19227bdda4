import { InvalidArgumentError, refuseUnknownOptions } from '../errors';
import { tidFromTime, type Oid } from '../ids';
import {
  requireCapability,
  type PackOptions,
  type PackReport,
  type RunOptions,
  type Steps,
  type Storage,
} from '../storage/index';
import { tracing, type PackMessage } from './tracing';

/** What and when to pack. */
export interface PackArguments extends Omit<PackOptions, 'time' | 'roots'>, RunOptions {
  /** Keep what was current in the last so many days. Default 0. */
  readonly days?: number;
  /** Pack to this moment instead of now; a moment in the future counts as now. */
  readonly time?: Date;
}

const KNOWN = ['days', 'time', 'gc', 'dryRun', 'onProgress', 'signal'] satisfies (keyof PackArguments)[];

/** What is packed: a storage, and which of its objects others refer to. */
export interface Packed {
  readonly storage: Storage;
  readonly databaseName: string;
  foreignReferences(): Steps<readonly Oid[]>;
}

/** Starts a pack, has `run` do its steps, and traces its begin and end, whichever way it ends. */
export function startPack<T extends PackReport | Promise<PackReport>>(
  { storage, databaseName, foreignReferences }: Packed,
  given: PackArguments,
  run: (steps: Steps<PackReport>) => T,
): T {
  requireCapability(storage, 'pack');
  refuseUnknownOptions('pack()', given, KNOWN);
  const { days = 0, time, gc, dryRun } = given;
  if (typeof days !== 'number' || !(days >= 0)) {
    throw new InvalidArgumentError(`days must be a number, 0 or more, not ${String(days)}.`);
  }
  if (time !== undefined && !(time instanceof Date)) {
    throw new InvalidArgumentError(`time must be a Date, not ${typeof time}.`);
  }
  const moment = (time?.getTime() ?? Date.now()) - days * 86_400_000;
  if (Number.isNaN(moment)) throw new InvalidArgumentError('time is not a valid date.');
  const publish = (phase: PackMessage['phase']) => {
    if (!tracing.pack.hasSubscribers) return;
    tracing.pack.publish({
      database: databaseName,
      phase,
      before: tidFromTime(moment),
    } satisfies PackMessage);
  };
  const options = {
    // Without a time all that is committed is packed, whatever the clock says.
    ...((time !== undefined || days > 0) && { time: moment }),
    ...(gc !== undefined && { gc }),
    ...(dryRun !== undefined && { dryRun }),
  };
  const work = function* (): Steps<PackReport> {
    const roots = gc === false ? [] : yield* foreignReferences();
    return yield* storage.pack!({ ...options, ...(roots.length > 0 && { roots }) });
  };
  publish('begin');
  let result: T | undefined;
  try {
    result = run(work());
    if (!(result instanceof Promise)) return result;
    return result.finally(() => {
      publish('end');
    }) as T;
  } finally {
    if (!(result instanceof Promise)) publish('end');
  }
}
