import { randomBytes } from 'node:crypto';
import { StorageTransactionError } from '../../errors';
import { formatOid, oidToBytes, tidToBytes, timeOfTid, type Oid, type Tid } from '../../ids';
import type { Conflict, Storage, StorageHost } from '../../storage/index';
import { className, references } from '../../record/index';
import { tuple, type WireTuple } from '../wire/values';
import type { GroupMember } from './commit-group';
import { CommitQueue } from './commit-queue';
import { InvalidationBatch } from './invalidation-batch';
import { InvalidationQueue } from './invalidation-queue';
import type { ServerLogger } from './logger';
import { mergeByClass } from './merge-by-class';

/** What a client of the storage must be told. Implemented by the connection's session. */
export interface StorageClient {
  /** Others committed: a tid and a list of oids, as they travel; the same object for all clients, so that it is encoded once. */
  invalidated(changes: WireTuple): void;
  /** As {@link invalidated}, for the commits `from` up to `to` of several. */
  invalidatedBy(batch: InvalidationBatch, from: number, to: number): void;
  /** It is not known what changed: the client must connect anew and verify its cache. */
  restart(reason: string): void;
  /** The storage's size changed without a commit of this client. */
  sizeChanged(): void;
}

/** Options of {@link HostedStorage}. */
export interface HostedStorageOptions {
  readonly invalidationQueueSize: number;
  /** Seconds; `undefined`: never answered by iterating. */
  readonly invalidationAge: number | undefined;
  readonly clientConflictResolution: boolean;
  readonly resolveConflict: ((conflict: Conflict) => Uint8Array | undefined) | undefined;
  /** Milliseconds between two looks at what other processes committed. */
  readonly pollInterval: number;
  readonly packGc: boolean;
  /** Directory of an object's blob files, where clients may share it. */
  readonly sharedBlobDirectory: ((oid: Oid) => string) | undefined;
}

/** A client's transaction that was committed. */
export interface ClientCommit {
  readonly tid: Tid;
  readonly oids: readonly Oid[];
  readonly by: StorageClient;
  /** The client's name for it. */
  readonly key: string;
}

/** Finished transactions whose outcome is remembered for clients that lost their connection meanwhile. */
const OUTCOMES = 10_000;

/** So many that wait for their turn to commit are worth a line in the log; not more often than this, in milliseconds. */
const MANY_WAITING = 10;
const WAITING_PAUSE = 60_000;

/** Counters of one storage since the server started. */
export interface StorageStats {
  loads: number;
  stores: number;
  commits: number;
  aborts: number;
  activeTransactions: number;
  conflicts: number;
  conflictsResolved: number;
}

/** One storage with what all its clients share: invalidations, the turn to commit, counters. */
export class HostedStorage implements StorageHost {
  readonly clients = new Set<StorageClient>();
  readonly commits = new CommitQueue<GroupMember>();
  readonly stats: StorageStats = {
    loads: 0,
    stores: 0,
    commits: 0,
    aborts: 0,
    activeTransactions: 0,
    conflicts: 0,
    conflictsResolved: 0,
  };
  /** Tells this run of the server from others: what it remembers of transactions is gone with it. */
  readonly epoch = randomBytes(8).toString('hex');
  readonly #outcomes = new Map<string, Tid>();
  readonly #givenUp = new Set<string>();
  readonly #queue: InvalidationQueue;
  readonly #poll: (() => void) | undefined;
  readonly #timer: NodeJS.Timeout | undefined;
  #saidWaiting = 0;

  constructor(
    /** The name under which clients ask for it. */
    readonly id: string,
    readonly storage: Storage,
    readonly options: HostedStorageOptions,
    private readonly log: ServerLogger,
  ) {
    this.#queue = new InvalidationQueue(options.invalidationQueueSize);
    storage.registerDB(this);
    // Clients that share it expect it to be there.
    if (options.sharedBlobDirectory && storage.supports.blobs) storage.blobDirectory!();
    this.#fillQueue();
    if (storage.supports.multiProcess) {
      const instance = storage.newInstance();
      instance.poll();
      this.#poll = () => void instance.poll();
      this.#timer = setInterval(() => this.#look(), options.pollInterval);
      this.#timer.unref();
    }
  }

  /** The last transaction, with everything that other processes committed so far sent to the clients. */
  lastTransaction(): Tid {
    this.#poll?.();
    return this.storage.lastTransaction();
  }

  /**
   * The tid under which a client committed what it calls `key`; `undefined` when it did not, or long ago. Then it never will: the
   * client was told so, and what it sent on a connection that it lost may not have been read yet.
   */
  outcome(key: string): Tid | undefined {
    const tid = this.#outcomes.get(key);
    if (tid !== undefined) return tid;
    this.#givenUp.add(key);
    if (this.#givenUp.size > OUTCOMES) this.#givenUp.delete(this.#givenUp.keys().next().value!);
    return undefined;
  }

  /** Throws when the client has been told that the transaction was not committed. */
  checkAwaited(key: string): void {
    if (this.#givenUp.has(key))
      throw new StorageTransactionError('The client has given this transaction up.');
  }

  /** A client's transaction was committed. */
  committed(commit: ClientCommit): void {
    this.#note(commit);
    this.#tell(commit.tid, commit.oids, commit.by);
  }

  /**
   * Several were committed. Who has none of them is told of all; who has is told of those before its own, and is to be told of its own
   * and the following ones in the order of the commits.
   */
  committedTogether(commits: readonly ClientCommit[]): InvalidationBatch {
    const places = new Map<StorageClient, number>();
    commits.forEach((commit, place) => {
      this.#note(commit);
      places.set(commit.by, place);
    });
    const batch = new InvalidationBatch(commits.map(({ tid, oids }) => toWire(tid, oids)));
    for (const client of this.clients) {
      const count = places.get(client) ?? commits.length;
      if (count > 0) client.invalidatedBy(batch, 0, count);
    }
    return batch;
  }

  #note({ tid, oids, key }: ClientCommit): void {
    this.stats.commits++;
    this.#outcomes.set(key, tid);
    if (this.#outcomes.size > OUTCOMES) this.#outcomes.delete(this.#outcomes.keys().next().value!);
    this.#queue.push(tid, oids);
  }

  invalidate(tid: Tid, oids: readonly Oid[]): void {
    if (this.#queue.newest !== undefined && tid <= this.#queue.newest) return;
    this.#queue.push(tid, oids);
    this.#tell(tid, oids, undefined);
  }

  invalidateAll(): void {
    this.#queue.clear();
    this.#queue.push(this.storage.lastTransaction(), undefined);
    for (const client of [...this.clients]) client.restart('it is not known what changed in the storage');
  }

  resolveConflict(conflict: Conflict): Uint8Array | undefined {
    if (this.options.clientConflictResolution) return undefined;
    const merged = this.#merge(conflict);
    if (merged !== undefined) this.stats.conflictsResolved++;
    return merged;
  }

  references(record: Uint8Array): readonly Oid[] {
    return references(record);
  }

  /** The name of a record's class, where it can be read. */
  classOf(record: Uint8Array): string | undefined {
    try {
      return className(record);
    } catch {
      return undefined;
    }
  }

  /** What changed after `tid`; `undefined` when that is not known any more and a cache of that age is worth nothing. */
  changesSince(tid: Tid): { tid: Tid; oids: Iterable<Oid> } | undefined {
    this.#poll?.();
    return this.#queue.since(tid) ?? this.#iterateSince(tid);
  }

  /** One more waits for its turn to commit. */
  noteWaiting(): void {
    const { waiting, since } = this.commits;
    const now = Date.now();
    if (waiting < MANY_WAITING || now - this.#saidWaiting < WAITING_PAUSE) return;
    this.#saidWaiting = now;
    const lockedFor = since === undefined ? 0 : (now - since) / 1000;
    this.log.warn(
      { storage: this.id, waiting, lockedFor },
      'Many transactions wait for their turn to commit',
    );
  }

  /** A pack for which nobody waits failed. */
  reportPackFailure(error: unknown): void {
    this.log.error({ storage: this.id, err: error }, 'A pack failed');
  }

  /** Where clients that share the blob directory put the files of an object before they name them to us. */
  sharedBlobDirectory(oid: Oid): string | undefined {
    return this.options.sharedBlobDirectory?.(oid);
  }

  broadcastSize(): void {
    for (const client of this.clients) client.sizeChanged();
  }

  /** Stops looking for foreign commits. The storage stays open. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** A resolver that fails has not resolved: the client gets its conflict. */
  #merge(conflict: Conflict): Uint8Array | undefined {
    try {
      return (this.options.resolveConflict ?? mergeByClass)(conflict);
    } catch (error) {
      this.log.warn(
        { storage: this.id, oid: formatOid(conflict.oid), err: error },
        'Could not merge a conflict',
      );
      return undefined;
    }
  }

  #tell(tid: Tid, oids: readonly Oid[], by: StorageClient | undefined): void {
    const changes = toWire(tid, oids);
    for (const client of this.clients) if (client !== by) client.invalidated(changes);
  }

  #look(): void {
    try {
      this.#poll!();
    } catch (error) {
      this.log.error({ storage: this.id, err: error }, 'Could not look for commits of other processes');
    }
  }

  #iterateSince(tid: Tid): { tid: Tid; oids: Set<Oid> } | undefined {
    const age = this.options.invalidationAge;
    if (age === undefined || !this.storage.iterate) return undefined;
    if (Date.now() - timeOfTid(tid) > age * 1000) return undefined;
    const oids = new Set<Oid>();
    let newest = tid;
    for (const transaction of this.storage.iterate((tid + 1n) as Tid)) {
      for (const record of transaction.records()) oids.add(record.oid);
      newest = transaction.tid;
    }
    return { tid: newest, oids };
  }

  #fillQueue(): void {
    const last = this.storage.lastTransaction();
    const { undo, iterate } = this.storage.supports;
    const recent = undo && iterate ? this.storage.undoLog!(0, -this.options.invalidationQueueSize) : [];
    const first = recent.at(-1)?.tid;
    if (first === undefined || recent[0]!.tid !== last) {
      this.#queue.push(last, undefined);
      return;
    }
    for (const transaction of this.storage.iterate!(first)) {
      this.#queue.push(
        transaction.tid,
        Array.from(transaction.records(), (record) => record.oid),
      );
    }
  }
}

function toWire(tid: Tid, oids: readonly Oid[]): WireTuple {
  return tuple(
    tidToBytes(tid),
    oids.map((oid) => oidToBytes(oid)),
  );
}
