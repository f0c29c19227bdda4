import { InvalidArgumentError, refuseUnknownOptions } from '../errors';
import { dateOfTid, type Oid, type Tid } from '../ids';
import type { Storage } from '../storage/index';

/** A committed transaction, as {@link watchChanges} reports it. */
export interface Change {
  readonly tid: Tid;
  readonly time: Date;
  readonly user: string;
  readonly description: string;
  /** The objects that it wrote; `'all'` when the storage can't tell. */
  readonly oids: readonly Oid[] | 'all';
}

/** Options of `db.changes()`. */
export interface ChangesOptions {
  /** Report what was committed after this transaction. Default: what is committed from now on. */
  readonly since?: Tid;
  /** How often to look for commits of other processes, in milliseconds. Default 100. */
  readonly interval?: number;
  /** Ends the iteration. */
  readonly signal?: AbortSignal;
}

const KNOWN = ['since', 'interval', 'signal'] satisfies (keyof ChangesOptions)[];

/** Wakes those who wait for the next commit of this process. */
export class CommitBell {
  #waiting = new Set<() => void>();

  ring(): void {
    const waiting = this.#waiting;
    if (waiting.size === 0) return;
    this.#waiting = new Set();
    for (const wake of waiting) wake();
  }

  /** Resolves at the next ring, after `milliseconds`, or when `signal` aborts. */
  wait(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      this.#waiting.add(done);
      signal?.addEventListener('abort', done);
    });
  }
}

/** Committed transactions in order, of this process and of others, until the database is closed or `signal` aborts. */
export function watchChanges(
  storage: Storage,
  bell: CommitBell,
  isClosed: () => boolean,
  options: ChangesOptions & { readonly since: Tid },
): AsyncGenerator<Change, void, void> {
  refuseUnknownOptions('changes()', options, KNOWN);
  return watch(storage, bell, isClosed, options);
}

async function* watch(
  storage: Storage,
  bell: CommitBell,
  isClosed: () => boolean,
  { since, interval = 100, signal }: ChangesOptions & { readonly since: Tid },
): AsyncGenerator<Change, void, void> {
  if (typeof since !== 'bigint') throw new InvalidArgumentError(`since must be a tid, not ${typeof since}.`);
  if (!(interval >= 1)) throw new InvalidArgumentError(`interval must be at least 1 ms, not ${interval}.`);
  const instance = storage.newInstance();
  try {
    let last = since;
    while (!signal?.aborted && !isClosed()) {
      const changed = instance.poll();
      const upTo = instance.snapshot;
      if (upTo > last) {
        yield* changesBetween(storage, last, upTo, changed);
        last = upTo;
      } else {
        await bell.wait(interval, signal);
      }
    }
  } finally {
    if (!isClosed()) instance.release();
  }
}

function* changesBetween(
  storage: Storage,
  after: Tid,
  upTo: Tid,
  changed: readonly Oid[] | 'all',
): Generator<Change> {
  if (!storage.iterate) {
    yield { tid: upTo, time: dateOfTid(upTo), user: '', description: '', oids: changed };
    return;
  }
  for (const { tid, meta, records } of transactions(storage, after, upTo)) {
    const oids = [...new Set(Array.from(records(), (record) => record.oid))];
    yield { tid, time: dateOfTid(tid), user: meta.user, description: meta.description, oids };
  }
}

function* transactions(storage: Storage, after: Tid, upTo: Tid) {
  for (const transaction of storage.iterate!((after + 1n) as Tid, upTo)) {
    yield { tid: transaction.tid, meta: transaction.meta, records: () => transaction.records() };
  }
}
