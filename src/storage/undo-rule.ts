import type { Oid, Tid } from '../ids';
import type { StorageHost } from './interfaces';

/** What undo must know of one object; `null` data: it did not exist. */
export interface UndoneObject {
  readonly oid: Oid;
  /** The current revision is the undone one, or an undo brought it back. */
  readonly unchanged: boolean;
  /** The record says nothing of the content, which is a blob: equal records don't mean an equal object. */
  readonly isBlob: boolean;
  readonly currentSerial: Tid;
  readonly current: Uint8Array | null;
  /** What the undone transaction wrote, and its tid. */
  readonly undoneSerial: Tid;
  readonly undone: Uint8Array | null;
  /** What was there before. */
  readonly previous: Uint8Array | null;
}

/**
 * The data that an undo must write: the former revision where nothing changed since (or was changed back), else the
 * merge of the former revision into the current one. `undefined` when that can't be done.
 * (`ZODB/src/ZODB/FileStorage/FileStorage.py`, `_transactionalUndoRecord`.)
 */
export function undoneData(
  object: UndoneObject,
  host: StorageHost | undefined,
): Uint8Array | null | undefined {
  const { current, undone, previous } = object;
  if (object.unchanged) return previous;
  if (object.isBlob) return undefined;
  if (sameData(current, undone)) return previous;
  if (current === null || undone === null || previous === null) return undefined;
  return host?.resolveConflict({
    oid: object.oid,
    committedSerial: object.currentSerial,
    oldSerial: object.undoneSerial,
    committed: current,
    old: undone,
    newData: previous,
  });
}

function sameData(one: Uint8Array | null, other: Uint8Array | null): boolean {
  if (one === null || other === null) return one === other;
  return one.length === other.length && Buffer.compare(one, other) === 0;
}
