/**
 * Keeping up with a `Data.fs` that another program writes. A transaction counts from the moment on at which its status byte says that it
 * is complete; until then its bytes may change, or go away again. A pack puts another file in the place of this one.
 */
import type { Oid, Tid } from '../../ids';
import type { DataFile } from './data-file';
import { FIRST_POSITION } from './format';
import { scanFile } from './open-scan';
import { ScanBuffer } from './scan-buffer';

/** A transaction that was committed elsewhere. */
export interface ForeignTransaction {
  readonly tid: Tid;
  readonly oids: readonly Oid[];
}

/** Watches one file for what is added to it. */
export class Follower {
  readonly #file: DataFile;
  readonly #identity: string | undefined;
  /** How long the file was when reading its end failed; that may be a moment of a commit. */
  #failedAt = -1;

  constructor(file: DataFile) {
    this.#file = file;
    this.#identity = file.system.identityOf(file.fd);
  }

  /** Whether another file has the name now. While it has none, as between the two steps of Python's pack, there is nothing to go to. */
  isReplaced(): boolean {
    const now = this.#file.system.identity(this.#file.path);
    return now !== undefined && now !== this.#identity;
  }

  /** Takes in what was committed since; in order. Throws when the end of the file is damaged, and not only in the middle of being written. */
  catchUp(lastTid: Tid): readonly ForeignTransaction[] {
    const file = this.#file;
    const size = file.system.sizeOf(file.fd);
    if (size <= file.size) return [];
    const found: ForeignTransaction[] = [];
    const position = Math.max(file.size, FIRST_POSITION);
    let end = file.size;
    try {
      scanFile(new ScanBuffer(file.system, file.fd, file.path, size), file.index, {
        path: file.path,
        position,
        lastTid,
        seen(tid, oids, next) {
          found.push({ tid, oids: [...oids] });
          end = next;
        },
      });
      this.#failedAt = -1;
    } catch (error) {
      if (found.length === 0 && this.#failedAt === size) throw error;
      this.#failedAt = size;
    }
    file.cache.grow(end);
    return found;
  }
}
