import type { DataManager } from '../../src/transaction';

/** A step of a commit, when everything is written and nothing finished. */
export function atItsVote(tpcVote: () => void): DataManager {
  const nothing = (): void => undefined;
  return {
    sortKey: () => '~',
    tpcBegin: nothing,
    commit: nothing,
    tpcVote,
    tpcFinish: nothing,
    tpcAbort: nothing,
    abort: nothing,
  };
}
