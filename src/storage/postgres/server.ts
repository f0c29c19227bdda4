import { SyncBridge } from '../../bridge/index';
import { ClosedError, StorageError } from '../../errors';
import { disconnected, translateError, type ServerError } from './postgres-errors';
import { Rows } from './rows';
import { LONGEST_WAIT } from './options';
import {
  Channel,
  serverWorker,
  Tag,
  type GiveUp,
  type Order,
  type Place,
  type ServerSetup,
} from './server-worker';

/** A statement, with what goes into it. Those with a name are prepared once a connection. */
export interface Statement {
  readonly channel: Channel;
  readonly text: string;
  readonly values?: readonly unknown[];
  readonly name?: string;
  readonly place?: Place;
  /** Milliseconds that the server may wait for others before it begins. */
  readonly patience?: number;
  /** Its byte strings are not needed any more: they are handed over rather than copied. */
  readonly isGiven?: boolean;
}

/** Work on the server that can be done by a caller who blocks, and by one who doesn't: statements out, rows in. */
export type ServerWork<Result> = Generator<Statement, Result, Rows>;

interface Waiting {
  readonly done: (rows: Rows) => void;
  readonly failed: (error: unknown) => void;
}

/** Byte strings of so many bytes are handed over to the worker rather than copied. */
const LONG = 64 << 10;

/** Statements to a PostgreSQL server, blocking or not. */
export class Server {
  /** Somebody committed, or the connection that would have told of it was lost. */
  onNotice: () => void = () => undefined;
  readonly #bridge: SyncBridge;
  readonly #name: string;
  readonly #callTimeout: number;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #transactions = 0;
  #isNoticed = false;
  #isClosed = false;
  #failure: Error | undefined;

  constructor(setup: ServerSetup, name: string, callTimeout: number) {
    this.#name = name;
    this.#callTimeout = callTimeout;
    this.#bridge = new SyncBridge(serverWorker, { data: setup, name: 'zodb-postgres' });
    this.#bridge.onReadable = () => this.#pump();
    this.#bridge.onFailure = (error) => {
      this.#failure = error;
      for (const { failed } of this.#waiting.values()) failed(disconnected(this.#name, error.message));
      this.#waiting.clear();
    };
  }

  /** Runs a statement; blocks until its rows are there. A read that found the connection lost is asked once more. */
  call(statement: Statement): Rows {
    try {
      return this.#call(statement);
    } catch (error) {
      if (!canBeRepeated(statement, error)) throw error;
      return this.#call(statement);
    }
  }

  /** As {@link call}, without blocking. */
  async callAsync(statement: Statement): Promise<Rows> {
    try {
      return await this.#callAsync(statement);
    } catch (error) {
      if (!canBeRepeated(statement, error)) throw error;
      return this.#callAsync(statement);
    }
  }

  /** A number for a transaction that begins. */
  newTransaction(): number {
    return ++this.#transactions;
  }

  /** Does all the work now. */
  run<Result>(work: ServerWork<Result>): Result {
    let step = work.next();
    while (!step.done) step = this.#resume(work, () => this.call(step.value as Statement));
    return step.value;
  }

  /** Does the work without blocking. */
  async runAsync<Result>(work: ServerWork<Result>): Promise<Result> {
    let step = work.next();
    while (!step.done) {
      let rows: Rows;
      try {
        rows = await this.callAsync(step.value);
      } catch (error) {
        step = work.throw(error);
        continue;
      }
      step = work.next(rows);
    }
    return step.value;
  }

  #resume<Result>(work: ServerWork<Result>, call: () => Rows): IteratorResult<Statement, Result> {
    let rows: Rows;
    try {
      rows = call();
    } catch (error) {
      return work.throw(error);
    }
    return work.next(rows);
  }

  /** What was posted before is not waited for. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const { failed } of this.#waiting.values()) failed(this.#closedError());
    this.#waiting.clear();
    void this.#bridge.close();
  }

  #call(statement: Statement): Rows {
    let rows: Rows | undefined;
    let failure: { readonly error: unknown } | undefined;
    const id = this.#post(statement, {
      done: (found) => (rows = found),
      failed: (error) => (failure = { error }),
    });
    const end = performance.now() + this.#timeout(statement);
    for (;;) {
      this.#receive();
      if (rows !== undefined) return rows;
      if (failure !== undefined) throw failure.error;
      const left = end - performance.now();
      if (left <= 0 || !this.#bridge.wait(left)) throw this.#giveUp(id, statement);
    }
  }

  #callAsync(statement: Statement): Promise<Rows> {
    return new Promise<Rows>((done, failed) => {
      const settled = (): void => {
        clearTimeout(timer);
        if (this.#waiting.size === 0) this.#bridge.unref();
      };
      const waiting: Waiting = {
        done: (rows) => {
          settled();
          done(rows);
        },
        failed: (error) => {
          settled();
          failed(error as Error);
        },
      };
      const id = this.#post(statement, waiting);
      this.#bridge.ref();
      const timer = setTimeout(() => {
        // The answer may be there, and the event loop was late.
        this.#receive();
        if (this.#waiting.has(id)) waiting.failed(this.#giveUp(id, statement));
      }, this.#timeout(statement)).unref();
    });
  }

  #timeout({ patience = 0 }: Statement): number {
    return Math.min(this.#callTimeout + patience, LONGEST_WAIT);
  }

  /** The connection may be dead without anybody having been told: the next statement has a new one. */
  #giveUp(id: number, statement: Statement): StorageError {
    this.#waiting.delete(id);
    this.#bridge.post({ givenUp: id, channel: statement.channel } satisfies GiveUp);
    return disconnected(this.#name, `no answer within ${this.#timeout(statement)} ms`);
  }

  #post({ channel, text, values, name, place, isGiven }: Statement, waiting: Waiting): number {
    if (this.#isClosed) throw this.#closedError();
    if (this.#failure) throw disconnected(this.#name, this.#failure.message);
    const id = (this.#lastId = (this.#lastId + 1) % 0x1_0000_0000);
    this.#waiting.set(id, waiting);
    const given = values?.map(compact);
    const bytes = isGiven ? given?.flatMap(transferable) : undefined;
    this.#bridge.post({ id, channel, text, values: given, name, place } satisfies Order, bytes);
    return id;
  }

  /** From the event loop. */
  #pump(): void {
    this.#receive();
    if (!this.#isNoticed || this.#isClosed) return;
    this.#isNoticed = false;
    this.onNotice();
  }

  #receive(): void {
    for (;;) {
      const record = this.#bridge.receive();
      if (record === undefined) return;
      if (this.#bridge.tag === Tag.notice) {
        this.#isNoticed = true;
        continue;
      }
      const isRows = this.#bridge.tag === Tag.rows;
      const id = record.readUInt32LE(0);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (waiting === undefined) continue;
      if (isRows) waiting.done(new Rows(record));
      else {
        const error = JSON.parse(record.toString('utf8', 4)) as ServerError;
        waiting.failed(translateError(error, this.#name));
      }
    }
  }

  #closedError(): ClosedError {
    return new ClosedError(`The storage ${this.#name} is closed.`);
  }
}

/** Reads can be asked again on a new connection; what belongs to a transaction can't. */
function canBeRepeated({ channel }: Statement, error: unknown): boolean {
  return channel === Channel.read && error instanceof StorageError && error.code === 'CONNECTION_LOST';
}

/** A message takes along all the memory that a byte string is a part of. */
function compact(value: unknown): unknown {
  return value instanceof Uint8Array && value.length < value.buffer.byteLength
    ? new Uint8Array(value)
    : value;
}

/** Short ones are copied faster than they are handed over. */
function transferable(value: unknown): ArrayBuffer[] {
  return value instanceof Uint8Array && value.length >= LONG ? [value.buffer as ArrayBuffer] : [];
}
