import type { Oid, Tid } from '../../ids';
import type { BlobReader, BlobSource } from '../interfaces';

/** What a wrapper does to records on their way to the storage below it, and back. */
export interface RecordTransform {
  /** Shown in the storage's name: `zlib(Data.fs)`. */
  readonly name: string;
  /**
   * The bytes depend on the transaction, and are read with its tid: no revision may be repeated under another
   * tid, so undo writes anew what it brings back.
   */
  readonly boundToTid: boolean;
  encode(record: Uint8Array, oid: Oid, tid: Tid): Uint8Array;
  /** `oid` and `serial` are checked when they are known. Throws `CorruptionError`. */
  decode(record: Uint8Array, oid: Oid | undefined, serial: Tid | undefined): Uint8Array;
  /** The tid that encoded bytes are bound to. */
  tidOf?(encoded: Uint8Array): Tid;
  /** What is done to blobs; without it they pass as they are. */
  readonly blobs?: BlobTransform;
}

/** What a wrapper does to the contents of blobs. */
export interface BlobTransform {
  /** @param directory for the file that takes the place of a file */
  encode(source: BlobSource, oid: Oid, tid: Tid, directory: string): BlobSource;
  /** Takes `reader` over. */
  decode(reader: BlobReader, oid: Oid, serial: Tid): BlobReader;
}
