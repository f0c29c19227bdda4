import { CorruptionError } from '../../errors';

/**
 * Where a walk through a table goes on: at the last key of the chunk. In a damaged index keys may not ascend; a walk that
 * trusted them would never end.
 */
export function nextKey<Key extends number | bigint>(path: string, after: Key, last: Key): Key {
  if (last > after) return last;
  throw new CorruptionError(
    `${path} is damaged: its rows are not in order. Run "zodb check" on a copy to see what is left, and restore a backup.`,
  );
}
