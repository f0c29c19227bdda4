/** Commits that wait for their turn are made together: one sync of the storage serves them all. */
import { LockError } from '../../errors';
import type { Oid, Tid } from '../../ids';
import type { WireValue } from '../wire/values';
import type { HostedStorage, StorageClient } from './hosted-storage';
import type { InvalidationBatch } from './invalidation-batch';
import type { TransactionLog } from './transaction-log';
import { prepareNow } from './vote';

/** How long a group may keep others waiting before it is brought to the disk, in milliseconds; and its most members. */
const GROUP_MS = 8;
const MOST_MEMBERS = 200;
/** The largest transaction that takes part in a group. */
const SMALL_BYTES = 256 << 10;
const SMALL_OPERATIONS = 500;

/** A client whose transaction is to be committed at once. */
export interface GroupMember extends StorageClient {
  /** Its transaction, when it can be committed in a group. */
  readonly groupable: TransactionLog | undefined;
  /** Tells the client what became of it, and then of the commits after its own. */
  concluded(result: GroupResult): void;
}

/** What became of a member's transaction. */
export type GroupResult =
  | {
      readonly member: GroupMember;
      readonly key: string;
      readonly tid: Tid;
      readonly answer: WireValue;
      readonly changed: readonly Oid[];
    }
  | { readonly member: GroupMember; readonly conflicts: WireValue }
  | { readonly member: GroupMember; readonly error: unknown };

/** Whether a transaction is quickly done, and does nothing that must reach the disk by itself. */
export function isSmall(log: TransactionLog): boolean {
  return (
    log.tid === undefined &&
    log.bytes <= SMALL_BYTES &&
    log.operations.length <= SMALL_OPERATIONS &&
    log.operations.every(({ op }) => op === 'store' || op === 'check')
  );
}

/**
 * Commits the first member's transaction, and those of the members that `next` gives, in this order, without giving up the event loop.
 * Nobody is told of any of them before all are on the disk. Then each hears of the commits before its own, its own, and those after it.
 * False, and nothing was done, when somebody in this process is committing to the storage.
 */
export function commitGroup(
  hosted: HostedStorage,
  first: GroupMember,
  next: () => GroupMember | undefined,
): boolean {
  const results: GroupResult[] = [];
  const end = performance.now() + GROUP_MS;
  try {
    hosted.storage.commitTogether!(() => {
      for (let member: GroupMember | undefined = first; member;) {
        const result = commitOne(hosted, member, member.groupable!);
        if (member === first && 'error' in result && result.error instanceof LockError) return;
        results.push(result);
        member = results.length < MOST_MEMBERS && performance.now() < end ? next() : undefined;
      }
    });
  } catch (error) {
    if (results.length === 0) first.concluded({ member: first, error });
    for (const { member } of results) member.concluded({ member, error });
    return true;
  }
  conclude(hosted, results);
  return results.length > 0;
}

function commitOne(hosted: HostedStorage, member: GroupMember, log: TransactionLog): GroupResult {
  const { storage } = hosted;
  try {
    const { answer, changed, conflicts } = prepareNow(hosted, log);
    if (conflicts) {
      storage.tpcAbort(log.meta);
      return { member, conflicts: answer };
    }
    hosted.checkAwaited(log.key);
    return { member, key: log.key, tid: storage.tpcFinish(log.meta), answer, changed };
  } catch (error) {
    storage.tpcAbort(log.meta);
    return { member, error };
  }
}

function conclude(hosted: HostedStorage, results: readonly GroupResult[]): void {
  const commits = results.filter((result) => 'tid' in result);
  const batch: InvalidationBatch = hosted.committedTogether(
    commits.map(({ tid, changed, member, key }) => ({ tid, oids: changed, by: member, key })),
  );
  let told = 0;
  for (const result of results) {
    result.member.concluded(result);
    if (!('tid' in result)) continue;
    told++;
    if (told < batch.length) result.member.invalidatedBy(batch, told, batch.length);
  }
}
