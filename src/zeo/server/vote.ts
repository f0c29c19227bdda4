import { ConflictError, ReadConflictError } from '../../errors';
import { oidToBytes, tidToBytes, type Oid, type Tid } from '../../ids';
import { requireCapability } from '../../storage/index';
import { tuple, type WireValue } from '../wire/values';
import type { HostedStorage } from './hosted-storage';
import type { LoggedOperation, TransactionLog } from './transaction-log';

/** How long the replay goes on before others get their turn, in milliseconds. */
const SLICE_MS = 8;

/** What became of a vote. */
export interface Prepared {
  /** The answer to the client. */
  readonly answer: WireValue;
  /** The objects that others must be told of when it is committed. */
  readonly changed: Oid[];
  /** The client is to resolve conflicts and vote again: nothing is prepared. */
  readonly conflicts: boolean;
}

interface Conflict {
  readonly oid: Oid;
  readonly serials: readonly [Tid, Tid];
  readonly data: Uint8Array;
}

/**
 * Plays what the client wants into the storage and lets it vote. Long transactions give way to others now and then;
 * `wanted` tells whether the client is still there.
 */
export async function prepareCommit(
  hosted: HostedStorage,
  log: TransactionLog,
  wanted: () => boolean,
): Promise<Prepared> {
  const { storage } = hosted;
  if (storage.tpcBeginAsync) await storage.tpcBeginAsync(log.meta, log.tid, log.status);
  else storage.tpcBegin(log.meta, log.tid, log.status);
  const replay = new Replay(hosted, log);
  let sliceEnd = performance.now() + SLICE_MS;
  for (const operation of replay.operations()) {
    if (!wanted()) break;
    replay.play(operation);
    if (performance.now() < sliceEnd) continue;
    await new Promise<void>((resolve) => setImmediate(resolve));
    sliceEnd = performance.now() + SLICE_MS;
  }
  return replay.vote();
}

/** As {@link prepareCommit}, for a transaction that is quickly done, on a storage that nobody else commits to now. */
export function prepareNow(hosted: HostedStorage, log: TransactionLog): Prepared {
  hosted.storage.tpcBegin(log.meta, log.tid, log.status);
  const replay = new Replay(hosted, log);
  for (const operation of log.operations) replay.play(operation);
  return replay.vote();
}

class Replay {
  readonly #changed = new Set<Oid>();
  readonly #restored = new Set<Oid>();
  readonly #answer: WireValue[] = [];
  readonly #conflicts = new Map<Oid, Conflict>();

  constructor(
    private readonly hosted: HostedStorage,
    private readonly log: TransactionLog,
  ) {}

  /** Blobs come last; the record that came with a blob is stored with it. */
  operations(): LoggedOperation[] {
    const blobs = new Set<Oid>();
    for (const operation of this.log.operations) if (operation.op === 'blob') blobs.add(operation.oid);
    if (blobs.size === 0) return this.log.operations;
    return [
      ...this.log.operations.filter(({ op }) => op !== 'blob'),
      ...this.log.operations.filter(({ op }) => op === 'blob'),
    ].filter((operation) => operation.op !== 'store' || !blobs.has(operation.oid));
  }

  play(operation: LoggedOperation): void {
    const { storage } = this.hosted;
    const { meta } = this.log;
    switch (operation.op) {
      case 'store':
      case 'blob':
        return this.#store(operation);
      case 'check':
        return this.#check(operation.oid, operation.serial);
      case 'delete':
        requireCapability(storage, 'deleteObject');
        storage.deleteObject(operation.oid, operation.serial, meta);
        this.#changed.add(operation.oid);
        return;
      case 'restore': {
        requireCapability(storage, 'restore');
        const data = operation.data && this.log.data(operation.data);
        this.#restored.add(operation.oid);
        storage.restore(operation.oid, data, meta, operation.dataTid);
        this.#changed.add(operation.oid);
        return;
      }
      case 'undo': {
        requireCapability(storage, 'undo');
        for (const oid of storage.undo(operation.tid, meta)) {
          this.#changed.add(oid);
          this.#answer.push(oidToBytes(oid));
        }
      }
    }
  }

  vote(): Prepared {
    if (this.#conflicts.size === 0) {
      try {
        for (const oid of this.hosted.storage.tpcVote(this.log.meta)) this.#answer.push(oidToBytes(oid));
        return { answer: this.#answer, changed: [...this.#changed], conflicts: false };
      } catch (error) {
        this.#noteConflict(error, undefined);
      }
    }
    const answer = Array.from(this.#conflicts.values(), ({ oid, serials, data }) => ({
      oid: oidToBytes(oid),
      serials: tuple(tidToBytes(serials[0]), tidToBytes(serials[1])),
      data,
    }));
    return { answer, changed: [], conflicts: true };
  }

  #check(oid: Oid, serial: Tid): void {
    try {
      this.hosted.storage.checkCurrentSerial(oid, serial, this.log.meta);
    } catch (error) {
      if (error instanceof ConflictError) this.hosted.stats.conflicts++;
      throw error;
    }
  }

  #store(operation: LoggedOperation & { op: 'store' | 'blob' }): void {
    const { storage } = this.hosted;
    const { oid, serial } = operation;
    const data = this.log.data(operation.data);
    try {
      if (operation.op === 'store') storage.store(oid, serial, data, this.log.meta);
      else {
        requireCapability(storage, 'blobs');
        const source = { path: operation.path, consume: true };
        if (this.#restored.has(oid)) storage.restoreBlob!(oid, data, source, this.log.meta);
        else storage.storeBlob(oid, serial, data, source, this.log.meta);
      }
    } catch (error) {
      return this.#noteConflict(error, data);
    }
    this.#conflicts.delete(oid);
    this.#changed.add(oid);
  }

  /** Remembers a conflict for the client to resolve; throws whatever is something else. */
  #noteConflict(error: unknown, data: Buffer | undefined): void {
    if (!(error instanceof ConflictError)) throw error;
    this.hosted.stats.conflicts++;
    const { oid, serials } = error;
    const record = data ?? (oid === undefined ? undefined : this.#storedData(oid));
    if (oid === undefined || record === undefined) throw error;
    const resolvable = serials && !(error instanceof ReadConflictError);
    if (this.hosted.options.clientConflictResolution && resolvable) {
      this.#conflicts.set(oid, { oid, serials, data: record });
      return;
    }
    throw error instanceof ReadConflictError ? error : this.#named(error, record);
  }

  /** The conflict with its class's name, which storages do not read. */
  #named(error: ConflictError, record: Uint8Array): ConflictError {
    const className = error.className ?? this.hosted.classOf(record);
    return new ConflictError(undefined, {
      cause: error,
      ...(error.oid === undefined ? {} : { oid: error.oid }),
      ...(error.serials ? { serials: error.serials } : {}),
      ...(className === undefined ? {} : { className }),
    });
  }

  #storedData(oid: Oid): Buffer | undefined {
    for (let i = this.log.operations.length - 1; i >= 0; i--) {
      const operation = this.log.operations[i]!;
      if ((operation.op === 'store' || operation.op === 'blob') && operation.oid === oid) {
        return this.log.data(operation.data);
      }
    }
    return undefined;
  }
}
