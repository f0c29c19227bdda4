/**
 * Two-phase commit over the data managers of a transaction.
 *
 * Synchronously there is one group, ordered by sort key. Asynchronously there are up to three, and the order in
 * which they take and give back their locks keeps the event loop and other commits from waiting for each other:
 *
 * | group | begin, commit, vote | finish, and clean-up after a failure |
 * |---|---|---|
 * | `'async'`: slow, holds no lock that a synchronous commit of this thread could need | first | last |
 * | `'both'`: holds its lock while it waits | second | second |
 * | `'sync'`: never gives up the event loop, from its first begin to its last finish | last | first |
 *
 * So when only `'sync'` managers can still refuse, everything slow has voted, and their lock (a storage's commit lock)
 * is never held across an `await` unless a `'both'` manager finishes after them.
 *
 * A data manager that is alone and has `tpcCommit` votes and finishes in that one call (the one-phase commit of X/Open XA): there is nobody
 * whom its vote could make wait.
 */
import type { DataManager, DataManagerMode, StepResult } from './interfaces';
import { reportSwallowed } from './report';
import type { Steps } from './steps';
import type { Transaction } from './transaction';

/** Data managers that are driven through the same steps, in their order. */
interface Group {
  readonly members: readonly DataManager[];
  /** True: the `…Async` steps are used where a member has them. */
  readonly nonBlocking: boolean;
}

/** How a data manager can be driven, by its own word or by the steps that it has. */
export function modeOf(manager: DataManager): DataManagerMode {
  const { mode } = manager;
  if (mode !== undefined) return mode;
  return manager.tpcBeginAsync || manager.commitAsync || manager.tpcVoteAsync || manager.tpcFinishAsync
    ? 'both'
    : 'sync';
}

/** Begins, writes, votes and finishes all; after a failure it cleans up all and throws that failure. */
export function* twoPhaseCommit(
  transaction: Transaction,
  resources: readonly DataManager[],
  asynchronous: boolean,
): Steps {
  if (resources.length === 1 && resources[0]!.tpcCommit) {
    yield* commitAlone(transaction, resources[0]!, asynchronous);
    return;
  }
  const groups = asynchronous ? groupsOf(resources) : [{ members: sorted(resources), nonBlocking: false }];
  let current = 0;
  let voted = 0;
  try {
    for (; current < groups.length; current += 1) {
      const { members, nonBlocking } = groups[current]!;
      voted = 0;
      for (const manager of members) {
        const result =
          nonBlocking && manager.tpcBeginAsync
            ? manager.tpcBeginAsync(transaction)
            : manager.tpcBegin(transaction);
        if (result !== undefined) yield result;
      }
      for (const manager of members) {
        const result =
          nonBlocking && manager.commitAsync ? manager.commitAsync(transaction) : manager.commit(transaction);
        if (result !== undefined) yield result;
      }
      for (const manager of members) {
        const result =
          nonBlocking && manager.tpcVoteAsync
            ? manager.tpcVoteAsync(transaction)
            : manager.tpcVote(transaction);
        if (result !== undefined) yield result;
        voted += 1;
      }
    }
    yield* finish(transaction, groups);
  } catch (error) {
    for (let index = groups.length - 1; index >= 0; index -= 1) {
      const votes = index < current ? Infinity : index === current ? voted : 0;
      yield* cleanUp(transaction, groups[index]!, votes);
    }
    throw error;
  }
}

/** As {@link twoPhaseCommit}, for one data manager that has `tpcCommit`: by far the most frequent commit, so without groups and loops. */
function* commitAlone(transaction: Transaction, manager: DataManager, asynchronous: boolean): Steps {
  const nonBlocking = asynchronous && modeOf(manager) === 'both';
  try {
    let result =
      nonBlocking && manager.tpcBeginAsync
        ? manager.tpcBeginAsync(transaction)
        : manager.tpcBegin(transaction);
    if (result !== undefined) yield result;
    result =
      nonBlocking && manager.commitAsync ? manager.commitAsync(transaction) : manager.commit(transaction);
    if (result !== undefined) yield result;
    result =
      nonBlocking && manager.tpcCommitAsync
        ? manager.tpcCommitAsync(transaction)
        : manager.tpcCommit!(transaction);
    if (result !== undefined) yield result;
  } catch (error) {
    yield* cleanUp(transaction, { members: [manager], nonBlocking }, 0);
    throw error;
  }
}

/**
 * Aborts every data manager in the order of joining. Every error is reported, and the first is returned as
 * `{ error }`.
 */
export function* abortAll(
  transaction: Transaction,
  resources: readonly DataManager[],
  asynchronous: boolean,
): Generator<unknown, { error: unknown } | undefined, void> {
  let first: { error: unknown } | undefined;
  for (const manager of resources) {
    try {
      const nonBlocking = asynchronous && manager.abortAsync !== undefined && modeOf(manager) === 'both';
      const result = nonBlocking ? manager.abortAsync!(transaction) : manager.abort(transaction);
      if (result !== undefined) yield result;
    } catch (error) {
      first ??= { error };
      reportSwallowed('abort()', error, transaction, manager);
    }
  }
  return first;
}

/** What a savepoint that could not be made leaves behind is thrown away: as for a commit that nobody voted in. */
export function* cleanUpAll(transaction: Transaction, resources: readonly DataManager[]): Steps {
  yield* cleanUp(transaction, { members: resources, nonBlocking: false }, 0);
}

function* finish(transaction: Transaction, groups: readonly Group[]): Steps {
  for (let index = groups.length - 1; index >= 0; index -= 1) {
    const { members, nonBlocking } = groups[index]!;
    for (const manager of members) {
      try {
        const result =
          nonBlocking && manager.tpcFinishAsync
            ? manager.tpcFinishAsync(transaction)
            : manager.tpcFinish(transaction);
        if (result !== undefined) yield result;
      } catch (error) {
        reportSwallowed('tpcFinish(): resources may now disagree', error, transaction, manager);
        throw error;
      }
    }
  }
}

function* cleanUp(transaction: Transaction, { members, nonBlocking }: Group, votes: number): Steps {
  for (let index = votes; index < members.length; index += 1) {
    const manager = members[index]!;
    try {
      const result: StepResult =
        nonBlocking && manager.abortAsync ? manager.abortAsync(transaction) : manager.abort(transaction);
      if (result !== undefined) yield result;
    } catch (error) {
      reportSwallowed('abort()', error, transaction, manager);
    }
  }
  for (const manager of members) {
    try {
      const result: StepResult =
        nonBlocking && manager.tpcAbortAsync
          ? manager.tpcAbortAsync(transaction)
          : manager.tpcAbort(transaction);
      if (result !== undefined) yield result;
    } catch (error) {
      reportSwallowed('tpcAbort()', error, transaction, manager);
    }
  }
}

function groupsOf(resources: readonly DataManager[]): Group[] {
  const asyncOnly: DataManager[] = [];
  const both: DataManager[] = [];
  const syncOnly: DataManager[] = [];
  for (const manager of resources) {
    const mode = modeOf(manager);
    (mode === 'async' ? asyncOnly : mode === 'both' ? both : syncOnly).push(manager);
  }
  const groups: Group[] = [];
  if (asyncOnly.length > 0) groups.push({ members: sorted(asyncOnly), nonBlocking: false });
  if (both.length > 0) groups.push({ members: sorted(both), nonBlocking: true });
  if (syncOnly.length > 0) groups.push({ members: sorted(syncOnly), nonBlocking: false });
  return groups;
}

/** By sort key, as text; equal keys keep the order of joining. */
function sorted(resources: readonly DataManager[]): readonly DataManager[] {
  if (resources.length < 2) return resources;
  return resources
    .map((manager) => ({ manager, key: manager.sortKey() }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ manager }) => manager);
}
