import { UnsupportedError } from '../errors';
import type { Oid, Tid } from '../ids';
import type { BlobReader, StorageInstance } from '../storage/index';
import type { BlobHost, BlobWork } from './blob-interfaces';
import type { BlobKeeper } from './blob-keeper';

/** A connection as its blobs see it. */
export class ConnectionBlobs implements BlobHost {
  readonly #storage: StorageInstance;
  readonly #keeper: BlobKeeper;
  readonly #name: string;

  /** @param name of the database, for messages */
  constructor(storage: StorageInstance, keeper: BlobKeeper, name: string) {
    this.#storage = storage;
    this.#keeper = keeper;
    this.#name = name;
  }

  blobChanged(oid: Oid, work: BlobWork): void {
    this.#keeper.note(oid, work);
  }

  changedBlob(oid: Oid): BlobWork | undefined {
    return this.#keeper.changed(oid);
  }

  openBlob(oid: Oid, serial: Tid): BlobReader {
    const { openBlob } = this.#supporting();
    return openBlob.call(this.#storage, oid, serial);
  }

  blobPath(oid: Oid, serial: Tid): string | undefined {
    return this.#storage.supports.blobPaths ? this.#storage.blobPath?.(oid, serial) : undefined;
  }

  blobDirectory(): string {
    const { blobDirectory } = this.#supporting();
    return blobDirectory.call(this.#storage);
  }

  #supporting(): { openBlob: NonNullable<StorageInstance['openBlob']>; blobDirectory: () => string } {
    const { openBlob, blobDirectory } = this.#storage;
    if (openBlob === undefined || blobDirectory === undefined) {
      throw new UnsupportedError(`The storage of the database ${JSON.stringify(this.#name)} has no blobs.`);
    }
    return { openBlob, blobDirectory };
  }
}
