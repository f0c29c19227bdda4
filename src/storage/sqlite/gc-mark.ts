import { StorageError } from '../../errors';
import { formatOid, ROOT_OID, type Oid } from '../../ids';
import type { Progress } from '../steps';
import { oidOfKey } from './current-scan';
import type { Statement } from './driver';
import type { Engine } from './engine';
import { oidKey, type Handle } from './handle';
import { OidSet } from './oid-set';
import { HEADER, openRecord } from './record-format';
import { findReferences, unpackReferences } from './references';
import { prepareTransactions, rowChanges, type TransactionRow } from './transaction-row';
import { nextKey } from './walk';

/** How long a step may take, in milliseconds. */
export const STEP_MS = 4;

interface MarkedRow {
  readonly seq: number;
  readonly refs: Buffer | null;
  readonly state: Buffer;
}

/**
 * Finds what a pack must keep: whatever can be reached from the root, from given roots, and from every revision that is
 * retained. Others commit meanwhile; {@link catchUp} follows what they wrote, so that under the write lock the marks are
 * complete.
 */
export class GarbageMarks {
  readonly #engine: Engine;
  readonly #marked = new OidSet();
  #stack: Oid[] = [];
  /** Marked since {@link watch} was called. */
  #fresh: Oid[] | undefined;
  /** Commits and history rows up to here have been followed. */
  #seq: number;
  #past: number;
  readonly #row: Statement<MarkedRow>;
  readonly #changes: Statement<TransactionRow>;
  readonly #former: Statement<[bigint, bigint, bigint, Buffer | null, Buffer]>;

  /**
   * @param handle reads, and holds the write lock when {@link catchUp} is called
   * @param packSeq what is current at this commit, and what came later, is retained
   * @param packPast highest id of the history rows that go
   */
  constructor(engine: Engine, handle: Handle, packSeq: number, packPast: number, roots: readonly Oid[]) {
    this.#engine = engine;
    this.#seq = packSeq;
    this.#past = packPast;
    this.#row = handle.prepare('SELECT seq, refs, state FROM object WHERE oid = ?');
    this.#changes = prepareTransactions(handle, 'WHERE seq > ? ORDER BY seq LIMIT 100');
    this.#former = handle
      .prepare<[bigint, bigint, bigint, Buffer | null, Buffer]>(
        'SELECT id, oid, seq, refs, state FROM history WHERE id > ? ORDER BY id LIMIT 200',
      )
      .raw()
      .safeIntegers();
    for (const root of [ROOT_OID, ...roots]) this.#push(root);
  }

  has(oid: Oid): boolean {
    return this.#marked.has(oid);
  }

  /** From now on it is remembered what is marked. */
  watch(): void {
    this.#fresh = [];
  }

  /** What was marked since {@link watch} was called. */
  takeFresh(): readonly Oid[] {
    const fresh = this.#fresh ?? [];
    this.#fresh = [];
    return fresh;
  }

  get count(): number {
    return this.#marked.size;
  }

  /** Marks everything, in steps. */
  *run(total: number): Generator<Progress, void, void> {
    while (this.advance()) yield { phase: 'mark', done: Math.min(this.count, total), total };
  }

  /** Marks for the time of a step; false when nothing is left, until others commit. */
  advance(): boolean {
    const end = performance.now() + STEP_MS;
    do {
      if (!this.#follow(8) && !this.#newlyCommitted(end)) return false;
    } while (performance.now() < end);
    return true;
  }

  /** Under the write lock: follows what was committed since. Little, right after {@link advance} found nothing left. */
  catchUp(): void {
    while (this.#follow(Number.MAX_SAFE_INTEGER) || this.#newlyCommitted(Infinity));
  }

  /** Follows up to `count` marked objects; false when there was none. */
  #follow(count: number): boolean {
    const any = this.#stack.length > 0;
    for (let oid = this.#stack.pop(); oid !== undefined; oid = this.#stack.pop()) {
      const row = this.#row.get(oidKey(oid));
      if (row !== undefined) this.#pushAll(oid, row.seq, row.refs, row.state);
      if (--count <= 0) break;
    }
    return any;
  }

  /**
   * Takes up a part of what was committed or superseded after the last time, until about `end`; false when there was
   * nothing. Row by row: a few revisions of a large object are as much work as thousands of small ones.
   */
  #newlyCommitted(end: number): boolean {
    let any = false;
    for (const row of this.#changes.iterate(this.#seq)) {
      any = true;
      for (const oid of rowChanges(row)) {
        // Marked or not: its references may be new.
        if (this.#marked.add(oid)) this.#fresh?.push(oid);
        this.#stack.push(oid);
      }
      this.#seq = nextKey(this.#engine.path, this.#seq, Number(row.seq));
      if (performance.now() >= end) return true;
    }
    for (const [id, key, seq, refs, state] of this.#former.iterate(this.#past)) {
      any = true;
      this.#pushAll(oidOfKey(key), Number(seq), refs, state);
      this.#past = nextKey(this.#engine.path, this.#past, Number(id));
      if (performance.now() >= end) return true;
    }
    return any;
  }

  #pushAll(oid: Oid, seq: number, refs: Buffer | null, state: Buffer): void {
    // A shifted row could hide its references: whoever is about to delete makes sure that the row is whole.
    const data = openRecord(oid, state);
    if (state.length === HEADER) return;
    const found = unpackReferences(oid, seq, refs) ?? findReferences(data, this.#engine.host);
    if (found === undefined) {
      throw new StorageError(
        `Object ${formatOid(oid)} in ${this.#engine.path} can't be read, so that what it refers to is not known. ` +
          'Nothing was removed. Pack with { gc: false }, or open the database as the program does that wrote it.',
        { code: 'UNKNOWN_REFERENCES' },
      );
    }
    for (const target of found) this.#push(target);
  }

  #push(oid: Oid): void {
    if (!this.#marked.add(oid)) return;
    this.#stack.push(oid);
    this.#fresh?.push(oid);
  }
}
