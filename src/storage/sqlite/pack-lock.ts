import { randomUUID } from 'node:crypto';
import { StorageError } from '../../errors';
import type { Handle } from './handle';
import { readMeta, writeMeta } from './schema';

/** A packer that has not been heard of for so long, in milliseconds, is no more. */
const STALE_MS = 60_000;
/** How often it has itself heard. */
const TOUCH_MS = 5_000;

/** One pack at a time, over all processes: `packing` in `meta` names who packs and when it was last heard of. */
export class PackLock {
  readonly #handle: Handle;
  readonly #token = randomUUID();
  #touched = 0;

  constructor(handle: Handle) {
    this.#handle = handle;
  }

  /** Within a write transaction. `StorageError` when somebody else packs. */
  acquire(): void {
    const [token, time] = String(readMeta(this.#handle, 'packing') ?? '').split(' ');
    if (token && token !== this.#token && Date.now() - Number(time) < STALE_MS) {
      throw new StorageError(`A pack of ${this.#handle.path} is under way. Wait for it to end.`, {
        code: 'PACKING',
      });
    }
    this.#touch();
  }

  /** Whether it is time to {@link keep} the lock. */
  get isDue(): boolean {
    return Date.now() - this.#touched > TOUCH_MS;
  }

  /** Within a write transaction: says that this packer is alive. */
  keep(): void {
    if (this.isDue) this.#touch();
  }

  /** Within a write transaction. */
  release(): void {
    const [token] = String(readMeta(this.#handle, 'packing') ?? '').split(' ');
    if (token === this.#token) this.#handle.exec("DELETE FROM meta WHERE name = 'packing'");
  }

  #touch(): void {
    this.#touched = Date.now();
    writeMeta(this.#handle, 'packing', `${this.#token} ${this.#touched}`);
  }
}
