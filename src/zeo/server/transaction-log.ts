import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { StorageError } from '../../errors';
import type { Oid, Tid } from '../../ids';
import type { TransactionMetaData, TransactionStatus } from '../../storage/index';

/** Records beyond this many bytes in one transaction wait in a file. */
const MEMORY_BYTES = 16 << 20;
/** What a record takes beside its bytes. */
const OVERHEAD = 128;

/** How much one transaction may ask for. */
export interface TransactionLimits {
  /** Stores, checks, deletions and undos. */
  readonly operations: number;
  /** Bytes of records. */
  readonly bytes: number;
}

/** One step of a transaction, as the client asked for it. */
export type LoggedOperation =
  | { readonly op: 'store'; readonly oid: Oid; readonly serial: Tid; readonly data: LoggedData }
  | {
      readonly op: 'restore';
      readonly oid: Oid;
      readonly data: LoggedData | null;
      readonly dataTid: Tid | undefined;
    }
  | { readonly op: 'delete'; readonly oid: Oid; readonly serial: Tid }
  | { readonly op: 'check'; readonly oid: Oid; readonly serial: Tid }
  | { readonly op: 'undo'; readonly tid: Tid }
  | {
      readonly op: 'blob';
      readonly oid: Oid;
      readonly serial: Tid;
      readonly data: LoggedData;
      readonly path: string;
    };

/** A record that waits: its bytes, or where they are in the file. */
export type LoggedData = Buffer | { readonly at: number; readonly size: number };

/** What a client wants to commit. It is kept until the client votes and it is its turn. */
export class TransactionLog {
  readonly operations: LoggedOperation[] = [];
  /** Bytes of the records. */
  bytes = 0;
  #inMemory = 0;
  readonly #uploads = new Set<string>();
  #file: { readonly descriptor: number; size: number } | undefined;

  constructor(
    /** The client's name for the transaction. */
    readonly key: string,
    readonly meta: TransactionMetaData,
    readonly tid: Tid | undefined,
    readonly status: TransactionStatus,
    private readonly limits: TransactionLimits,
  ) {}

  /** Throws `StorageError` beyond the limits. */
  add(operation: LoggedOperation): void {
    if (this.operations.length >= this.limits.operations) {
      throw new StorageError(
        `A transaction may not ask for more than ${this.limits.operations} changes here.`,
      );
    }
    this.operations.push(operation);
    if (operation.op === 'blob') this.#uploads.add(operation.path);
  }

  /** Takes a copy of a record: what arrives shares memory with everything that arrived together. */
  keep(data: Uint8Array): LoggedData {
    this.bytes += data.length;
    if (this.bytes > this.limits.bytes) {
      throw new StorageError(
        `The records of a transaction may not have more than ${this.limits.bytes} bytes here.`,
      );
    }
    this.#inMemory += data.length + OVERHEAD;
    if (this.#inMemory <= MEMORY_BYTES) return Buffer.from(data);
    const file = (this.#file ??= openSpill());
    // A disk that is nearly full takes a part only.
    for (let done = 0; done < data.length;)
      done += fs.writeSync(file.descriptor, data, done, data.length - done, file.size + done);
    const place = { at: file.size, size: data.length };
    file.size += data.length;
    return place;
  }

  /** The record that was kept. */
  data(kept: LoggedData): Buffer {
    if (Buffer.isBuffer(kept)) return kept;
    const out = Buffer.allocUnsafe(kept.size);
    fs.readSync(this.#file!.descriptor, out, 0, kept.size, kept.at);
    return out;
  }

  /** Removes the files. Uploaded blobs that a storage took over are gone already. */
  close(): void {
    if (this.#file) fs.closeSync(this.#file.descriptor);
    this.#file = undefined;
    for (const upload of this.#uploads) fs.rmSync(upload, { force: true });
    this.#uploads.clear();
  }
}

/** A file without a name: it is gone when it is closed, or the process ends. */
function openSpill(): { descriptor: number; size: number } {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'zeo-'));
  const name = path.join(directory, 'transaction');
  const descriptor = fs.openSync(name, 'wx+', 0o600);
  fs.rmSync(directory, { recursive: true, force: true });
  return { descriptor, size: 0 };
}
