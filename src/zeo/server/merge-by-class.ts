// BTrees and Length merge their conflicts.
import '../../btrees/index';
import { resolveConflict } from '../../conflict/index';
import { registry } from '../../persistence/index';
import type { Conflict } from '../../storage/index';

/** Merges by the `_p_resolveConflict` of the object's class, where this process has it registered. */
export function mergeByClass(conflict: Conflict): Uint8Array | undefined {
  return resolveConflict(registry, conflict);
}
