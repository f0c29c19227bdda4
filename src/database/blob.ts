import type { Readable, Writable } from 'node:stream';
import { InvalidArgumentError } from '../errors';
import type { Oid } from '../ids';
import { isManaged, jarOf, Managed, oidOf, persistent, serialOf, type Jar } from '../persistence/index';
import { contentBytes, type BlobFile } from './blob-file';
import type { BlobHost, BlobWork } from './blob-interfaces';
import { UncommittedBlob, type BlobIdentity, type BlobMode } from './blob-work';

export { BlobError } from './blob-errors';
export { BlobFile } from './blob-file';
export type { BlobMode } from './blob-work';

const hosts = new WeakMap<Jar, BlobHost>();
const works = new WeakMap<Blob, UncommittedBlob>();

/** Tells the blobs of a jar where their connection is. */
export function setBlobHost(jar: Jar, host: BlobHost): void {
  hosts.set(jar, host);
}

/** The work of an object that is a blob; `undefined` for any other. */
export function blobWork(object: object): BlobWork | undefined {
  // Of other classes `instanceof` searches a long chain, slowly, and every commit asks of each object.
  const prototype = Object.getPrototypeOf(object) as object;
  if (prototype === lastOther) return undefined;
  if (isManaged(object) && object instanceof Blob) return workOf(object);
  lastOther = prototype;
  return undefined;
}

/** Prototype of the object that was found to be no blob last. */
let lastOther: object | undefined;

/** Takes a file over as the content of a blob that an import brings in; its object is made when somebody asks for it. */
export function importBlob(jar: Jar, oid: Oid, file: string): void {
  const host = hosts.get(jar);
  const work = new UncommittedBlob(() => ({ host, oid, serial: undefined }));
  work.consume(file, () => undefined);
  host?.blobChanged(oid, work);
}

const MODES: readonly string[] = ['r', 'w', 'a', 'r+', 'c'] satisfies BlobMode[];

/**
 * A large content that is kept beside the records: a picture, a document, a video. It is read and written as a file, takes part in
 * transactions, and each revision of it stays readable as long as its record does.
 *
 * ```ts
 * const picture = new Blob();
 * picture.write(bytes);
 * root.picture = picture;
 * transaction.commit();
 * picture.read();
 * ```
 *
 * It is ZODB's `ZODB.blob.Blob`, and can't be subclassed.
 */
@persistent('ZODB.blob.Blob')
export class Blob extends Managed {
  /** @param content what it holds; default nothing */
  constructor(content?: string | Uint8Array) {
    super();
    if (new.target !== Blob)
      throw new InvalidArgumentError("Blob can't be subclassed; keep one in a field instead.");
    if (content !== undefined) this.write(content);
  }

  /**
   * Opens it.
   *
   * | mode | |
   * |---|---|
   * | `'r'` | read: what this transaction wrote, else the committed content; a blob never written reads as empty |
   * | `'w'` | write it anew |
   * | `'a'` | append |
   * | `'r+'` | read and change |
   * | `'c'` | read the committed content, whoever else has it open |
   *
   * Many may read, or one write: `BlobError` otherwise. What is written is committed with the transaction, as a whole.
   */
  open(mode: BlobMode = 'r'): BlobFile {
    if (!MODES.includes(mode)) {
      throw new InvalidArgumentError(`A blob is opened as ${MODES.join(', ')}, not ${JSON.stringify(mode)}.`);
    }
    this.activate();
    return workOf(this).open(mode, () => this.change());
  }

  /** All of it: what this transaction wrote, else the committed content. */
  read(): Buffer {
    using file = this.open('r');
    return file.read();
  }

  /** As {@link read}, as text. */
  readText(encoding: BufferEncoding = 'utf8'): string {
    return this.read().toString(encoding);
  }

  /** Replaces the content. */
  write(content: string | Uint8Array): void {
    const bytes = contentBytes(content);
    using file = this.open('w');
    file.write(bytes);
  }

  /** The content as a stream; the blob counts as open until it ends. */
  createReadStream(mode: 'r' | 'c' = 'r'): Readable {
    return this.open(mode).readable();
  }

  /** A stream that replaces the content (`'a'`: adds to it). Commit when it has finished. */
  createWriteStream(mode: 'w' | 'a' = 'w'): Writable {
    return this.open(mode).writable();
  }

  /** Bytes of the content. */
  get size(): number {
    using file = this.open('r');
    return file.size;
  }

  /**
   * Path of a file with the committed content, to be read only. `BlobError` when there are uncommitted changes. Where the
   * storage keeps blobs in the database, the file is a copy that lasts as long as the process.
   */
  committed(): string {
    this.activate();
    return workOf(this).committedPath();
  }

  /** Makes an existing file the content; it is moved, not copied, where that is possible. If this fails, it stays where it is. */
  consumeFile(path: string): void {
    this.activate();
    workOf(this).consume(path, () => this.change());
  }

  /** Whether a file of it is open, other than in mode `'c'`. */
  get isOpen(): boolean {
    return workOf(this).isOpen;
  }

  /** @internal */
  override __getstate__(): null {
    return null;
  }

  /** @internal */
  override __setstate__(): void {
    // The content is no part of the record.
  }

  /** @internal */
  override dropState(): void {
    // Nothing is kept in the object; uncommitted content is its connection's business.
  }

  /** Not #private: stored objects are made without the constructor. */
  private change(): void {
    this.changed();
    const { host, oid } = identityOf(this);
    if (host !== undefined && oid !== undefined) host.blobChanged(oid, workOf(this));
  }
}

function identityOf(blob: Blob): BlobIdentity {
  const jar = jarOf(blob);
  return { host: jar && hosts.get(jar), oid: oidOf(blob), serial: serialOf(blob) };
}

function workOf(blob: Blob): UncommittedBlob {
  let work = works.get(blob);
  if (work === undefined) {
    const identity = weakly(blob);
    const { host, oid } = identity();
    const known = host !== undefined && oid !== undefined ? host.changedBlob(oid) : undefined;
    if (known instanceof UncommittedBlob) {
      known.follow(identity);
      work = known;
    } else {
      work = new UncommittedBlob(identity);
    }
    works.set(blob, work);
  }
  return work;
}

/** The identity of a blob, as last seen when the object is gone: its work must not keep it alive. */
function weakly(blob: Blob): () => BlobIdentity {
  const reference = new WeakRef(blob);
  let last = identityOf(blob);
  return () => {
    const alive = reference.deref();
    if (alive !== undefined) last = identityOf(alive);
    return last;
  };
}
