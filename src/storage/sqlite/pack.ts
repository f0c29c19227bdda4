/**
 * Packing, in steps of a few milliseconds, each of which leaves the database whole: a pack that was killed is simply
 * done again, and what it removed stays removed.
 *
 * 1. Whatever can be reached is marked (gc-mark.ts), while others read and commit.
 * 2. Former revisions that were superseded at the pack time go: a prefix of `history`.
 * 3. Objects that are not marked are listed, and doomed all at once under the write lock, after the marks have caught up with what was
 *    committed meanwhile (doomed.ts). Then they go, in batches. A commit that would refer to one of them is refused by the count of removals.
 * 4. Transactions that keep nothing, blobs and their contents go; pages are given back.
 */
import { InvalidArgumentError, LockError } from '../../errors';
import { ROOT_OID, tidFromTime, type Oid } from '../../ids';
import type { PackOptions, PackReport } from '../interfaces';
import type { Progress, Steps } from '../steps';
import { sweepBlobs } from './blob-sweep';
import type { Blobs } from './blobs';
import { Doomed } from './doomed';
import type { Engine } from './engine';
import { GarbageMarks, STEP_MS } from './gc-mark';
import { pause, type Handle } from './handle';
import { PackLock } from './pack-lock';
import { PackStatements, SCAN_ROWS } from './pack-statements';
import { Revisions } from './revisions';
import { readMeta, writeMeta } from './schema';
import { OidSet } from './oid-set';
import { nextKey } from './walk';

/** Counts what is, or would be, removed. */
export class PackCounts {
  revisions = 0;
  objects = 0;
  blobs = 0;
  bytes = 0;

  report(): PackReport {
    return { revisions: this.revisions, objects: this.objects, blobs: this.blobs, bytes: this.bytes };
  }
}

/** One pack of a database. */
export class Pack {
  readonly #engine: Engine;
  readonly #blobs: Blobs;
  readonly #options: Required<PackOptions>;
  readonly #handle: Handle;
  readonly #lock: PackLock;
  readonly #sql: PackStatements;
  readonly #counts = new PackCounts();
  /** Commits whose transactions still have records, as far as they are at or before the pack time. */
  readonly #used = new OidSet();
  #packSeq = 0;
  #past = 0;

  constructor(engine: Engine, blobs: Blobs, options: PackOptions) {
    const { time = Infinity, gc = true, dryRun = false, roots = [] } = options;
    if (typeof time !== 'number' || Number.isNaN(time)) {
      throw new InvalidArgumentError(
        `The pack time must be in milliseconds since 1970, not ${String(time)}.`,
      );
    }
    this.#engine = engine;
    this.#blobs = blobs;
    this.#options = { time, gc, dryRun, roots };
    this.#handle = engine.writeHandle();
    this.#lock = new PackLock(this.#handle);
    this.#sql = new PackStatements(this.#handle);
  }

  *run(): Steps<PackReport> {
    try {
      yield* this.#guarded(this.#steps());
      return this.#counts.report();
    } finally {
      this.#engine.closeHandle(this.#handle);
    }
  }

  *#steps(): Generator<Progress, void, void> {
    this.#engine.refresh();
    const { tids, log } = this.#engine;
    // Tids may run ahead of the clock: "now" means everything that is committed.
    const { time } = this.#options;
    this.#packSeq = time >= Date.now() ? log.latest : tids.seqAtMost(tidFromTime(time), log.latest);
    if (this.#packSeq === 0) return;
    this.#past = this.#sql.pastOf(this.#packSeq);
    if (this.#options.dryRun) {
      yield* this.#count();
      return;
    }
    try {
      let doomed: Doomed | undefined;
      yield* this.#write('begin', () => {
        this.#lock.acquire();
        doomed = new Doomed(this.#handle);
      });
      if (doomed!.isDecided) yield* this.#removeDoomed(doomed!);
      // First what can fail for a damaged or unreadable record: then nothing is gone yet.
      const marks = yield* this.#mark();
      yield* this.#write('history', () => this.#begin());
      yield* this.#trim();
      yield* this.#sweepObjects(marks, doomed!);
      yield* this.#sweepTransactions();
      const revisions = new Revisions(this.#handle, tids);
      yield* sweepBlobs(this.#handle, revisions, this.#blobs, this.#counts, (phase, work) =>
        this.#write(phase, work),
      );
    } finally {
      // Not a step: whoever ended the pack early waits for this.
      if (this.#handle.db.open) this.#unlock();
    }
    yield* vacuumSteps(this.#handle);
  }

  #unlock(): void {
    this.#handle.rollback();
    this.#handle.beginImmediate(this.#engine.options.lockTimeout);
    this.#lock.release();
    this.#handle.commit();
  }

  #begin(): void {
    const packed = Number(readMeta(this.#handle, 'packed') ?? 0);
    if (this.#packSeq > packed) writeMeta(this.#handle, 'packed', this.#packSeq);
  }

  *#trim(): Generator<Progress, void, void> {
    const first = this.#sql.firstFormer() ?? 0;
    for (let done = false; !done;) {
      yield* this.#write('history', () => {
        const end = performance.now() + STEP_MS;
        do {
          const rows = this.#sql.oldest(this.#past);
          for (const [, size] of rows) {
            this.#counts.revisions++;
            this.#counts.bytes += size;
          }
          const last = rows.at(-1)?.[0];
          if (last !== undefined) this.#sql.dropFormer(last);
          done = last === undefined;
        } while (!done && performance.now() < end);
        return { done: (this.#sql.firstFormer() ?? this.#past) - first, total: this.#past - first };
      });
    }
  }

  /** The marks; `undefined` when nothing is to be collected. Without a root everything would be garbage. */
  *#mark(): Generator<Progress, GarbageMarks | undefined, void> {
    if (!this.#options.gc || !this.#sql.exists(ROOT_OID)) return undefined;
    const marks = new GarbageMarks(
      this.#engine,
      this.#handle,
      this.#packSeq,
      this.#past,
      this.#options.roots,
    );
    for (const progress of marks.run(this.#sql.objectCount())) {
      if (this.#lock.isDue && !this.#options.dryRun) yield* this.#write('mark', () => undefined);
      yield progress;
    }
    return marks;
  }

  *#sweepObjects(marks: GarbageMarks | undefined, doomed: Doomed): Generator<Progress, void, void> {
    const total = this.#sql.objectCount();
    let done = 0;
    let isGarbage = false;
    marks?.watch();
    for (let after = -(2n ** 63n); ;) {
      const rows = this.#sql.scan(after);
      if (rows.length === 0) break;
      const deleted: Oid[] = [];
      const garbage: Oid[] = [];
      for (const { oid, seq, size } of rows) {
        if (seq > this.#packSeq) continue;
        if (size === 0) deleted.push(oid);
        else if (marks !== undefined && !marks.has(oid)) garbage.push(oid);
        else this.#used.add(seq as Oid);
      }
      after = nextKey<bigint>(this.#engine.path, after, rows.at(-1)!.key);
      done += rows.length;
      isGarbage ||= garbage.length > 0;
      if (deleted.length + garbage.length > 0) {
        yield* this.#write('objects', () => {
          for (const oid of garbage) doomed.add(oid);
          this.#removeDeleted(deleted);
        });
      }
      yield { phase: 'objects', done: Math.min(done, total), total };
      // Rows beyond the last full chunk are newer than this pack; with busy writers they would never end.
      if (rows.length < SCAN_ROWS) break;
    }
    if (marks === undefined || !isGarbage) return;
    // Before the lock is taken: what is left for the marks to catch up with under it is little then.
    while (marks.advance()) yield { phase: 'objects', done: total, total };
    yield* this.#write('objects', () => this.#doom(marks, doomed));
    yield* this.#removeDoomed(doomed);
  }

  /** Under the write lock: what was marked since it was listed stays, the others are doomed. */
  #doom(marks: GarbageMarks, doomed: Doomed): void {
    marks.catchUp();
    for (const oid of marks.takeFresh()) {
      doomed.drop(oid);
      const row = this.#sql.look(oid);
      if (row !== undefined && row.seq <= this.#packSeq) this.#used.add(row.seq as Oid);
    }
    doomed.decide();
  }

  *#removeDoomed(doomed: Doomed): Generator<Progress, void, void> {
    for (let isDone = false; !isDone;) {
      yield* this.#write('objects', () => {
        const end = performance.now() + STEP_MS;
        let removed = 0;
        do {
          const oids = doomed.first();
          isDone = oids.length === 0;
          for (const oid of oids) {
            removed += this.#remove(oid);
            doomed.drop(oid);
          }
        } while (!isDone && performance.now() < end);
        if (removed > 0) this.#sql.fewerObjects(removed);
        if (isDone) doomed.finish();
      });
    }
  }

  #removeDeleted(oids: readonly Oid[]): void {
    let removed = 0;
    for (const oid of oids) {
      const row = this.#sql.look(oid);
      // Meanwhile there may be a new object of this oid.
      if (row?.size === 0 && row.seq <= this.#packSeq) removed += this.#remove(oid);
    }
    if (removed > 0) this.#sql.fewerObjects(removed);
  }

  /** Removes the current revision of an object; the number of objects that were there. */
  #remove(oid: Oid): number {
    const row = this.#sql.look(oid);
    if (row === undefined) return 0;
    this.#sql.drop(oid);
    this.#counts.objects++;
    this.#counts.revisions++;
    this.#counts.bytes += row.size;
    return 1;
  }

  /** What the objects' scan did not see is in the history by now: it is looked at last. */
  *#sweepTransactions(): Generator<Progress, void, void> {
    for (let after = this.#past; ;) {
      const rows = this.#sql.formerAfter(after);
      if (rows.length === 0) break;
      for (const [, seq] of rows) if (seq <= this.#packSeq) this.#used.add(seq as Oid);
      after = nextKey(this.#engine.path, after, rows.at(-1)![0]);
      yield { phase: 'transactions', done: 0, total: undefined };
      if (rows.length < SCAN_ROWS) break;
    }
    const newest = this.#sql.newest();
    for (let after = 0; ;) {
      const seqs = this.#sql.transactionsAfter(after, this.#packSeq);
      if (seqs.length === 0) return;
      after = nextKey(this.#engine.path, after, seqs.at(-1)!);
      const unused = seqs.filter((seq) => seq !== newest && !this.#used.has(seq as Oid));
      if (unused.length > 0) yield* this.#write('transactions', () => this.#sql.dropTransactions(unused));
      yield { phase: 'transactions', done: after, total: this.#packSeq };
    }
  }

  *#count(): Generator<Progress, void, void> {
    for (let after = 0; ;) {
      const rows = this.#sql.formerSizes(after, this.#past);
      if (rows.length === 0) break;
      for (const [, size] of rows) {
        this.#counts.revisions++;
        this.#counts.bytes += size;
      }
      after = nextKey(this.#engine.path, after, rows.at(-1)![0]);
      yield { phase: 'history', done: after, total: this.#past };
    }
    const marks = yield* this.#mark();
    const total = this.#sql.objectCount();
    let done = 0;
    for (let after = -(2n ** 63n); ;) {
      const rows = this.#sql.scan(after);
      if (rows.length === 0) return;
      for (const { oid, seq, size } of rows) {
        if (seq > this.#packSeq || !(size === 0 || (marks !== undefined && !marks.has(oid)))) continue;
        this.#counts.objects++;
        this.#counts.revisions++;
        this.#counts.bytes += size;
      }
      after = nextKey<bigint>(this.#engine.path, after, rows.at(-1)!.key);
      done += rows.length;
      yield { phase: 'objects', done: Math.min(done, total), total };
    }
  }

  /** Does `work` in a write transaction of its own, when the others let it. */
  *#write(
    phase: string,
    work: () => { done: number; total: number } | undefined | void,
  ): Generator<Progress, void, void> {
    const timeout = this.#engine.options.lockTimeout;
    const end = performance.now() + timeout;
    while (!this.#handle.tryBeginImmediate()) {
      if (performance.now() > end) throw this.#handle.lockedOut(timeout);
      pause();
      yield { phase, done: 0, total: undefined };
    }
    let progress;
    try {
      if (phase !== 'begin') this.#lock.keep();
      progress = work();
      this.#handle.commit();
    } catch (error) {
      this.#handle.rollback();
      throw error;
    }
    yield { phase, done: progress?.done ?? 0, total: progress?.total };
  }

  *#guarded(steps: Generator<Progress, void, void>): Generator<Progress, void, void> {
    try {
      yield* steps;
    } catch (error) {
      const failed = this.#handle.failed(error);
      throw failed;
    }
  }
}

/** Pages given back to the file system in one step. */
const VACUUM_PAGES = 200;

/** Gives free pages back to the file system. Stops when others need the file. */
export function* vacuumSteps(handle: Handle): Generator<Progress, void, void> {
  const total = Number(handle.pragma('freelist_count'));
  for (let left = total; left > 0;) {
    try {
      handle.exec(`PRAGMA incremental_vacuum(${VACUUM_PAGES})`);
    } catch (error) {
      if (!(error instanceof LockError)) throw error;
      pause();
    }
    const now = Number(handle.pragma('freelist_count'));
    if (now >= left) return;
    left = now;
    yield { phase: 'vacuum', done: total - left, total };
  }
}
