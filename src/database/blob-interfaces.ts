/**
 * The seam between a connection and the blobs it holds. A blob keeps its content in a file beside the database, so it has
 * states that a record does not show: a working file that is not committed, and files that the program holds open.
 *
 * A blob finds its connection through its jar, where the connection announced a {@link BlobHost} (`setBlobHost`).
 *
 * | event | connection does |
 * |---|---|
 * | commit, for each changed blob | `source()`; a path goes to `storeBlob` as `{ path, consume: true }`, `undefined` means: nothing new, store the record only |
 * | `tpcFinish` has returned | `committed()` for each stored blob |
 * | `tpcAbort`, `abort`, invalidation | `reset()`; a blob that was never committed keeps its content |
 * | savepoint | `savepoint()`; the snapshot is kept with the savepoint |
 * | rollback to a savepoint | `rollback(snapshot)`, or `reset()` for a blob that was unchanged then |
 * | the savepoint ends (commit, abort) | `snapshot.release()` |
 *
 * The semantics are those of `ZODB/src/ZODB/blob.py`.
 */
import type { Oid, Tid } from '../ids';
import type { BlobReader } from '../storage/index';

/** What a connection offers to its blobs. */
export interface BlobHost {
  /** A blob is about to be written to: it takes part in the transaction from now on. */
  blobChanged(oid: Oid, work: BlobWork): void;
  /** The work of a blob that was written to in this transaction, by an object that may be gone from memory. */
  changedBlob(oid: Oid): BlobWork | undefined;
  /** The content of a committed revision. Throws `POSKeyError` when the storage lost it. The caller closes it. */
  openBlob(oid: Oid, serial: Tid): BlobReader;
  /** The file with that content, where the storage keeps blobs as files; else `undefined`. */
  blobPath(oid: Oid, serial: Tid): string | undefined;
  /** The directory for working files, where moving a file into the storage is cheap. Throws `UnsupportedError`. */
  blobDirectory(): string;
}

/** What a connection does with one blob. */
export interface BlobWork {
  /**
   * The working file to be committed; a blob that was never written gets an empty one. `undefined` when the committed
   * content is still current. Throws `BlobError` while the blob is open for writing.
   */
  source(): string | undefined;
  /** The storage has taken over the working file. */
  committed(): void;
  /** Forgets the working file of a blob that was committed before, and closes what is open on it. */
  reset(): void;
  /** Keeps the content of now, to return to it. Throws `BlobError` while the blob is open for writing. */
  savepoint(): BlobSnapshot;
  /** Returns to a snapshot; it stays usable. */
  rollback(snapshot: BlobSnapshot): void;
}

/** The uncommitted content of a blob at a savepoint. */
export interface BlobSnapshot {
  /** The file that holds it; `undefined` when the blob had no uncommitted content. */
  readonly path: string | undefined;
  /** Removes the file. */
  release(): void;
}
