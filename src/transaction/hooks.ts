import type { HookEntry } from './interfaces';
import { reportSwallowed } from './report';
import { isThenable, type Steps } from './steps';

/** The hooks of a transaction, by their moment and in the order in which they were added. Called once, then forgotten. */
export class Hooks {
  readonly beforeCommit: HookEntry[] = [];
  readonly afterCommit: HookEntry[] = [];
  readonly beforeAbort: HookEntry[] = [];
  readonly afterAbort: HookEntry[] = [];
}

/** Calls hooks until one fails. They may add further ones, which are called too. */
export function* callStoppingHooks(hooks: HookEntry[]): Steps {
  try {
    for (const entry of hooks) {
      const result = callHook(entry, undefined);
      if (isThenable(result)) yield result;
    }
  } finally {
    hooks.length = 0;
  }
}

/**
 * Calls every hook and reports what fails. They may add further ones, which are called too.
 * @param outcome passed before the hook's own arguments, where there is one
 * @param waits whether a promise is waited for; else only its rejection is reported
 */
export function* callForgivingHooks(
  kind: 'after-commit hook' | 'before-abort hook' | 'after-abort hook',
  hooks: HookEntry[],
  transaction: object,
  outcome: boolean | undefined,
  waits: boolean,
): Steps {
  for (const entry of hooks) {
    const report = (error: unknown): void => {
      reportSwallowed(kind, error, transaction, entry.hook);
    };
    try {
      const result = callHook(entry, outcome);
      if (!isThenable(result)) continue;
      if (waits) yield result;
      else result.then(undefined, report);
    } catch (error) {
      report(error);
    }
  }
  hooks.length = 0;
}

function callHook(entry: HookEntry, outcome: boolean | undefined): unknown {
  const hook = entry.hook as (...args: unknown[]) => unknown;
  return outcome === undefined ? hook(...entry.args) : hook(outcome, ...entry.args);
}
