/**
 * A commit: what a transaction will add is collected, and checked when it votes. From the vote on it has the commit lock, which makes commits of all
 * programs follow one another; nothing of it is to be seen before PostgreSQL has it safe.
 */
import { ConflictError, POSKeyError, StorageTransactionError } from '../../errors';
import { laterThan, newTid, oidToBytes, ZERO_TID, type Oid, type Tid } from '../../ids';
import type { BlobSource, TransactionStatus } from '../interfaces';
import { mergeConflict } from '../merge-conflict';
import type { TransactionMetaData } from '../transaction-meta';
import { dropSource, storeContent } from './blob-contents';
import { changesAfter } from './changes';
import { checkExistence, checkRead, newestQuery, readNewest, type Newest } from './commit-checks';
import type { News } from './news';
import type { OidSource } from './oid-source';
import { bigintArray, byteaArray, oidArray, oidParameter } from './rows';
import type { Revision } from './revisions';
import { removed, type Schema } from './schema';
import type { ServerWork, Statement } from './server';
import { Channel, type Place } from './server-worker';
import { isKept } from './transactions';

/** Bytes of records that go to the server at once. */
const BATCH = 4 << 20;

/** What is going to be written of one object. */
interface Change {
  /** The revision it was made from; `undefined`: whatever is there, which an undo or a copy replaces. */
  readonly serial: Tid | undefined;
  /** `null`: deleted. */
  data: Uint8Array | null;
  references: readonly Oid[] | undefined;
  /** Of the transaction in which the data were made. */
  readonly origin: Tid | undefined;
  readonly source: BlobSource | undefined;
  /** Number of a content that is stored. */
  blob: string | null;
}

/** What a commit asks of the storage. */
export interface CommitSurroundings {
  readonly schema: Schema;
  readonly news: News;
  readonly oids: OidSource;
  /** Milliseconds. */
  readonly lockTimeout: number;
  /** Its number on the server's connection. */
  readonly transaction: number;
}

/** The transaction under way. */
export class PendingTransaction {
  readonly meta: TransactionMetaData;
  readonly changes = new Map<Oid, Change>();
  readonly resolved: Oid[] = [];
  tid = ZERO_TID;
  /** PostgreSQL's number of its transaction, once all of it is there. */
  serverId: string | undefined;
  readonly #around: CommitSurroundings;
  readonly #wantedTid: Tid | undefined;
  readonly #status: TransactionStatus;
  readonly #checked = new Map<Oid, Tid>();
  readonly #referred = new Set<Oid>();
  #isBegun = false;
  #isLocked = false;
  #isAborted = false;
  #last = ZERO_TID;
  #added = 0;
  /** How often objects were removed: as it was known when this began, and as it was when it got the lock. */
  readonly #knownRemovals: number | undefined;
  #removals = 0;

  constructor(
    meta: TransactionMetaData,
    around: CommitSurroundings,
    tid: Tid | undefined,
    status: TransactionStatus = ' ',
  ) {
    this.meta = meta;
    this.#around = around;
    this.#wantedTid = tid;
    this.#status = status;
    this.#knownRemovals = around.news.removals;
  }

  /** Whether it has a transaction of PostgreSQL open. */
  get isBegun(): boolean {
    return this.#isBegun;
  }

  store(oid: Oid, serial: Tid, data: Uint8Array, references?: readonly Oid[], source?: BlobSource): void {
    this.changes.set(oid, { serial, data, references, origin: undefined, source, blob: null });
  }

  restore(oid: Oid, data: Uint8Array | null, origin: Tid | undefined, source?: BlobSource): void {
    this.changes.set(oid, { serial: undefined, data, references: undefined, origin, source, blob: null });
  }

  /** As it was in another revision, its content shared. */
  repeat(oid: Oid, data: Uint8Array | null, origin: Tid | undefined, blob: string | null): void {
    this.changes.set(oid, {
      serial: undefined,
      data,
      references: undefined,
      origin,
      source: undefined,
      blob,
    });
  }

  deleteObject(oid: Oid, serial: Tid): void {
    this.changes.set(oid, {
      serial,
      data: null,
      references: [],
      origin: undefined,
      source: undefined,
      blob: null,
    });
  }

  /** Contents that were taken over are not needed any more. */
  dropSources(): void {
    for (const { source } of this.changes.values()) if (source !== undefined) dropSource(source);
  }

  checkCurrent(oid: Oid, serial: Tid): void {
    this.#checked.set(oid, serial);
  }

  /** These are referred to: they must still be there when this commits. */
  refersTo(oids: readonly Oid[]): void {
    for (const oid of oids) this.#referred.add(oid);
  }

  /** Begins PostgreSQL's transaction, and goes on with `more`. */
  *begin(more = '', patience = 0): ServerWork<void> {
    if (this.#isBegun) return;
    if (this.#isAborted) throw new StorageTransactionError('This transaction was aborted during its vote.');
    this.#isBegun = true;
    // First ends what a transaction left whose end the server has not been told of; else it only warns.
    const text = `ROLLBACK; BEGIN; SET LOCAL lock_timeout = ${this.#around.lockTimeout}${more}`;
    yield { channel: Channel.commit, place: this.#at('begin'), text, patience };
  }

  /** Takes the commit lock. What others committed before is known then. */
  *lock(): ServerWork<void> {
    if (this.#isLocked) return;
    const { schema } = this.#around;
    const lock = `SELECT pg_advisory_xact_lock(${schema.commitLock})`;
    const patience = this.#around.lockTimeout;
    if (this.#isBegun) yield { ...this.#inside(lock, []), patience };
    else yield* this.begin(`; ${lock}`, patience);
    this.#isLocked = true;
    const changes = yield* changesAfter(schema, Channel.commit, this.#around.news.last, this.#at('inside'));
    this.#around.news.tell(changes);
    this.#last = changes.last;
    this.#removals = changes.removals;
    this.tid = this.#wantedTid === undefined ? newTid(this.#last) : laterThan(this.#wantedTid, this.#last);
  }

  /** Checks everything and writes it; it is not committed yet. */
  *vote(): ServerWork<readonly Oid[]> {
    const { schema } = this.#around;
    yield* this.#around.oids.use(this.changes.keys());
    // Before the lock is taken: contents may be large.
    for (const change of this.changes.values()) {
      if (change.source === undefined) continue;
      yield* this.begin();
      change.blob = yield* storeContent(schema, change.source, this.#at('inside'));
    }
    yield* this.lock();
    // What existed when the references were checked may be gone by now, or doomed.
    if (this.#removals !== (this.#knownRemovals ?? this.#removals) || this.#removals % 2 === 1)
      this.#referToAll();
    const asked = [...this.changes.keys(), ...this.#checked.keys(), ...this.#referred];
    const newest =
      asked.length === 0
        ? new Map<Oid, Newest>()
        : readNewest(yield this.#inside(newestQuery(schema), [oidArray(asked)], 'newest'));
    checkRead(newest, this.#checked);
    checkExistence(newest, this.#referred, this.changes);
    for (const [oid, change] of this.changes) yield* this.#settle(oid, change, newest.get(oid));
    for (const [oid, { data }] of this.changes) {
      const was = newest.get(oid)?.isDeleted === false;
      if (was !== (data !== null)) this.#added += was ? -1 : 1;
    }
    if (this.removesObjects) yield this.#inside(removed(schema), []);
    const serverId = yield* this.#writeTransaction();
    yield* this.#writeRevisions();
    this.serverId = serverId;
    return this.resolved;
  }

  /** Whether it leaves fewer objects. */
  get removesObjects(): boolean {
    for (const { data } of this.changes.values()) if (data === null) return true;
    return false;
  }

  *finish(): ServerWork<void> {
    this.#isBegun = false;
    yield { channel: Channel.commit, place: this.#at('end'), text: 'COMMIT' };
    if (this.removesObjects) this.#around.news.removed(this.#removals + 2);
  }

  *abort(): ServerWork<void> {
    // A vote that waits for the server goes on when its answer is there.
    this.#isAborted = true;
    if (!this.#isBegun) return;
    this.#isBegun = false;
    yield { channel: Channel.commit, place: this.#at('end'), text: 'ROLLBACK' };
  }

  *#settle(oid: Oid, change: Change, current: Newest | undefined): ServerWork<void> {
    const { serial, data } = change;
    if (serial === undefined) return;
    if (data === null) {
      if (current === undefined || current.isDeleted) throw new POSKeyError(oid);
      if (current.tid !== serial) throw new ConflictError(undefined, { oid, serials: [current.tid, serial] });
      return;
    }
    if (current === undefined || current.tid === serial || (current.isDeleted && serial === ZERO_TID)) return;
    if (current.isDeleted || change.source !== undefined)
      throw new ConflictError(undefined, { oid, serials: [current.tid, serial] });
    const committed = yield* this.#state(oid, current.tid);
    const old = yield* this.#state(oid, serial);
    change.data = mergeConflict(this.#around.news.host, {
      oid,
      committedSerial: current.tid,
      oldSerial: serial,
      committed: committed!,
      newData: data,
      loadOld: () => {
        if (old === undefined) throw new POSKeyError(oid);
        return { data: old, serial };
      },
    });
    change.references = undefined;
    this.resolved.push(oid);
  }

  *#state(oid: Oid, tid: Tid): ServerWork<Uint8Array | undefined> {
    const text = `SELECT state FROM ${this.#around.schema.revision} WHERE oid = $1 AND tid = $2`;
    const rows = yield this.#inside(text, [oidParameter(oid), tid]);
    return rows.next() ? (rows.bytes() ?? undefined) : undefined;
  }

  /** One revision of each of these objects: the newest, that of a transaction, or the one before it. */
  *revisions(
    oids: readonly Oid[],
    which: 'newest' | 'at' | 'before',
    tid: Tid,
  ): ServerWork<Map<Oid, Revision>> {
    const condition = { newest: '$2::bigint IS NOT NULL', at: 'tid = $2', before: 'tid < $2' }[which];
    const rows = yield this.#inside(
      `SELECT wanted.oid, r.tid, r.state, coalesce(r.state_tid, r.tid), r.blob FROM unnest($1::bigint[]) AS wanted (oid)
        CROSS JOIN LATERAL (SELECT * FROM ${this.#around.schema.revision} WHERE oid = wanted.oid AND ${condition} ORDER BY tid DESC LIMIT 1) AS r`,
      [oidArray(oids), tid],
    );
    const found = new Map<Oid, Revision>();
    while (rows.next()) {
      const oid = rows.oid();
      found.set(oid, { oid, tid: rows.tid(), data: rows.bytes(), origin: rows.tid(), blob: rows.text() });
    }
    return found;
  }

  /** Whether a transaction can be undone, and the oids that it wrote. */
  *written(tid: Tid): ServerWork<readonly Oid[] | undefined> {
    const { txn, revision, meta } = this.#around.schema;
    const known = yield this.#inside(`SELECT 1 FROM ${txn} WHERE tid = $1 AND ${isKept(meta)}`, [tid]);
    if (!known.next()) return undefined;
    const rows = yield this.#inside(`SELECT oid FROM ${revision} WHERE tid = $1 ORDER BY oid`, [tid]);
    const oids: Oid[] = [];
    while (rows.next()) oids.push(rows.oid());
    return oids;
  }

  /** The row of the transaction; others are told of it when it is committed. */
  *#writeTransaction(): ServerWork<string> {
    const { meta } = this;
    const { txn, channel } = this.#around.schema;
    const rows = yield this.#inside(
      `WITH added AS (
          INSERT INTO ${txn} SELECT $1, $2, coalesce((SELECT objects FROM ${txn} WHERE tid = $3), 0) + $4, $5, $6, $7 RETURNING tid
        ) SELECT txid_current(), pg_notify($8, '') FROM added`,
      [
        this.tid,
        this.#status === 'p',
        this.#last,
        this.#added,
        meta.userBytes,
        meta.descriptionBytes,
        meta.extensionBytes,
        channel,
      ],
      'txn',
    );
    rows.next();
    return rows.text()!;
  }

  *#writeRevisions(): ServerWork<void> {
    let batch: [Oid, Change][] = [];
    let size = 0;
    for (const entry of this.changes) {
      batch.push(entry);
      size += entry[1].data?.length ?? 0;
      if (size < BATCH) continue;
      yield this.#insert(batch);
      batch = [];
      size = 0;
    }
    if (batch.length > 0) yield this.#insert(batch);
  }

  #insert(batch: readonly [Oid, Change][]): Statement {
    const statement = this.#inside(
      `INSERT INTO ${this.#around.schema.revision} (oid, tid, state, refs, state_tid, blob)
        SELECT oid, $2, state, refs, state_tid, blob FROM unnest($1::bigint[], $3::bytea[], $4::bytea[], $5::bigint[], $6::bigint[]) AS new (oid, state, refs, state_tid, blob)`,
      [
        oidArray(batch.map(([oid]) => oid)),
        this.tid,
        byteaArray(batch.map(([, { data }]) => data)),
        byteaArray(batch.map(([, change]) => this.#references(change))),
        bigintArray(batch.map(([, { origin }]) => origin ?? null)),
        `{${batch.map(([, { blob }]) => blob ?? 'NULL').join()}}`,
      ],
      'insert',
    );
    return { ...statement, isGiven: true };
  }

  /** What a record refers to, 8 bytes each; `null` when nobody can tell. */
  #references({ data, references }: Change): Uint8Array | null {
    if (data === null) return null;
    const oids = references ?? this.#ask(data);
    if (oids === undefined) return null;
    const bytes = Buffer.allocUnsafe(oids.length * 8);
    for (let i = 0; i < oids.length; i++) oidToBytes(oids[i]!, bytes, i * 8);
    return bytes;
  }

  #referToAll(): void {
    for (const change of this.changes.values()) {
      if (change.serial === undefined || change.data === null) continue;
      change.references ??= this.#ask(change.data);
      if (change.references !== undefined) this.refersTo(change.references);
    }
  }

  #ask(data: Uint8Array): readonly Oid[] | undefined {
    try {
      return this.#around.news.host?.references(data);
    } catch {
      return undefined;
    }
  }

  #inside(text: string, values: readonly unknown[], name?: string): Statement {
    const place = this.#at('inside');
    return { channel: Channel.commit, place, text, values, ...(name === undefined ? {} : { name }) };
  }

  #at(role: Place['role']): Place {
    return { transaction: this.#around.transaction, role };
  }
}
