import type { Oid, Tid } from '../../ids';
import type { PackReport, StorageHost } from '../interfaces';
import type { Progress } from '../steps';
import type { Revision, RevisionTable } from './revisions';

const STEP = 500;

/** What a pack keeps and drops, collected step by step. */
export class MemoryPack {
  readonly #table: RevisionTable;
  readonly #host: StorageHost | undefined;
  readonly #packTid: Tid;
  #revisions = 0;
  #objects = 0;
  #blobs = 0;
  #bytes = 0;

  /** @param packTid revisions superseded at or before it are dropped */
  constructor(table: RevisionTable, host: StorageHost | undefined, packTid: Tid) {
    this.#table = table;
    this.#host = host;
    this.#packTid = packTid;
  }

  get report(): PackReport {
    return { revisions: this.#revisions, objects: this.#objects, blobs: this.#blobs, bytes: this.#bytes };
  }

  /**
   * Oids reachable from the root through every revision that is kept. Objects stored after the pack time are kept, and
   * so is what they refer to. Commits made while this runs are followed too: the caller repeats it for them.
   */
  *mark(root: Oid, marked: Set<Oid>): Generator<Progress, void, void> {
    const stack: Oid[] = [root];
    for (const [oid, revisions] of this.#table.objects) {
      if (revisions.at(-1)!.serial > this.#packTid) stack.push(oid);
    }
    let count = 0;
    for (let oid = stack.pop(); oid !== undefined; oid = stack.pop()) {
      if (marked.has(oid)) continue;
      marked.add(oid);
      for (const revision of this.#kept(oid)) {
        if (revision.content && this.#host) stack.push(...this.#host.references(revision.content));
      }
      if (++count % STEP === 0) yield { phase: 'mark', done: count, total: this.#table.objects.size };
    }
  }

  /** Drops, or with `dryRun` counts, what is not kept. `marked` is `undefined` without garbage collection. */
  *sweep(marked: (() => Set<Oid>) | undefined, dryRun: boolean): Generator<Progress, void, void> {
    const oids = [...this.#table.oids()];
    for (let place = 0; place < oids.length; place++) {
      const oid = oids[place]!;
      const revisions = this.#table.objects.get(oid);
      if (revisions !== undefined) this.#sweepOne(oid, revisions, marked, dryRun);
      if (place % STEP === STEP - 1) yield { phase: 'sweep', done: place, total: oids.length };
    }
  }

  #sweepOne(oid: Oid, revisions: Revision[], marked: (() => Set<Oid>) | undefined, dryRun: boolean): void {
    const newest = revisions.at(-1)!;
    const deleted = newest.content === null && newest.serial <= this.#packTid;
    const garbage = marked !== undefined && newest.serial <= this.#packTid && !marked().has(oid);
    const kept = deleted || garbage ? [] : this.#kept(oid);
    if (kept.length === revisions.length) return;
    for (const revision of revisions) if (!kept.includes(revision)) this.#count(revision);
    if (kept.length === 0) this.#objects++;
    if (dryRun) return;
    this.#table.keep(oid, kept);
  }

  #kept(oid: Oid): Revision[] {
    const revisions = this.#table.objects.get(oid) ?? [];
    return revisions.filter((_, place) => {
      const next = revisions[place + 1];
      return next === undefined || next.serial > this.#packTid;
    });
  }

  #count(revision: Revision): void {
    this.#revisions++;
    this.#bytes += revision.size;
    if (revision.blob) this.#blobs++;
  }
}
