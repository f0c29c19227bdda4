/** Large contents beside the records: part of the contract in interfaces.ts. */
import type { Oid, Tid } from '../ids';
import type { StoreBlobCall } from './interfaces';

/** Where a blob's content comes from: bytes, or a file. */
export type BlobSource = Uint8Array | BlobFile;

/** A file that becomes a blob. */
export interface BlobFile {
  readonly path: string;
  /** The storage may move the file away instead of copying it; it is gone after the commit. */
  readonly consume: boolean;
}

/** Large contents beside the records. */
export interface BlobCapability extends StoreBlobCall {
  /** The blob's content as that revision has it. `POSKeyError` when there is none. The caller closes it. */
  openBlob(oid: Oid, serial: Tid): BlobReader;
  /** Path of a read-only file with the content; present when `supports.blobPaths`. */
  blobPath?(oid: Oid, serial: Tid): string;
  /** A directory for uncommitted blob files, from which the storage can take them over cheaply. It exists. */
  blobDirectory(): string;
}

/** Random access to a committed blob. It stays readable while it is open, also across commits and packs. */
export interface BlobReader {
  readonly size: number;
  /** Reads up to `length` bytes from `position` into `target` at `offset`; the number read, 0 at the end. */
  read(target: Uint8Array, offset: number, length: number, position: number): number;
  close(): void;
}
