import { mkdirSync } from 'node:fs';
import { POSKeyError, UnsupportedError } from '../../errors';
import { formatOid, formatTid, type Oid, type Tid } from '../../ids';
import { sweepWorkingFiles } from '../blob-working-files';
import type { BlobReader, BlobSource } from '../interfaces';
import { BlobContents, ContentReader, sizeCrc } from './blob-contents';
import { BlobFiles } from './blob-files';
import { blobCrc, BlobIndex } from './blob-index';
import type { Statement } from './driver';
import type { Engine } from './engine';
import { oidKey } from './handle';
import { readMeta } from './schema';

/** Which content belongs to which revision; where contents are is blob-contents.ts or blob-files.ts. */
export class Blobs {
  /** The directory of the contents, unless they are in the database. */
  readonly files: BlobFiles | undefined;
  /** What is committed. */
  readonly committed: BlobIndex;
  /** The same with what the transaction under way has changed. */
  readonly uncommitted: BlobIndex;
  readonly #engine: Engine;
  readonly #contents: BlobContents;
  readonly #attach: Statement;
  readonly #unstage: Statement;
  readonly #seal: Statement;
  #workDirectory: string | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#contents = new BlobContents(engine);
    const mode = String(readMeta(engine.writer, 'blobs') ?? 'file');
    if (mode.startsWith('directory:')) {
      this.files = new BlobFiles(engine.path, mode.slice('directory:'.length));
    }
    const { writer, reader } = engine;
    this.committed = new BlobIndex(reader);
    this.uncommitted = new BlobIndex(writer);
    this.#attach = writer.prepare('INSERT OR REPLACE INTO blob (oid, seq, content, crc) VALUES (?, ?, ?, ?)');
    this.#unstage = writer.prepare('UPDATE blob_content SET touched = 0 WHERE id = ?');
    this.#seal = writer.prepare('UPDATE blob_content SET size = ?, crc = ?, touched = ? WHERE id = ?');
  }

  /** Copies or moves a source to its place, not belonging to a revision yet; the content's number. */
  stage(source: BlobSource): number {
    if (this.files === undefined) return this.#contents.stage(source);
    const content = this.#contents.stage(new Uint8Array(0));
    const size = this.files.install(content, source);
    this.#contents.write(() => this.#seal.run(size, sizeCrc(content, size), Date.now(), content));
    return content;
  }

  /** Within a write transaction: the revision has this content. */
  attach(oid: Oid, seq: number, content: number): void {
    this.#attach.run(oidKey(oid), seq, content, blobCrc(oid, seq, content));
    this.#unstage.run(content);
  }

  open(oid: Oid, serial: Tid): BlobReader {
    const content = this.#require(oid, serial);
    return this.files
      ? this.files.open(content, this.committed.sizeOf(content))
      : new ContentReader(this.#engine, content);
  }

  pathOf(oid: Oid, serial: Tid): string {
    if (this.files === undefined) {
      throw new UnsupportedError(`${this.#engine.path} keeps blobs inside the database: they have no paths.`);
    }
    return this.files.pathOf(this.#require(oid, serial));
  }

  #require(oid: Oid, serial: Tid): number {
    try {
      const { tids, log } = this.#engine;
      const seq = tids.seqOf(serial, log.latest);
      const content = seq === undefined ? undefined : this.committed.contentOf(oid, seq);
      if (content === undefined) {
        throw new POSKeyError(oid, `Object ${formatOid(oid)} has no blob written at ${formatTid(serial)}.`);
      }
      return content;
    } catch (error) {
      throw this.#engine.reader.failed(error);
    }
  }

  /** Removes contents that were staged for a transaction which is aborted. */
  discard(contents: readonly number[]): void {
    for (const content of contents) {
      this.files?.remove(content);
      while (this.removeSome(content));
    }
  }

  /** Removes a part of a content that nothing refers to; true when there is more. */
  removeSome(content: number): boolean {
    return this.#contents.removeSome(content);
  }

  workDirectory(): string {
    if (this.files) return this.files.workDirectory();
    if (this.#workDirectory === undefined) {
      this.#workDirectory = `${this.#engine.path}.tmp`;
      mkdirSync(this.#workDirectory, { recursive: true });
      sweepWorkingFiles(this.#workDirectory);
    }
    return this.#workDirectory;
  }
}
