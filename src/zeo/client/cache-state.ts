import * as fs from 'node:fs';
import * as os from 'node:os';
import { formatTid, parseTid, type Tid } from '../../ids';

/** Room for the text, so that it is always written as a whole over what was there. */
const SIZE = 192;

/** What a cache's state file told when it was opened. */
export interface KnownState {
  /** The cache was closed, or its process ended while the machine went on: what it wrote is all there. */
  readonly inOrder: boolean;
  /** The cache is right up to this transaction at most; `undefined` for a file of Python's, which keeps no such notes. */
  readonly lastTid: Tid | undefined;
  /** Python may have written some of it, without checksums. */
  readonly hasForeign: boolean;
}

/**
 * A file beside a cache file: whether it was closed, in which run of the machine it was used, and its last tid once more. The last tid of
 * the cache itself is written after it: one that is greater there is damaged, and what the server would say for it left out what
 * changed before.
 */
export class CacheState {
  readonly #descriptor: number;
  readonly #boot = bootId();
  #lastTid: Tid;

  constructor(
    path: string,
    lastTid: Tid,
    private readonly hasForeign: boolean,
  ) {
    this.#lastTid = lastTid;
    this.#descriptor = fs.openSync(path, 'w', 0o600);
    this.#write(false);
  }

  /** Must be called before the cache itself has it. */
  noteLastTid(tid: Tid): void {
    this.#lastTid = tid;
    this.#write(false);
  }

  /** Everything is on the disk. */
  close(): void {
    this.#write(true);
    fs.closeSync(this.#descriptor);
  }

  #write(closed: boolean): void {
    const { hasForeign } = this;
    const text = JSON.stringify({
      closed,
      boot: this.#boot,
      lastTid: formatTid(this.#lastTid),
      hasForeign,
    });
    fs.writeSync(this.#descriptor, `${text.padEnd(SIZE - 1)}\n`, 0);
  }
}

/** Reads what the last user of a cache left. */
export function readCacheState(path: string): KnownState {
  let text: string;
  try {
    text = fs.readFileSync(path, 'utf8');
  } catch (error) {
    const inOrder = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return { inOrder, lastTid: undefined, hasForeign: true };
  }
  try {
    const { closed, boot, lastTid, hasForeign } = JSON.parse(text) as Record<string, unknown>;
    return {
      inOrder: closed === true || boot === bootId(),
      lastTid: parseTid(String(lastTid)),
      hasForeign: hasForeign === true,
    };
  } catch {
    return { inOrder: false, lastTid: undefined, hasForeign: false };
  }
}

/** Tells one run of the machine from the next. */
function bootId(): string {
  try {
    return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return `up since ${Math.round((Date.now() / 1000 - os.uptime()) / 60)}`;
  }
}
