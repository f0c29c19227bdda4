import { ClosedError, ZodbError } from '../errors';

/** What a pool needs to know of the things it keeps. */
export interface Poolable {
  /** How much a member has warm: those with more are handed out first. */
  readonly warmth: number;
  /** Frees what the member holds; it won't be used again. */
  discard(): void;
}

export interface PoolOptions<T extends Poolable> {
  readonly size: number;
  /** Free members idle for longer than this many milliseconds are discarded. */
  readonly idleTimeout: number;
  readonly make: () => T;
  /** Told of a new member, and of the reference by which {@link Pool.lost} knows it. */
  readonly made?: (member: T, reference: WeakRef<T>) => void;
  readonly warn: (message: string, code: string) => void;
  /** What is known of a member in use, for messages: a sentence, or nothing. */
  readonly describe?: (member: T) => string;
}

/** An asynchronous caller waited for a connection until its time was up. */
export class PoolTimeoutError extends ZodbError {
  constructor(milliseconds: number, size: number, oldest = '') {
    super(
      `No connection became free within ${milliseconds} ms; all ${size} are in use. ` +
        `Close connections that are done with, or raise poolSize.${oldest && ` ${oldest}`}`,
      { code: 'POOL_TIMEOUT', retryable: true },
    );
  }
}

interface Free<T> {
  readonly member: T;
  readonly since: number;
}

interface Waiter<T> {
  resolve(member: T): void;
  reject(error: Error): void;
}

/**
 * Connections that are free, warmest on top (`ZODB/src/ZODB/DB.py`, `ConnectionPool`). A synchronous caller always gets
 * one: beyond `size` with a warning, beyond twice of it with a stronger one. An asynchronous caller waits for its turn.
 *
 * Free members are held strongly, those in use weakly: one that the program forgot can be collected, and is then
 * reported with {@link lost}.
 */
export class Pool<T extends Poolable> {
  readonly #options: PoolOptions<T>;
  #size: number;
  #free: Free<T>[] = [];
  #used = new Set<WeakRef<T>>();
  readonly #references = new WeakMap<T, WeakRef<T>>();
  #waiting: Waiter<T>[] = [];
  #closed = false;

  constructor(options: PoolOptions<T>) {
    this.#options = options;
    this.#size = options.size;
  }

  get size(): number {
    return this.#size;
  }

  set size(size: number) {
    this.#size = size;
    this.#trim();
  }

  /** Members in use, in the order they were taken. */
  get used(): readonly T[] {
    const used: T[] = [];
    for (const reference of this.#used) {
      const member = reference.deref();
      if (member) used.push(member);
    }
    return used;
  }

  get free(): readonly T[] {
    return this.#free.map(({ member }) => member);
  }

  get isIdle(): boolean {
    return this.#used.size === 0;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  take(): T {
    this.#checkOpen();
    if (this.#free.length > 1) this.#trim();
    const member = this.#free.pop()?.member ?? this.#make();
    this.#used.add(this.#references.get(member)!);
    const count = this.#used.size;
    if (count > this.#size) this.#warnOfUse(count);
    return member;
  }

  /** As {@link take}, but waits while `size` members are in use. Callers are served in the order they came. */
  takeWhenFree(timeout: number): Promise<T> | T {
    this.#checkOpen();
    if (this.#used.size < this.#size && this.#waiting.length === 0) return this.take();
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
        reject(new PoolTimeoutError(timeout, this.#size, this.#describeOldest()));
      }, timeout);
      const waiter: Waiter<T> = {
        resolve(member) {
          clearTimeout(timer);
          resolve(member);
        },
        reject(error) {
          clearTimeout(timer);
          reject(error);
        },
      };
      this.#waiting.push(waiter);
    });
  }

  give(member: T): void {
    if (!this.#used.delete(this.#references.get(member)!)) return;
    if (this.#closed) {
      member.discard();
      return;
    }
    let index = this.#free.length;
    while (index > 0 && this.#free[index - 1]!.member.warmth > member.warmth) index--;
    this.#free.splice(index, 0, { member, since: Date.now() });
    this.#trim();
    this.#serve();
  }

  /** A member in use turned out to be of no use any more. */
  drop(member: T): void {
    if (!this.#used.delete(this.#references.get(member)!)) return;
    try {
      member.discard();
    } finally {
      this.#serve();
    }
  }

  /** A member was collected. True when it was in use: nobody gave it back. */
  lost(reference: WeakRef<T>): boolean {
    const wasUsed = this.#used.delete(reference);
    if (wasUsed) this.#serve();
    return wasUsed;
  }

  close(): void {
    this.#closed = true;
    for (const { member } of this.#free) member.discard();
    this.#free = [];
    for (const waiter of this.#waiting) waiter.reject(closedError());
    this.#waiting = [];
  }

  #make(): T {
    const member = this.#options.make();
    const reference = new WeakRef(member);
    this.#references.set(member, reference);
    this.#options.made?.(member, reference);
    return member;
  }

  #checkOpen(): void {
    if (this.#closed) throw closedError();
  }

  #serve(): void {
    while (!this.#closed && this.#waiting.length > 0 && this.#used.size < this.#size) {
      const waiter = this.#waiting.shift()!;
      let member: T;
      try {
        member = this.take();
      } catch (error) {
        waiter.reject(error as Error);
        continue;
      }
      waiter.resolve(member);
    }
  }

  /** Drops members idle for too long, and the coldest beyond the pool's size. */
  #trim(): void {
    if (this.#free.length <= this.#size && this.#options.idleTimeout === Infinity) return;
    const oldest = Date.now() - this.#options.idleTimeout;
    const kept: Free<T>[] = [];
    let surplus = this.#free.length - this.#size;
    for (const entry of this.#free) {
      if (surplus-- > 0 || entry.since < oldest) entry.member.discard();
      else kept.push(entry);
    }
    this.#free = kept;
  }

  #warnOfUse(count: number): void {
    const critical = count > 2 * this.#size;
    const oldest = this.#describeOldest();
    this.#options.warn(
      `${count} connections are open, with a poolSize of ${this.#size}. Is one never closed?${oldest && ` ${oldest}`}`,
      critical ? 'ZODB_POOL_CRITICAL' : 'ZODB_POOL',
    );
  }

  #describeOldest(): string {
    const [oldest] = this.used;
    return (oldest && this.#options.describe?.(oldest)) ?? '';
  }
}

function closedError(): ClosedError {
  return new ClosedError('The database is closed; open another DB.');
}
