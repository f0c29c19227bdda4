import { ConflictError, POSKeyError, ReadOnlyError, StorageTransactionError } from '../../errors';
import {
  MAX_TID,
  oidFromBytes,
  oidToBytes,
  tidFromBytes,
  tidToBytes,
  ZERO_TID,
  type Oid,
  type Tid,
} from '../../ids';
import type {
  BoundedRecord,
  CommitResult,
  StorageHost,
  TransactionMetaData,
  TransactionStatus,
} from '../../storage/index';
import { formatAddress } from '../address';
import { ClientDisconnected, CommitOutcomeUnknownError } from '../errors';
import { extensionDict, undoId } from '../wire/metadata';
import { itemsOf, tuple, type WireValue } from '../wire/values';
import type { Call } from './call';
import type { ServerConnection } from './connection';
import type { ServerWork } from './link';
import { revisionArguments } from './server-view';

/** Rounds of merging and voting again, before a conflict is one; Python's number. */
const ROUNDS = 9;

/** What a transaction gets done with. */
export interface TransactionContext {
  readonly host: StorageHost | undefined;
  /** The connection in use now. */
  connection(): ServerConnection | undefined;
  load(connection: ServerConnection, oid: Oid, before: Tid): Call<BoundedRecord | undefined>;
}

interface Stored {
  readonly data: Uint8Array;
  readonly serial: Tid;
}

/** A transaction between `tpcBegin` and its end, on the connection on which it began. */
export class ClientTransaction {
  /** Records stored last, by object. */
  readonly stored = new Map<Oid, Stored>();
  /** Objects of which the server has other data than what was given: merged, undone, restored, deleted. */
  readonly changedElsewhere = new Set<Oid>();
  /** What the server calls this transaction. */
  readonly id: number | string;
  voted = false;
  readonly #merged = new Set<Oid>();
  /** The server was to vote and commit at once, so it did not tell what it merged. */
  #atOnce = false;
  /** Given for a transaction that is copied. */
  readonly #tid: Tid;
  readonly #connection: ServerConnection;
  readonly #context: TransactionContext;

  constructor(
    id: number | string,
    readonly meta: TransactionMetaData,
    connection: ServerConnection,
    context: TransactionContext,
    tid: Tid | undefined,
    status: TransactionStatus,
  ) {
    this.id = id;
    this.#tid = tid ?? ZERO_TID;
    this.#connection = connection;
    this.#context = context;
    connection.oneWay(
      'tpc_begin',
      tuple(
        id,
        meta.userBytes,
        meta.descriptionBytes,
        extensionDict(meta),
        tid === undefined ? null : tidToBytes(tid),
        status,
      ),
    );
  }

  /** The connection; throws when it is not the one on which the transaction began. */
  get connection(): ServerConnection {
    if (this.#connection.closed || this.#context.connection() !== this.#connection) {
      throw new ClientDisconnected(
        'The connection to the ZEO server was lost during this transaction. Nothing of it was committed; run it again.',
      );
    }
    return this.#connection;
  }

  store(oid: Oid, serial: Tid, data: Uint8Array): void {
    this.connection.oneWay('storea', tuple(oidToBytes(oid), tidToBytes(serial), data, this.id));
    this.stored.set(oid, { data, serial });
  }

  restore(oid: Oid, data: Uint8Array | null, dataTid: Tid | undefined): void {
    this.connection.oneWay(
      'restorea',
      tuple(
        oidToBytes(oid),
        tidToBytes(this.#tid),
        data,
        dataTid === undefined ? null : tidToBytes(dataTid),
        this.id,
      ),
    );
    this.changedElsewhere.add(oid);
  }

  deleteObject(oid: Oid, serial: Tid): void {
    this.connection.oneWay('deleteObject', tuple(oidToBytes(oid), tidToBytes(serial), this.id));
    this.changedElsewhere.add(oid);
  }

  checkCurrent(oid: Oid, serial: Tid): void {
    this.connection.oneWay(
      'checkCurrentSerialInTransaction',
      tuple(oidToBytes(oid), tidToBytes(serial), this.id),
    );
  }

  undo(tid: Tid): void {
    this.connection.oneWay('undoa', tuple(undoId(tid), this.id));
  }

  /** Votes, and merges what the server leaves to us. Returns the objects whose data are not what was given. */
  *vote(): ServerWork<readonly Oid[]> {
    for (let round = 0; ; round++) {
      const call = this.connection.call('vote', tuple(this.id), (reply) => itemsOf(reply) ?? []);
      yield call;
      const answer = call.result();
      const conflicts = conflictsIn(answer);
      if (conflicts.length === 0) return this.#voted(answer);
      for (const conflict of conflicts) yield* this.#merge(conflict, round);
    }
  }

  #voted(answer: readonly WireValue[]): readonly Oid[] {
    for (const item of answer) {
      if (item instanceof Uint8Array && item.length === 8) this.#merged.add(oidFromBytes(item));
    }
    for (const oid of this.#merged) this.changedElsewhere.add(oid);
    this.voted = true;
    return [...this.#merged];
  }

  *#merge(conflict: Map<WireValue, WireValue>, round: number): ServerWork<void> {
    const oid = oidFromBytes(conflict.get('oid') as Uint8Array);
    const [committedBytes, oldBytes] = itemsOf(conflict.get('serials')) as Uint8Array[];
    const committedSerial = tidFromBytes(committedBytes!);
    const oldSerial = tidFromBytes(oldBytes!);
    const failed = new ConflictError(undefined, { oid, serials: [committedSerial, oldSerial] });
    const { host } = this.#context;
    if (!host || round >= ROUNDS || oldSerial === ZERO_TID) throw failed;
    const newData = Buffer.from(conflict.get('data') as Uint8Array);
    const old = this.connection.call('loadSerial', revisionArguments(oid, oldSerial), bytesOf);
    const committed = this.connection.call('loadSerial', revisionArguments(oid, committedSerial), bytesOf);
    yield old;
    yield committed;
    if (old.error instanceof POSKeyError || committed.error instanceof POSKeyError) throw failed;
    let merged: Uint8Array | undefined;
    try {
      merged = host.resolveConflict({
        oid,
        committedSerial,
        oldSerial,
        old: old.result(),
        committed: committed.result(),
        newData,
      });
    } catch (cause) {
      throw new ConflictError(failed.message, { oid, serials: [committedSerial, oldSerial], cause });
    }
    if (merged === undefined) throw failed;
    this.store(oid, committedSerial, merged);
    this.#merged.add(oid);
  }

  /**
   * Votes and commits in one round trip, where the server can; else in two. The outcome of a lost connection is found out as by
   * {@link finish}; then any object may have been merged.
   */
  *commit(settle: (tid: Tid) => void): ServerWork<CommitResult> {
    if (!this.connection.commitsAtOnce) {
      const resolved = yield* this.vote();
      return { tid: yield* this.finish(settle), resolved };
    }
    for (let round = 0; ; round++) {
      const call = this.connection.call('zodb_commit', tuple(this.id), (reply) => {
        const [tid, answer] = itemsOf(reply) ?? [];
        if (!(tid instanceof Uint8Array)) return conflictsIn(itemsOf(answer) ?? []);
        const resolved = this.#voted(itemsOf(answer) ?? []);
        const result: CommitResult = { tid: tidFromBytes(tid), resolved };
        settle(result.tid);
        return result;
      });
      yield call;
      if (call.error instanceof ClientDisconnected) {
        this.#atOnce = true;
        const tid = yield* this.#findOut(call.error);
        for (const [oid, { serial }] of this.stored) if (serial !== ZERO_TID) this.#merged.add(oid);
        const resolved = this.#voted([]);
        settle(tid);
        return { tid, resolved };
      }
      const result = call.result();
      if ('tid' in result) return result;
      if (result.length === 0)
        throw new StorageTransactionError('The ZEO server did not commit, nor say why.');
      for (const conflict of result) yield* this.#merge(conflict, round);
    }
  }

  /**
   * Commits. `settle` gets the tid in the order of the wire. When the connection is lost before the answer, this finds out
   * what became of the transaction, as far as it can be known for certain.
   */
  *finish(settle: (tid: Tid) => void): ServerWork<Tid> {
    const call = this.connection.call('tpc_finish', tuple(this.id), (reply) => {
      if (!(reply instanceof Uint8Array)) {
        throw new StorageTransactionError('The ZEO server does not know this transaction any more.');
      }
      const tid = tidFromBytes(reply);
      settle(tid);
      return tid;
    });
    yield call;
    if (!(call.error instanceof ClientDisconnected)) return call.result();
    const tid = yield* this.#findOut(call.error);
    settle(tid);
    return tid;
  }

  /** Removes a file that was given to be sent. False when it can just be removed: the connection is gone. */
  dropFile(file: string): boolean {
    if (this.#connection.closed) return false;
    this.#connection.dropFile(file);
    return true;
  }

  /** Tells the server to forget it; silent when the connection is gone, which does the same. */
  abort(): void {
    if (this.#connection.closed) return;
    this.#connection.oneWay('tpc_abort', tuple(this.id));
  }

  /**
   * The tid under which it was committed. Throws `ClientDisconnected` when it certainly was not, and
   * {@link CommitOutcomeUnknownError} when that can't be told.
   */
  *#findOut(lost: ClientDisconnected): ServerWork<Tid> {
    const unknown = (why: string, cause: unknown = lost): CommitOutcomeUnknownError =>
      new CommitOutcomeUnknownError(
        'The connection to the ZEO server was lost while it committed this transaction, and it is not known whether it did: ' +
          `${why}. Look at the data before you run it again.`,
        { cause },
      );
    let connection: ServerConnection;
    try {
      yield 'connection';
      connection = this.#context.connection()!;
      if (formatAddress(connection.address) !== formatAddress(this.#connection.address)) {
        throw new ClientDisconnected(
          'Another server answers now, which may not have all that the first one had.',
        );
      }
      yield* this.#passBarrier(connection);
    } catch (error) {
      if (error instanceof ReadOnlyError)
        throw unknown('the server it is connected to now is read-only', error);
      throw unknown('no server could be asked', error);
    }
    if (connection.epoch !== undefined && connection.epoch === this.#connection.epoch) {
      const call = connection.call('zodb_outcome', tuple(this.id), (reply) =>
        reply instanceof Uint8Array ? tidFromBytes(reply) : undefined,
      );
      yield call;
      if (call.error !== undefined) throw unknown('the server could not tell', call.error);
      const tid = call.result();
      if (tid !== undefined) return tid;
      throw this.#notCommitted(lost);
    }
    const verdict = yield* this.#compare(connection);
    if (verdict === 'unknown') throw unknown('others may have written the same data since');
    if (verdict !== undefined) return verdict;
    throw this.#notCommitted(lost);
  }

  #notCommitted(lost: ClientDisconnected): ClientDisconnected {
    return new ClientDisconnected(
      'The connection to the ZEO server was lost before it committed this transaction. Nothing was committed; run it again.',
      { cause: lost },
    );
  }

  /** Takes the turn to commit once: whoever had it before, the lost connection included, has ended then. */
  *#passBarrier(connection: ServerConnection): ServerWork<void> {
    const id = typeof this.id === 'number' ? -this.id : `${this.id} barrier`;
    const empty = Buffer.alloc(0);
    connection.oneWay('tpc_begin', tuple(id, empty, empty, new Map(), null, ' '));
    const vote = connection.call('vote', tuple(id), () => undefined);
    yield vote;
    vote.result();
    connection.oneWay('tpc_abort', tuple(id));
  }

  /**
   * Looks for our records: a tid when they are certainly ours, nothing when they certainly are not there. If the transaction was
   * committed, the revision after the serial is ours, for the vote found every serial current; unless the server merged the object,
   * unknown to us: then ours, whatever it says, comes after another one.
   */
  *#compare(connection: ServerConnection): ServerWork<Tid | 'unknown' | undefined> {
    let isUnsure = this.changedElsewhere.size > 0;
    for (const [oid, { data, serial }] of this.stored) {
      if (this.changedElsewhere.has(oid)) continue;
      const next = yield* this.#revisionAfter(connection, oid, serial);
      if (next === undefined) return undefined;
      if (next === 'packed') return 'unknown';
      const isSame = Buffer.compare(next.data, data) === 0;
      const isMerged = this.#atOnce && next.end !== undefined && serial !== ZERO_TID;
      if (!isSame && !isMerged) return undefined;
      // Nobody else was given the oid of a new object.
      if (serial === ZERO_TID) return next.serial;
      isUnsure = true;
    }
    return isUnsure ? 'unknown' : undefined;
  }

  *#revisionAfter(
    connection: ServerConnection,
    oid: Oid,
    serial: Tid,
  ): ServerWork<BoundedRecord | 'packed' | undefined> {
    let found: BoundedRecord | undefined;
    for (let before = MAX_TID; ; before = found.serial) {
      const call = this.#context.load(connection, oid, before);
      yield call;
      if (call.error instanceof POSKeyError) return found;
      const record = call.result();
      if (record === undefined) return serial === ZERO_TID ? found : found && 'packed';
      if (record.serial <= serial) return found;
      found = record;
    }
  }
}

/** What the server leaves to us to merge, of the answer to a vote. */
function conflictsIn(answer: readonly WireValue[]): Map<WireValue, WireValue>[] {
  return answer.filter((item) => item instanceof Map) as Map<WireValue, WireValue>[];
}

function bytesOf(value: WireValue): Uint8Array {
  return Buffer.from(value as Uint8Array);
}
