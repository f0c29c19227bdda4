import * as fs from 'node:fs';
import * as path from 'node:path';
import { oidToBytes, tidFromBytes, tidToBytes, type Oid, type Tid } from '../../ids';
import type { BlobReader, BlobSource } from '../../storage/index';
import { tuple, type WireValue } from '../wire/values';
import { BlobStore, type BlobStoreOptions } from './blob-store';
import type { ClientTransaction } from './client-transaction';
import type { ServerLink } from './link';
import { revisionArguments } from './server-view';

/** Bytes of a blob in one message to a server of Python's (its number), and to one of ours. */
const CHUNK = 59_000;
const LARGE_CHUNK = 512 << 10;
/** After so many bytes an upload waits until the server has taken them, so that they do not pile up in memory. */
const WINDOW = 8 << 20;

/** Blobs to and from the server. */
export class ClientBlobs {
  readonly #store: BlobStore;
  readonly #link: ServerLink;
  /** Files of the transaction under way. */
  readonly #pending = new Map<ClientTransaction, Map<Oid, string>>();

  constructor(link: ServerLink, options: BlobStoreOptions) {
    this.#link = link;
    this.#store = new BlobStore(options);
  }

  /** Adds a blob to a transaction: its record, and its content. */
  store(transaction: ClientTransaction, oid: Oid, serial: Tid, data: Uint8Array, source: BlobSource): void {
    transaction.store(oid, serial, data);
    this.upload(transaction, oid, serial, data, source);
  }

  /** Sends the content of a blob whose record was sent. */
  upload(transaction: ClientTransaction, oid: Oid, serial: Tid, data: Uint8Array, source: BlobSource): void {
    const shared = this.#store.shared;
    const file = this.#store.take(
      source,
      shared ? this.#store.sharedDirectory(oid) : this.#store.workDirectory(),
    );
    const files = this.#pending.get(transaction) ?? new Map<Oid, string>();
    this.#pending.set(transaction, files);
    const earlier = files.get(oid);
    if (earlier !== undefined) fs.rmSync(earlier, { force: true });
    files.set(oid, file);
    const { connection, id } = transaction;
    const record: [Uint8Array, Uint8Array, Uint8Array] = [oidToBytes(oid), tidToBytes(serial), data];
    if (shared) {
      connection.oneWay('storeBlobShared', tuple(...record, path.basename(file), id));
      return;
    }
    connection.oneWay('storeBlobStart', tuple());
    this.#sendFile(transaction, file);
    connection.oneWay('storeBlobEnd', tuple(...record, id));
  }

  #sendFile(transaction: ClientTransaction, file: string): void {
    const descriptor = fs.openSync(file, 'r');
    try {
      let window = 0;
      const size = transaction.connection.epoch === undefined ? CHUNK : LARGE_CHUNK;
      const chunk = Buffer.allocUnsafeSlow(size);
      for (;;) {
        const count = fs.readSync(descriptor, chunk);
        if (count === 0) return;
        const { connection } = transaction;
        connection.oneWay('storeBlobChunk', tuple(chunk.subarray(0, count)));
        window += count;
        if (window < WINDOW) continue;
        this.#link.wait(connection.call('ping', tuple(), () => undefined));
        window = 0;
      }
    } finally {
      fs.closeSync(descriptor);
    }
  }

  /** The transaction is committed: its files stay as downloaded ones. */
  committed(transaction: ClientTransaction, tid: Tid): void {
    if (!this.#store.shared) {
      for (const [oid, file] of this.#pending.get(transaction) ?? []) this.#store.keep(file, oid, tid);
    }
    this.#pending.delete(transaction);
  }

  /** The transaction is over; what is left of its files goes. */
  forget(transaction: ClientTransaction | undefined): void {
    if (!transaction) return;
    for (const file of this.#pending.get(transaction)?.values() ?? []) fs.rmSync(file, { force: true });
    this.#pending.delete(transaction);
  }

  open(oid: Oid, serial: Tid): BlobReader {
    this.#fetch(oid, serial);
    return this.#store.open(oid, serial);
  }

  /** Path of the file; it may be removed when the cache is full, but not while it is open. */
  path(oid: Oid, serial: Tid): string {
    this.#fetch(oid, serial);
    return this.#store.pathOf(oid, serial);
  }

  directory(): string {
    return this.#store.workDirectory();
  }

  /** After a pack: keeps of the downloaded files what is current at the server. */
  dropOld(): void {
    const { connection } = this.#link;
    if (this.#store.shared || !connection) return;
    const checks = this.#store.downloaded().map(({ oid, tid, file }) => ({
      tid,
      file,
      call: connection.call('getTid', tuple(oidToBytes(oid)), (reply) => tidFromBytes(reply as Uint8Array)),
    }));
    for (const { tid, file, call } of checks) {
      let current: Tid | undefined;
      try {
        current = this.#link.wait(call);
      } catch {
        // It is gone, or can't be asked for; it is downloaded again when it is needed.
      }
      if (current !== tid) fs.rmSync(file, { force: true });
    }
  }

  receive(name: string, args: WireValue): void {
    this.#store.receive(name, args);
  }

  dropDownloads(): void {
    this.#store.dropDownloads();
  }

  close(): void {
    for (const transaction of [...this.#pending.keys()]) this.forget(transaction);
    this.#store.close();
  }

  #fetch(oid: Oid, serial: Tid): void {
    if (this.#store.has(oid, serial) || this.#store.shared) return;
    this.#link.read((connection) =>
      connection.call('sendBlob', revisionArguments(oid, serial), () => undefined),
    );
  }
}
