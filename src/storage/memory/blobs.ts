import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlobReader, BlobSource } from '../interfaces';

/** The content of a source; a file that may be consumed is gone afterwards. */
export function takeBlob(source: BlobSource): Uint8Array {
  if (source instanceof Uint8Array) return Uint8Array.from(source);
  const content = readFileSync(source.path);
  if (source.consume) rmSync(source.path);
  return content;
}

/** Reads a blob that is in memory. */
export class MemoryBlobReader implements BlobReader {
  readonly size: number;
  readonly #content: Uint8Array;

  constructor(content: Uint8Array) {
    this.#content = content;
    this.size = content.length;
  }

  read(target: Uint8Array, offset: number, length: number, position: number): number {
    const part = this.#content.subarray(position, position + Math.min(length, target.length - offset));
    target.set(part, offset);
    return part.length;
  }

  close(): void {
    // Nothing is held open.
  }
}

/** A directory for uncommitted blob files, made when first asked for. */
export class BlobWorkDirectory {
  #path: string | undefined;

  get path(): string {
    return (this.#path ??= mkdtempSync(join(tmpdir(), 'zodb-blobs-')));
  }

  close(): void {
    if (this.#path !== undefined) rmSync(this.#path, { recursive: true, force: true });
    this.#path = undefined;
  }
}
