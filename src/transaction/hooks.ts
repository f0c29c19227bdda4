import type { HookEntry } from './interfaces';

/** The hooks of one moment, in the order in which they were added. Called once, then forgotten. */
export type HookList = HookEntry[];

/** The hooks of a transaction. Made only when the first hook is added. */
export class Hooks {
  readonly beforeCommit: HookList = [];
  readonly afterCommit: HookList = [];
  readonly beforeAbort: HookList = [];
  readonly afterAbort: HookList = [];
}

/** Calls one hook, with `outcome` before its own arguments when there is one. */
export function callHook(entry: HookEntry, outcome: boolean | undefined): unknown {
  const hook = entry.hook as (...args: unknown[]) => unknown;
  return outcome === undefined ? hook(...entry.args) : hook(outcome, ...entry.args);
}
