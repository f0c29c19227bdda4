import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { InvalidArgumentError } from '../errors';
import type { Oid, Tid } from '../ids';
import { newWorkingFile, type BlobReader } from '../storage/index';
import { BlobError } from './blob-errors';
import { BlobFile } from './blob-file';
import type { BlobHost, BlobSnapshot, BlobWork } from './blob-interfaces';

/** How a blob is opened; see `Blob.open`. */
export type BlobMode = 'r' | 'w' | 'a' | 'r+' | 'c';

/** What a blob's work must know of the object: it may be gone while the transaction goes on. */
export interface BlobIdentity {
  readonly host: BlobHost | undefined;
  readonly oid: Oid | undefined;
  /** The committed revision; `undefined` for a blob that was never committed. */
  readonly serial: Tid | undefined;
}

/** Working files of this process. */
const workingFiles = new Set<string>();
let isExitWatched = false;

/** Has a working file removed when the process ends, if nobody removed it before. */
function removeAtExit(file: string): void {
  workingFiles.add(file);
  if (isExitWatched) return;
  isExitWatched = true;
  process.on('exit', () => {
    for (const each of workingFiles) fs.rmSync(each, { force: true });
  });
}

/** Removes the working file of a blob that the program lost sight of. */
const forgotten = new FinalizationRegistry<{ path: string | undefined }>((holder) =>
  removeWorking(holder.path),
);

/** The uncommitted content of one blob, and its open files. */
export class UncommittedBlob implements BlobWork {
  /** Shared with the finalizer: it outlives this object. */
  readonly #working: { path: string | undefined } = { path: undefined };
  readonly #readers = new Set<WeakRef<BlobFile>>();
  #writer: WeakRef<BlobFile> | undefined;
  /** A second name of the working file, given to the storage by a commit under way. */
  #lent: string | undefined;
  /** Permissions of the working file before that. */
  #mode = 0;
  #identity: () => BlobIdentity;

  constructor(identity: () => BlobIdentity) {
    this.#identity = identity;
    forgotten.register(this, this.#working);
  }

  /** Another object stands for the same blob now. */
  follow(identity: () => BlobIdentity): void {
    this.#identity = identity;
  }

  get isDirty(): boolean {
    return this.#working.path !== undefined;
  }

  get isOpenForWriting(): boolean {
    return this.#writer?.deref()?.isOpen ?? false;
  }

  get isOpen(): boolean {
    return this.isOpenForWriting || Array.from(this.#readers).some((reader) => reader.deref()?.isOpen);
  }

  /** @param changed called before anything is changed */
  open(mode: BlobMode, changed: () => void): BlobFile {
    if (mode === 'c') return this.#openCommitted();
    if (this.isOpenForWriting)
      throw new BlobError('This blob is already open for writing; close that file first.');
    if (mode === 'r') return this.#openForReading();
    if (this.isOpen) throw new BlobError('This blob is already open for reading; close those files first.');
    changed();
    return this.#openForWriting(mode);
  }

  /** The path of the committed content. It is not to be written to. */
  committedPath(): string {
    if (this.isDirty)
      throw new BlobError('This blob has uncommitted changes; commit them before its file is used.');
    const { host, oid, serial } = this.#identity();
    if (host === undefined || oid === undefined || serial === undefined) {
      throw new BlobError('This blob was never committed: it has no file yet.');
    }
    return host.blobPath(oid, serial) ?? this.#copyOut(host, oid, serial);
  }

  /** Takes a file over as the new content. If that fails, it is where it was. */
  consume(file: string, changed: () => void): void {
    if (this.isOpen)
      throw new BlobError('This blob is open; close its files before it takes over another one.');
    if (fs.statSync(file, { throwIfNoEntry: false })?.isFile() !== true) {
      throw new InvalidArgumentError(`A blob can't take over ${file}: there is no such file.`);
    }
    changed();
    const working = this.#newWorkingFile();
    try {
      fs.renameSync(file, working);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
      try {
        fs.copyFileSync(file, working);
        fs.rmSync(file);
      } catch (failed) {
        fs.rmSync(working, { force: true });
        throw failed;
      }
    }
    this.#replaceWorking(working);
  }

  source(): string | undefined {
    if (this.isOpenForWriting) {
      throw new BlobError("A blob can't be committed while it is open for writing; close its file.");
    }
    if (!this.isDirty && this.#identity().serial === undefined)
      this.#replaceWorking(emptyFile(this.#newWorkingFile()));
    const { path: working } = this.#working;
    return working === undefined || this.#identity().serial !== undefined
      ? working
      : this.#secondName(working);
  }

  committed(): void {
    const wasLent = this.#lent !== undefined;
    if (wasLent) workingFiles.delete(this.#lent!);
    this.#lent = undefined;
    this.#forgetWorking(wasLent);
  }

  reset(): void {
    if (this.#identity().serial === undefined) {
      this.#takeBack();
      return;
    }
    this.#writer?.deref()?.close();
    this.#forgetWorking(true);
  }

  savepoint(): BlobSnapshot {
    if (this.isOpenForWriting) {
      throw new BlobError(
        'A savepoint of a blob needs its content: close the file that is open for writing.',
      );
    }
    const from = this.#working.path;
    if (from === undefined) return { path: undefined, release: () => undefined };
    const copy = this.#newWorkingFile();
    copyContent(from, copy);
    return { path: copy, release: () => removeWorking(copy) };
  }

  rollback({ path: saved }: BlobSnapshot): void {
    this.#writer?.deref()?.close();
    if (saved === undefined) {
      this.#forgetWorking(true);
      return;
    }
    const working = this.#newWorkingFile();
    copyContent(saved, working);
    this.#replaceWorking(working);
  }

  #openCommitted(): BlobFile {
    const reader = this.#committedReader();
    if (this.isDirty || reader === undefined) {
      reader?.close();
      throw new BlobError('This blob has uncommitted changes; mode "c" shows committed content only.');
    }
    return new BlobFile(this.#fileOf(reader), false, 0, () => undefined);
  }

  #openForReading(): BlobFile {
    const working = this.#working.path;
    const reader = working === undefined ? this.#committedReader() : undefined;
    let file: BlobFile;
    const ended = (): void => {
      for (const each of this.#readers) if (!each.deref()?.isOpen) this.#readers.delete(each);
    };
    if (working !== undefined)
      file = new BlobFile({ fd: fs.openSync(working, 'r'), path: working }, false, 0, ended);
    else file = new BlobFile(reader === undefined ? NOTHING : this.#fileOf(reader), false, 0, ended);
    this.#readers.add(new WeakRef(file));
    return file;
  }

  #openForWriting(mode: 'w' | 'a' | 'r+'): BlobFile {
    const working = this.#working.path ?? this.#newWorkingFile();
    if (this.#working.path === undefined) {
      if (mode === 'w') emptyFile(working);
      else this.#copyCommittedTo(working);
      this.#replaceWorking(working);
    }
    const fd = fs.openSync(working, mode === 'w' ? 'w+' : 'r+');
    const position = mode === 'a' ? fs.fstatSync(fd).size : 0;
    const file = new BlobFile({ fd, path: working }, true, position, () => (this.#writer = undefined));
    this.#writer = new WeakRef(file);
    return file;
  }

  #committedReader(): BlobReader | undefined {
    const { host, oid, serial } = this.#identity();
    return host === undefined || oid === undefined || serial === undefined
      ? undefined
      : host.openBlob(oid, serial);
  }

  /** The file itself where there is one: then there is a descriptor for Node's functions. */
  #fileOf(reader: BlobReader): { fd: number; path: string } | { reader: BlobReader } {
    const { host, oid, serial } = this.#identity();
    const committed = host!.blobPath(oid!, serial!);
    if (committed === undefined) return { reader };
    reader.close();
    return { fd: fs.openSync(committed, 'r'), path: committed };
  }

  #copyCommittedTo(target: string): void {
    emptyFile(target);
    const reader = this.#committedReader();
    if (reader === undefined) return;
    const fd = fs.openSync(target, 'w');
    try {
      const chunk = Buffer.allocUnsafe(1 << 20);
      for (let at = 0; at < reader.size;) {
        const count = reader.read(chunk, 0, chunk.length, at);
        if (count === 0) throw new BlobError(`The content of a blob ends ${reader.size - at} bytes early.`);
        for (let done = 0; done < count;) done += fs.writeSync(fd, chunk, done, count - done, at + done);
        at += count;
      }
    } finally {
      fs.closeSync(fd);
      reader.close();
    }
  }

  /** A file for programs that need one, from a storage that has none; it goes when the process ends. */
  #copyOut(host: BlobHost, oid: Oid, serial: Tid): string {
    const target = path.join(
      host.blobDirectory(),
      `committed-${process.pid}-${oid}-${serial.toString(16)}.blob`,
    );
    if (!fs.existsSync(target)) {
      const working = this.#newWorkingFile();
      this.#copyCommittedTo(working);
      fs.chmodSync(working, 0o444);
      fs.renameSync(working, target);
      removeAtExit(target);
    }
    return target;
  }

  #newWorkingFile(): string {
    const file = newWorkingFile(this.#identity().host?.blobDirectory() ?? os.tmpdir());
    removeAtExit(file);
    return file;
  }

  /**
   * The storage may take the file that it is given, and has nothing to give back when the transaction fails. The content
   * of a blob that was never committed is nowhere else, so it gets a second name.
   */
  #secondName(working: string): string {
    this.#takeBack();
    const second = this.#newWorkingFile();
    this.#mode = fs.statSync(working).mode;
    try {
      fs.linkSync(working, second);
    } catch {
      copyContent(working, second);
    }
    this.#lent = second;
    return second;
  }

  #takeBack(): void {
    if (this.#lent === undefined) return;
    removeWorking(this.#lent);
    this.#lent = undefined;
    // A storage protects what it takes.
    if (this.#working.path !== undefined) fs.chmodSync(this.#working.path, this.#mode);
  }

  #replaceWorking(file: string): void {
    if (this.#working.path !== undefined && this.#working.path !== file) removeWorking(this.#working.path);
    this.#working.path = file;
  }

  #forgetWorking(remove: boolean): void {
    if (remove) removeWorking(this.#working.path);
    else if (this.#working.path !== undefined) workingFiles.delete(this.#working.path);
    this.#working.path = undefined;
  }
}

/** A blob that was never written to reads as empty. */
const NOTHING = { reader: { size: 0, read: () => 0, close: () => undefined } };

function emptyFile(file: string): string {
  fs.writeFileSync(file, '');
  return file;
}

function copyContent(from: string, to: string): void {
  fs.copyFileSync(from, to, fs.constants.COPYFILE_FICLONE);
}

function removeWorking(file: string | undefined): void {
  if (file === undefined) return;
  workingFiles.delete(file);
  fs.rmSync(file, { force: true });
}
