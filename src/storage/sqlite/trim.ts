import { tidFromTime } from '../../ids';
import type { Statement } from './driver';
import type { Engine } from './engine';
import { readMeta, writeMeta } from './schema';

/** Commits between two looks for revisions that are too old. */
const COMMITS_PER_LOOK = 32;
/** Revisions removed at one look. */
const BATCH = 200;
const DAY_MS = 86_400_000;

/** With `history: { days }`, removes what is older, a little after every few commits. */
export class HistoryTrim {
  readonly #engine: Engine;
  readonly #first: Statement<number>;
  readonly #past: Statement<number>;
  readonly #drop: Statement;
  #commitsLeft = 1;

  constructor(engine: Engine) {
    this.#engine = engine;
    const { writer } = engine;
    this.#first = writer.prepare<number>('SELECT min(id) FROM history').pluck();
    this.#past = writer.prepare<number>('SELECT past FROM txn WHERE seq = ?').pluck();
    this.#drop = writer.prepare('DELETE FROM history WHERE id <= ?');
  }

  /** Called after each commit. */
  afterCommit(): void {
    if (--this.#commitsLeft > 0 || typeof this.#engine.history === 'string') return;
    this.#commitsLeft = COMMITS_PER_LOOK;
    this.#trim(this.#engine.history.days);
  }

  #trim(days: number): void {
    const { writer, tids, log } = this.#engine;
    const seq = tids.seqAtMost(tidFromTime(Date.now() - days * DAY_MS), log.latest);
    const past = (seq > 0 && this.#past.get(seq)) || 0;
    const first = this.#first.get();
    if (first === undefined || first === null || first > past || !writer.tryBeginImmediate()) return;
    try {
      if (seq > Number(readMeta(writer, 'packed') ?? 0)) writeMeta(writer, 'packed', seq);
      this.#drop.run(Math.min(past, first + BATCH));
      writer.commit();
    } catch (error) {
      writer.rollback();
      throw writer.failed(error);
    }
  }
}
