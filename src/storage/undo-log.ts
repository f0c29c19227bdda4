import type { TransactionInfo } from './interfaces';

/** The part of `newestFirst` that `Storage.undoLog(first, last, filter)` returns. */
export function selectUndoable(
  newestFirst: Iterable<TransactionInfo>,
  first: number,
  last: number,
  filter?: (entry: TransactionInfo) => boolean,
): TransactionInfo[] {
  const end = last < 0 ? first - last : last;
  const found: TransactionInfo[] = [];
  let place = 0;
  for (const entry of newestFirst) {
    if (place >= end) break;
    if (filter && !filter(entry)) continue;
    if (place >= first) found.push(entry);
    place++;
  }
  return found;
}
