import type { Oid } from '../../ids';
import { sealedPrior, sealedSeq } from './record-format';
import type { Revisions } from './revisions';

/** How many places in the history are remembered. */
const MAX_PLACES = 1_000_000;

/**
 * Revisions for somebody who asks for those of an object in the order in which they were written, while each row leads to
 * the one before it: the way back from the current revision is gone once, and remembered.
 */
export class RevisionTrails {
  readonly #revisions: Revisions;
  /** Places of the revisions that will be asked for, the next one last. */
  readonly #trails = new Map<Oid, number[]>();
  #places = 0;

  constructor(revisions: Revisions) {
    this.#revisions = revisions;
  }

  /** As {@link Revisions.exactRow}. */
  exactRow(oid: Oid, seq: number): Buffer | undefined {
    const trail = this.#trails.get(oid);
    if (trail !== undefined) {
      const row = this.#revisions.rowAt(oid, trail.at(-1)!, Infinity);
      if (row !== undefined && sealedSeq(row) === seq) {
        trail.pop();
        this.#places--;
        if (trail.length === 0) this.#trails.delete(oid);
        return row;
      }
    }
    return this.#walk(oid, seq);
  }

  #walk(oid: Oid, seq: number): Buffer | undefined {
    const trail: number[] = [];
    let row = this.#revisions.currentRow(oid);
    while (row !== undefined && sealedSeq(row) > seq) {
      trail.push(sealedPrior(row));
      row = this.#revisions.priorRow(oid, row);
    }
    if (row === undefined || sealedSeq(row) < seq) return undefined;
    // Its own place is the last.
    trail.pop();
    if (trail.length > 0) this.#keep(oid, trail);
    return row;
  }

  #keep(oid: Oid, trail: number[]): void {
    if (this.#places + trail.length > MAX_PLACES) {
      this.#trails.clear();
      this.#places = 0;
    }
    this.#places += trail.length - (this.#trails.get(oid)?.length ?? 0);
    this.#trails.set(oid, trail);
  }
}
