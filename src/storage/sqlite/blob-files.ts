/**
 * Contents of blobs as files of a directory: `<directory>/<first digits>/<number of the content>.blob`, read-only. A file
 * is complete and synced before the commit that refers to it.
 */
import {
  chmodSync,
  closeSync,
  copyFileSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { CorruptionError } from '../../errors';
import { newWorkingFile, sweepWorkingFiles } from '../blob-working-files';
import type { BlobReader, BlobSource } from '../interfaces';

/** The directory of one database's blob contents. */
export class BlobFiles {
  readonly path: string;
  #isPrepared = false;

  /** @param directory relative to that of the database file */
  constructor(database: string, directory: string) {
    this.path = resolve(dirname(resolve(database)), directory);
  }

  /** Where files are that are not committed. It exists after this call. */
  workDirectory(): string {
    const work = join(this.path, 'tmp');
    if (!this.#isPrepared) {
      mkdirSync(work, { recursive: true });
      sweepWorkingFiles(work);
      this.#isPrepared = true;
    }
    return work;
  }

  pathOf(content: number): string {
    const name = content.toString().padStart(9, '0');
    return join(this.path, name.slice(0, -3), `${name}.blob`);
  }

  /** Puts a content in place and on disk; its size. */
  install(content: number, source: BlobSource): number {
    const working = newWorkingFile(this.workDirectory());
    try {
      if (source instanceof Uint8Array) writeFileSync(working, source);
      else if (!source.consume || !tryRename(source.path, working)) {
        copyFileSync(source.path, working);
        if (source.consume) rmSync(source.path, { force: true });
      }
      const target = this.pathOf(content);
      mkdirSync(dirname(target), { recursive: true });
      chmodSync(working, 0o444);
      const size = sync(working);
      renameSync(working, target);
      sync(dirname(target));
      return size;
    } catch (error) {
      rmSync(working, { force: true });
      throw error;
    }
  }

  open(content: number, size: number): BlobReader {
    return new FileReader(this.pathOf(content), size);
  }

  remove(content: number): void {
    rmSync(this.pathOf(content), { force: true });
  }
}

class FileReader implements BlobReader {
  readonly size: number;
  readonly #file: number;
  #isClosed = false;

  constructor(path: string, size: number) {
    this.size = size;
    try {
      this.#file = openSync(path, 'r');
    } catch (cause) {
      throw new CorruptionError(
        `The blob file ${path} can't be read; it is missing or its directory was moved.`,
        {
          cause,
        },
      );
    }
    const found = fstatSync(this.#file).size;
    if (found !== size) {
      this.close();
      throw new CorruptionError(
        `The blob file ${path} is damaged: it has ${found} bytes instead of ${size}.`,
      );
    }
  }

  read(target: Uint8Array, offset: number, length: number, position: number): number {
    const wanted = Math.min(length, target.length - offset, this.size - position);
    return wanted <= 0 ? 0 : readSync(this.#file, target, offset, wanted, position);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#file);
  }
}

function tryRename(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EXDEV') return false;
    throw error;
  }
}

/** Waits until a file or directory is on disk; its size. */
function sync(path: string): number {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
    return fstatSync(file).size;
  } finally {
    closeSync(file);
  }
}
