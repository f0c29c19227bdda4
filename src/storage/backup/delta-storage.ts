import { InvalidArgumentError, ReadOnlyError } from '../../errors';
import type { Oid, Tid } from '../../ids';
import { supportsManifest } from '../capabilities';
import { FileCommit } from '../file/commit';
import type { BlobDirectory } from '../file/blob-directory';
import { isBlob } from '../file/blob-record';
import { DataFile } from '../file/data-file';
import { nodeFileSystem, type FileSystem } from '../file/file-system';
import { Status } from '../file/format';
import type { SavedIndex } from '../file/index-file';
import type { OidIndex } from '../file/oid-index';
import { PendingTransaction } from '../file/pending';
import type { CopyTarget } from '../copy';
import type { BlobSource } from '../interfaces';
import type { TransactionMetaData } from '../transaction-meta';

/**
 * Writes the transactions by which a `Data.fs` grows into a file of their own, knowing of what comes before them only the index. A target
 * of `copyTransactions`.
 */
export class DeltaStorage implements CopyTarget {
  readonly name: string;
  readonly supports = supportsManifest({ restore: true, blobs: true });
  readonly index: OidIndex;
  readonly #blobs: BlobDirectory;
  readonly #system: FileSystem;
  readonly #fd: number;
  readonly #file: DataFile;
  #commit: FileCommit | undefined;
  #end: number;

  constructor(path: string, before: SavedIndex, blobs: BlobDirectory) {
    this.name = path;
    this.index = before.index;
    this.#end = before.position;
    this.#blobs = blobs;
    // Positions are those of the whole file; this one begins where the part before it ends.
    const { position: start } = before;
    this.#system = {
      ...nodeFileSystem,
      write: (fd, source, offset, length, position) =>
        nodeFileSystem.write(fd, source, offset, length, position - start),
    };
    this.#fd = nodeFileSystem.open(path, 'wx');
    this.#file = new DataFile(this.#system, path, this.#fd, this.index, this.#end);
  }

  /** Where the whole file ends now. */
  get end(): number {
    return this.#end;
  }

  tpcBegin(txn: TransactionMetaData, tid?: Tid, status?: string): void {
    if (tid === undefined) throw new InvalidArgumentError('Copied transactions keep their tids.');
    const pending = new PendingTransaction(
      { system: this.#system, fd: this.#fd, base: this.#end, withChecksums: false },
      txn,
      tid,
      status === 'p' ? Status.PACKED : Status.COMPLETE,
      { user: txn.userBytes, description: txn.descriptionBytes, extension: txn.extensionBytes },
    );
    this.#commit = new FileCommit(pending, {
      file: this.#file,
      host: undefined,
      quota: Infinity,
      blobs: () => this.#blobs,
      isBlob,
    });
  }

  restore(oid: Oid, data: Uint8Array | null): void {
    // Earlier records are not at hand to be pointed to.
    this.#begun().restore(oid, data, undefined, false);
  }

  restoreBlob(oid: Oid, data: Uint8Array, source: BlobSource): void {
    this.#begun().restoreBlob(oid, data, source);
  }

  blobDirectory(): string {
    return this.#blobs.temporary();
  }

  tpcVote(): readonly Oid[] {
    this.#begun().pending.vote();
    return [];
  }

  tpcFinish(): Tid {
    const commit = this.#begun();
    const { pending } = commit;
    pending.markComplete();
    for (const [oid, { position }] of pending.records) this.index.set(oid, position);
    this.#end = pending.end;
    commit.finished();
    this.#commit = undefined;
    return pending.tid;
  }

  tpcAbort(): void {
    for (const step of this.#commit?.pending.undoOnAbort ?? []) step();
    this.#commit = undefined;
  }

  /** Waits until everything is on disk. */
  sync(): void {
    nodeFileSystem.sync(this.#fd);
  }

  close(): void {
    nodeFileSystem.close(this.#fd);
  }

  #begun(): FileCommit {
    if (this.#commit === undefined) throw new ReadOnlyError(`${this.name} takes copied transactions only.`);
    return this.#commit;
  }
}
