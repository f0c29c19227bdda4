import * as fs from 'node:fs';
import * as path from 'node:path';
import { oidToBytes, tidFromBytes, tidToBytes, type Oid, type Tid } from '../../ids';
import type { BlobReader, BlobSource } from '../../storage/index';
import { tuple, type WireValue } from '../wire/values';
import { BlobStore, type BlobStoreOptions } from './blob-store';
import type { ClientTransaction } from './client-transaction';
import type { ServerLink } from './link';
import type { FileFailure } from './socket-orders';

/** Bytes of a blob in one message; Python's number. */
const CHUNK = 59_000;

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
    if (earlier !== undefined) this.#remove(transaction, earlier);
    files.set(oid, file);
    const { connection, id } = transaction;
    const record: [Uint8Array, Uint8Array, Uint8Array] = [oidToBytes(oid), tidToBytes(serial), data];
    if (shared) {
      connection.oneWay('storeBlobShared', tuple(...record, path.basename(file), id));
      return;
    }
    connection.oneWay('storeBlobStart', tuple());
    connection.sendFile('storeBlobChunk', file, fs.statSync(file).size, CHUNK);
    connection.oneWay('storeBlobEnd', tuple(...record, id));
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
    for (const file of this.#pending.get(transaction)?.values() ?? []) this.#remove(transaction, file);
    this.#pending.delete(transaction);
  }

  /** The other thread may be about to open it. */
  #remove(transaction: ClientTransaction, file: string): void {
    if (this.#store.shared || !transaction.dropFile(file)) fs.rmSync(file, { force: true });
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

  failed(failure: FileFailure): void {
    this.#store.failed(failure);
  }

  receive(name: string, args: WireValue): void {
    this.#store.receive(name, args);
  }

  close(): void {
    for (const transaction of [...this.#pending.keys()]) this.forget(transaction);
    this.#store.close();
  }

  #fetch(oid: Oid, serial: Tid): void {
    if (this.#store.has(oid, serial) || this.#store.shared) return;
    this.#link.read((connection) => {
      const revision: [Uint8Array, Uint8Array] = [oidToBytes(oid), tidToBytes(serial)];
      const file = this.#store.beginDownload(oid, serial);
      connection.takeFile('receiveBlobChunk', revision, file);
      const call = connection.call('sendBlob', tuple(...revision), () =>
        this.#store.finishDownload(oid, serial),
      );
      call.whenDone(() => {
        this.#store.dropDownload(oid, serial);
        if (!connection.closed) connection.dropFile(file);
      });
      return call;
    });
  }
}
