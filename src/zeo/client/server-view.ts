import { MAX_TID, oidFromBytes, oidToBytes, tidFromBytes, tidToBytes, type Oid, type Tid } from '../../ids';
import type { BoundedRecord, StorageHost } from '../../storage/index';
import { itemsOf, tuple, type WireValue } from '../wire/values';
import { ZeoProtocolError } from '../errors';
import type { Call } from './call';
import { loadArguments, type ServerConnection } from './connection';
import type { RecordCache } from './record-cache';

/** Whom the storage tells what changed. */
export interface ChangeListeners {
  committed(tid: Tid, oids: readonly Oid[]): void;
  invalidateAll(): void;
}

/**
 * What is known here of the server's data: the cache, and the last transaction up to which it is right. Answers and invalidations
 * are taken in the order of the wire, which is what keeps the cache from ever being stale: an answer computed before a commit comes
 * before the commit's invalidation.
 */
export class ServerView {
  host: StorageHost | undefined;
  #lastTid: Tid;

  constructor(
    readonly cache: RecordCache,
    private readonly listeners: ChangeListeners,
  ) {
    this.#lastTid = cache.lastTid;
  }

  get lastTid(): Tid {
    return this.#lastTid;
  }

  /** Others committed. Told to everyone before {@link lastTid} shows it. */
  invalidated(tid: Tid, oids: readonly Oid[]): void {
    if (tid <= this.#lastTid) return;
    for (const oid of oids) this.cache.invalidate(oid, tid);
    this.#advance(tid, oids);
  }

  /** After a time without connection: these changed, in one or several transactions up to `tid`. */
  caughtUp(tid: Tid, oids: readonly Oid[]): void {
    for (const oid of oids) this.cache.invalidate(oid, undefined);
    if (tid > this.#lastTid) this.#advance(tid, oids);
  }

  /** It is not known what changed. */
  lostTrack(tid: Tid): void {
    this.cache.clear();
    this.listeners.invalidateAll();
    this.host?.invalidateAll();
    this.#setLastTid(tid);
  }

  /** Our own commit; the caller has told those who must know. */
  committed(tid: Tid): void {
    this.#setLastTid(tid);
  }

  /** Asks the server for a revision; the answer goes into the cache. */
  load(connection: ServerConnection, oid: Oid, before: Tid): Call<BoundedRecord | undefined> {
    return connection.callLoad(loadArguments(oidToBytes(oid), tidToBytes(before)), (reply) =>
      this.#take(oid, reply),
    );
  }

  #take(oid: Oid, reply: WireValue): BoundedRecord | undefined {
    if (reply === null) return undefined;
    const [data, start, end] = itemsOf(reply) ?? [];
    if (!(data instanceof Uint8Array) || !(start instanceof Uint8Array)) {
      throw new ZeoProtocolError('The server answered loadBefore with what is no record.');
    }
    const serial = tidFromBytes(start);
    const until = end instanceof Uint8Array ? tidFromBytes(end) : undefined;
    this.cache.store(oid, serial, until, data);
    // The message is shared with what came beside it; a record is kept longer.
    return { data: Buffer.from(data), serial, end: until };
  }

  #advance(tid: Tid, oids: readonly Oid[]): void {
    this.listeners.committed(tid, oids);
    this.host?.invalidate(tid, oids);
    this.#setLastTid(tid);
  }

  /** Who is told of a commit may hear of the next while it is told: what is known never goes back. */
  #setLastTid(tid: Tid): void {
    if (tid <= this.#lastTid) return;
    this.#lastTid = tid;
    this.cache.setLastTid(tid);
  }
}

/** The arguments of `invalidateTransaction`. Throws `ZeoProtocolError`. */
export function readInvalidation(args: WireValue): { tid: Tid; oids: Oid[] } {
  const [tid, oids] = itemsOf(args) ?? [];
  const list = itemsOf(oids);
  if (!(tid instanceof Uint8Array) || !list)
    throw new ZeoProtocolError('The server sent a bad invalidation.');
  return { tid: tidFromBytes(tid), oids: list.map((oid) => oidFromBytes(oid as Uint8Array)) };
}

/** As `loadBefore` with a tid beyond all. */
export const NOW = MAX_TID;

/** `(oid, tid)`, for calls about one revision. */
export function revisionArguments(oid: Oid, tid: Tid): WireValue {
  return tuple(oidToBytes(oid), tidToBytes(tid));
}
