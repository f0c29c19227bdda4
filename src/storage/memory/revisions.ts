import { POSKeyError, ReadConflictError } from '../../errors';
import { ZERO_TID, type Oid, type Tid } from '../../ids';
import type { BoundedRecord, LoadedRecord } from '../interfaces';

/** One revision of an object in memory; `data` is `null` where the object was deleted. */
export class Revision implements LoadedRecord {
  readonly serial: Tid;
  readonly content: Uint8Array | null;
  /** The earlier transaction whose data this is. */
  readonly dataTid: Tid | undefined;
  readonly blob: Uint8Array | undefined;

  constructor(serial: Tid, content: Uint8Array | null, dataTid?: Tid, blob?: Uint8Array) {
    this.serial = serial;
    this.content = content;
    this.dataTid = dataTid;
    this.blob = blob;
  }

  get data(): Uint8Array {
    return this.content!;
  }

  /** The transaction that this content was made in. */
  get origin(): Tid {
    return this.dataTid ?? this.serial;
  }

  get size(): number {
    return (this.content?.length ?? 0) + (this.blob?.length ?? 0);
  }
}

/** A revision and when it ended. */
class Bounded implements BoundedRecord {
  readonly data: Uint8Array;
  readonly serial: Tid;
  readonly end: Tid | undefined;

  constructor(revision: Revision, end: Tid | undefined) {
    this.data = revision.data;
    this.serial = revision.serial;
    this.end = end;
  }
}

/** All revisions of all objects, oldest first. */
export class RevisionTable {
  readonly objects = new Map<Oid, Revision[]>();
  #size = 0;
  /** What was superseded at this tid or before may be gone. */
  packedTo = ZERO_TID;
  #sorted: Oid[] | undefined;

  /** Bytes of all revisions: counted as they come and go, since a ZEO server asks after each commit. */
  get size(): number {
    return this.#size;
  }

  /** The newest revision, or `undefined` when the oid was never stored. It may be a deletion. */
  newest(oid: Oid): Revision | undefined {
    return this.objects.get(oid)?.at(-1);
  }

  /** The newest revision that is no deletion; `POSKeyError` otherwise. */
  current(oid: Oid): Revision {
    const newest = this.newest(oid);
    if (newest === undefined || newest.content === null) throw new POSKeyError(oid);
    return newest;
  }

  /** As `Storage.loadBefore`. */
  before(oid: Oid, tid: Tid): BoundedRecord | undefined {
    const revisions = this.objects.get(oid);
    if (revisions === undefined) throw new POSKeyError(oid);
    const place = this.#placeBefore(revisions, tid);
    if (place < 0) {
      if (tid > this.packedTo) return undefined;
      throw new ReadConflictError(
        'The revision that this snapshot needs was packed. Run the transaction again.',
        {
          oid,
        },
      );
    }
    const found = revisions[place]!;
    if (found.content === null) throw new POSKeyError(oid);
    return new Bounded(found, revisions[place + 1]?.serial);
  }

  /** Exactly that revision, deletions included. */
  exactly(oid: Oid, tid: Tid): Revision | undefined {
    return this.objects.get(oid)?.findLast((revision) => revision.serial === tid);
  }

  /** The revision just before the one of `tid`. */
  predecessor(oid: Oid, tid: Tid): Revision | undefined {
    return this.objects.get(oid)?.findLast((revision) => revision.serial < tid);
  }

  /** Adds a newest revision; a second one of the same transaction replaces the first. */
  add(oid: Oid, revision: Revision): void {
    const revisions = this.objects.get(oid);
    this.#size += revision.size;
    if (revisions === undefined) {
      this.objects.set(oid, [revision]);
      this.#sorted = undefined;
      return;
    }
    if (revisions.at(-1)!.serial === revision.serial) this.#size -= revisions.pop()!.size;
    revisions.push(revision);
  }

  /** Keeps these of an object's revisions; none: the object is gone. */
  keep(oid: Oid, kept: Revision[]): void {
    for (const revision of this.objects.get(oid) ?? []) this.#size -= revision.size;
    for (const revision of kept) this.#size += revision.size;
    if (kept.length > 0) {
      this.objects.set(oid, kept);
    } else {
      this.objects.delete(oid);
      this.#sorted = undefined;
    }
  }

  /** All oids, ascending. Not to be changed. */
  oids(): readonly Oid[] {
    return (this.#sorted ??= [...this.objects.keys()].sort((a, b) => a - b));
  }

  #placeBefore(revisions: Revision[], tid: Tid): number {
    let place = revisions.length - 1;
    while (place >= 0 && revisions[place]!.serial >= tid) place--;
    return place;
  }
}
