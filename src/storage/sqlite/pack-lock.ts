import { createHash, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { StorageError } from '../../errors';
import type { Handle } from './handle';
import { readMeta, writeMeta } from './schema';

/** A packer that has not been heard of for so long, in milliseconds, is no more. */
const STALE_MS = 60_000;
/** How often it has itself heard. */
const TOUCH_MS = 5_000;

const HOST = createHash('sha1').update(hostname()).digest('hex').slice(0, 8);

/**
 * One pack at a time, over all processes: `packing` in `meta` says who packs, as `host pid token time`. A process of this
 * host that is no more does not pack; one that can't be looked for (another container) is believed while it is heard of.
 * Two packs at once would waste time only.
 */
export class PackLock {
  readonly #handle: Handle;
  readonly #token = randomUUID();
  #touched = 0;

  constructor(handle: Handle) {
    this.#handle = handle;
  }

  /** Within a write transaction. `StorageError` when somebody else packs. */
  acquire(): void {
    const holder = this.#holder();
    if (holder && holder.token !== this.#token && isPacking(holder)) {
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
    if (this.#holder()?.token === this.#token) this.#handle.exec("DELETE FROM meta WHERE name = 'packing'");
  }

  #touch(): void {
    this.#touched = Date.now();
    writeMeta(this.#handle, 'packing', `${HOST} ${process.pid} ${this.#token} ${this.#touched}`);
  }

  #holder(): Holder | undefined {
    const [host, pid, token, time] = String(readMeta(this.#handle, 'packing') ?? '').split(' ');
    return time === undefined
      ? undefined
      : { host: host!, pid: Number(pid), token: token!, time: Number(time) };
  }
}

interface Holder {
  readonly host: string;
  readonly pid: number;
  readonly token: string;
  readonly time: number;
}

function isPacking({ host, pid, time }: Holder): boolean {
  if (Date.now() - time >= STALE_MS) return false;
  if (host !== HOST) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
