import type { Oid } from '../../ids';
import { oidOfKey } from './current-scan';
import type { Statement } from './driver';
import { oidKey, type Handle } from './handle';
import { HEADER } from './record-format';

/** An object as the sweep sees it; `size` is that of its data, 0 for a deletion. */
export interface SweptRow {
  readonly key: bigint;
  readonly oid: Oid;
  readonly seq: number;
  readonly size: number;
}

/** Rows looked at in one go. */
export const SCAN_ROWS = 400;
/** Former revisions removed in one go. */
const TRIM = 100;

/** The statements of a pack. */
export class PackStatements {
  readonly #past: Statement<number>;
  readonly #newest: Statement<number>;
  readonly #objects: Statement<number>;
  readonly #firstFormer: Statement<number>;
  readonly #oldest: Statement<[number, number]>;
  readonly #formerSizes: Statement<[number, number]>;
  readonly #formerAfter: Statement<[number, number]>;
  readonly #dropFormer: Statement;
  readonly #scan: Statement<[bigint, bigint, bigint]>;
  readonly #look: Statement<{ seq: number; size: number }>;
  readonly #drop: Statement;
  readonly #fewer: Statement;
  readonly #transactionsAfter: Statement<number>;
  readonly #dropTransaction: Statement;

  constructor(handle: Handle) {
    const size = `length(state) - ${HEADER}`;
    this.#past = handle.prepare<number>('SELECT past FROM txn WHERE seq = ?').pluck();
    this.#newest = handle.prepare<number>('SELECT max(seq) FROM txn').pluck();
    this.#objects = handle.prepare<number>('SELECT objects FROM txn ORDER BY seq DESC LIMIT 1').pluck();
    this.#firstFormer = handle.prepare<number>('SELECT min(id) FROM history').pluck();
    this.#oldest = handle
      .prepare<[number, number]>(`SELECT id, ${size} FROM history WHERE id <= ? ORDER BY id LIMIT ${TRIM}`)
      .raw();
    this.#formerSizes = handle
      .prepare<[number, number]>(
        `SELECT id, ${size} FROM history WHERE id > ? AND id <= ? ORDER BY id LIMIT ${SCAN_ROWS}`,
      )
      .raw();
    this.#formerAfter = handle
      .prepare<[number, number]>(`SELECT id, seq FROM history WHERE id > ? ORDER BY id LIMIT ${SCAN_ROWS}`)
      .raw();
    this.#dropFormer = handle.prepare('DELETE FROM history WHERE id <= ?');
    this.#scan = handle
      .prepare<[bigint, bigint, bigint]>(
        `SELECT oid, seq, ${size} FROM object WHERE oid > ? ORDER BY oid LIMIT ${SCAN_ROWS}`,
      )
      .raw()
      .safeIntegers();
    this.#look = handle.prepare(`SELECT seq, ${size} AS size FROM object WHERE oid = ?`);
    this.#drop = handle.prepare('DELETE FROM object WHERE oid = ?');
    this.#fewer = handle.prepare(
      'UPDATE txn SET objects = objects - ? WHERE seq = (SELECT max(seq) FROM txn)',
    );
    this.#transactionsAfter = handle
      .prepare<number>(`SELECT seq FROM txn WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ${SCAN_ROWS}`)
      .pluck();
    this.#dropTransaction = handle.prepare('DELETE FROM txn WHERE seq = ?');
  }

  /** Highest history id after a commit. */
  pastOf(seq: number): number {
    return this.#past.get(seq) ?? 0;
  }

  newest(): number {
    return this.#newest.get() ?? 0;
  }

  objectCount(): number {
    return this.#objects.get() ?? 0;
  }

  firstFormer(): number | undefined {
    return this.#firstFormer.get() ?? undefined;
  }

  /** Ids and sizes of the oldest former revisions, up to `past`. */
  oldest(past: number): [number, number][] {
    return this.#oldest.all(past);
  }

  formerSizes(after: number, past: number): [number, number][] {
    return this.#formerSizes.all(after, past);
  }

  /** Ids and seqs. */
  formerAfter(id: number): [number, number][] {
    return this.#formerAfter.all(id);
  }

  dropFormer(upTo: number): void {
    this.#dropFormer.run(upTo);
  }

  scan(after: bigint): SweptRow[] {
    return this.#scan.all(after).map(([key, seq, size]) => ({
      key,
      oid: oidOfKey(key),
      seq: Number(seq),
      size: Number(size),
    }));
  }

  look(oid: Oid): { seq: number; size: number } | undefined {
    return this.#look.get(oidKey(oid));
  }

  exists(oid: Oid): boolean {
    return (this.look(oid)?.size ?? 0) > 0;
  }

  drop(oid: Oid): void {
    this.#drop.run(oidKey(oid));
  }

  fewerObjects(count: number): void {
    this.#fewer.run(count);
  }

  transactionsAfter(seq: number, upTo: number): number[] {
    return this.#transactionsAfter.all(seq, upTo);
  }

  dropTransactions(seqs: readonly number[]): void {
    for (const seq of seqs) this.#dropTransaction.run(seq);
  }
}
