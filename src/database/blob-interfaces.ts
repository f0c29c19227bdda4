/**
 * The seam between a connection and the blobs it holds. A blob keeps its content in a file beside the database, so it has
 * states that a record does not show: a working file that is not committed, and files that the program holds open.
 *
 * When the connection calls what:
 *
 * | event | connection does |
 * |---|---|
 * | a blob gets an oid, or is loaded | `blobWork(blob).attach(host)` |
 * | commit, for each changed blob | `source()`; a path goes to `storeBlob` as `{ path, consume: true }`, `undefined` means: nothing new, store nothing |
 * | `tpcFinish` has returned | `committed()` for each stored blob |
 * | `tpcAbort`, `abort`, invalidation | `reset()` |
 * | a new blob loses its oid (abort of its creation) | `detach()` instead; its working file stays with it |
 * | savepoint | `savepoint()`; the snapshot is kept with the savepoint |
 * | rollback to a savepoint | `rollback(snapshot)`, or `reset()` for a blob that was unchanged then |
 * | the savepoint ends (commit, abort) | `snapshot.release()` |
 *
 * The semantics are those of `ZODB/src/ZODB/blob.py`.
 */

import type { BlobReader } from '../storage/index';

/** What a connection offers to its blobs. */
export interface BlobHost {
  /** Marks the blob as changed and joins the transaction. Throws when the connection is closed or read-only. */
  blobChanged(blob: object): void;
  /**
   * The content that the blob has in the connection's snapshot; `undefined` for a blob that was never committed. Throws
   * `POSKeyError` when the storage lost it. The caller closes it.
   */
  openCommittedBlob(blob: object): BlobReader | undefined;
  /** The file with that content, where the storage keeps blobs as files; else `undefined`. */
  committedBlobPath(blob: object): string | undefined;
  /** The directory for working files, where moving a file into the storage is cheap. Throws `UnsupportedError`. */
  blobDirectory(): string;
}

/** What a connection does with one blob. */
export interface BlobWork {
  attach(host: BlobHost): void;
  detach(): void;
  /**
   * The working file to be committed; a blob that was never written gets an empty one. `undefined` when the committed
   * content is still current. Throws `BlobError` while the blob is open for writing.
   */
  source(): string | undefined;
  /** The storage has taken over the working file. */
  committed(): void;
  /** Forgets the working file and closes what is open on it. */
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
