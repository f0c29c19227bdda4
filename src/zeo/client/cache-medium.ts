import * as fs from 'node:fs';
import type { Tid } from '../../ids';
import type { CacheState } from './cache-state';

/** Where a cache's bytes are: memory, or a file. All numbers are bytes. */
export interface CacheMedium {
  /** What is read can be other than what was written: it has to be checked. */
  readonly canBeDamaged: boolean;
  read(target: Buffer, position: number): void;
  write(bytes: Uint8Array, position: number): void;
  /** Called before the last tid is written. */
  noteLastTid(tid: Tid): void;
  /** What was written survives a crash of the machine. */
  sync(): void;
  close(): void;
}

/** In memory; the system gives the pages when they are first written. */
export class MemoryMedium implements CacheMedium {
  readonly canBeDamaged = false;
  #bytes: Buffer | undefined;

  constructor(size: number) {
    this.#bytes = Buffer.from(new ArrayBuffer(size));
  }

  read(target: Buffer, position: number): void {
    this.#bytes!.copy(target, 0, position, position + target.length);
  }

  write(bytes: Uint8Array, position: number): void {
    this.#bytes!.set(bytes, position);
  }

  noteLastTid(): void {
    // What is in memory is not damaged.
  }

  sync(): void {
    // Nothing to save.
  }

  close(): void {
    this.#bytes = undefined;
  }
}

/** In a file, which is already open and of its full size. */
export class FileMedium implements CacheMedium {
  readonly canBeDamaged = true;
  /** Where the last tid is kept a second time. */
  state: CacheState | undefined;

  constructor(private readonly descriptor: number) {}

  read(target: Buffer, position: number): void {
    let filled = 0;
    while (filled < target.length) {
      const count = fs.readSync(this.descriptor, target, filled, target.length - filled, position + filled);
      if (count === 0) return void target.fill(0, filled);
      filled += count;
    }
  }

  write(bytes: Uint8Array, position: number): void {
    fs.writeSync(this.descriptor, bytes, 0, bytes.length, position);
  }

  noteLastTid(tid: Tid): void {
    this.state?.noteLastTid(tid);
  }

  sync(): void {
    fs.fsyncSync(this.descriptor);
  }

  close(): void {
    fs.closeSync(this.descriptor);
  }
}
