import { ClosedError } from '../../errors';
import type { WireValue } from '../wire/values';
import { ClientDisconnected } from '../errors';
import type { Call } from './call';
import type { ServerConnection } from './connection';
import type { Connector } from './connector';

/** What work on the server waits for: the answer to a call, or (`'connection'`) a connection. */
export type Awaited = Call<unknown> | 'connection';
/** Work on the server that can be done by a caller who blocks, and by one who doesn't. What is yielded is done when it goes on. */
export type ServerWork<Result> = Generator<Awaited, Result, void>;

/** The longest time that a timer of Node takes. */
const MAX_TIMER = 2 ** 31 - 1;
/** Code of the error for a server that does not answer. */
const SILENT = 'ZEO_CALL_TIMEOUT';
/** Milliseconds for which calls still wait when others have waited in vain; and when a server is about to let us in. */
const ONCE_MORE = 100;
const GREETING = 1000;

/** Calls to the server, blocking or not. */
export class ServerLink {
  readonly #waiters = new Set<() => void>();
  #asyncCalls = 0;
  #closed = false;
  /** Somebody has waited for a connection as long as one does, and there has been none since. */
  #inVain = false;

  constructor(
    private readonly connector: Connector,
    private readonly name: string,
    /** Milliseconds. */
    private readonly waitTimeout: number,
    /** Milliseconds for which a server may be silent while a call waits. */
    private readonly callTimeout: number,
  ) {}

  get connection(): ServerConnection | undefined {
    return this.connector.current;
  }

  /**
   * The connection, for which this waits. Throws `ClientDisconnected` when none comes in time, or the server refuses; as long as there is none, those
   * who come after that wait only a moment.
   */
  require(): ServerConnection {
    this.#checkOpen();
    // It may have been lost since we looked.
    this.connector.pump();
    const current = this.connector.current;
    if (current) return current;
    if (!this.#waitForConnection(this.#patienceForConnection())) {
      const greeted = this.#inVain && this.connector.isGreeted;
      if (!greeted || !this.#waitForConnection(GREETING)) throw this.#noConnection();
    }
    const found = this.connector.current;
    if (!found) throw this.#noConnection();
    return found;
  }

  #waitForConnection(milliseconds: number): boolean {
    const deadline = performance.now() + Math.min(milliseconds, this.waitTimeout);
    const { connector } = this;
    return connector.waitUntil(
      () => connector.current !== undefined || connector.refusal !== undefined,
      deadline,
    );
  }

  #patienceForConnection(): number {
    return this.#inVain ? ONCE_MORE : this.waitTimeout;
  }

  /** Blocks until the call is done; returns its result or throws its error. */
  wait<Result>(call: Call<Result>): Result {
    this.#waitFor(call as Call<unknown>);
    if (!call.done) throw new ClosedError(`The ZEO client ${this.name} was closed.`);
    return call.result();
  }

  /** Calls a method and blocks until the answer has come. */
  call<Result>(name: string, args: WireValue, settle: (value: WireValue) => Result): Result {
    return this.wait(this.require().call(name, args, settle));
  }

  /** Reads, once more on another connection when the first is lost before the answer comes; not when a server was silent. */
  read<Result>(start: (connection: ServerConnection) => Call<Result>): Result {
    for (;;) {
      const connection = this.require();
      const call = start(connection);
      try {
        return this.wait(call);
      } catch (error) {
        if (!isWorthAnother(error) || !connection.closed) throw error;
      }
    }
  }

  /** As {@link read}, without blocking. */
  async readAsync<Result>(start: (connection: ServerConnection) => Call<Result>): Promise<Result> {
    for (;;) {
      const connection = await this.requireAsync();
      const call = start(connection);
      await this.settled(call as Call<unknown>);
      if (!isWorthAnother(call.error) || !connection.closed) return call.result();
    }
  }

  /** Does the work, blocking. */
  run<Result>(work: ServerWork<Result>): Result {
    for (;;) {
      const step = work.next();
      if (step.done) return step.value;
      if (step.value === 'connection') {
        try {
          this.require();
        } catch (error) {
          work.throw(error);
        }
      } else this.#waitFor(step.value);
    }
  }

  /** Does the work while the event loop goes on. */
  async runAsync<Result>(work: ServerWork<Result>): Promise<Result> {
    for (;;) {
      const step = work.next();
      if (step.done) return step.value;
      if (step.value === 'connection') {
        try {
          await this.requireAsync();
        } catch (error) {
          work.throw(error);
        }
      } else await this.settled(step.value);
    }
  }

  /** Resolves when the call is done, whatever its outcome. The process stays alive meanwhile. */
  settled(call: Call<unknown>): Promise<void> {
    this.connector.current?.flush();
    this.#hold();
    const start = performance.now();
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const watch = (): void => {
        const left = this.#patience(call, start);
        if (left > 0) timer = setTimeout(watch, Math.min(left, MAX_TIMER));
      };
      if (!call.done) timer = setTimeout(watch, Math.min(this.callTimeout, MAX_TIMER));
      call.whenDone(() => {
        clearTimeout(timer);
        this.#letGo();
        resolve();
      });
    });
  }

  /** As {@link require}, without blocking. */
  async requireAsync(): Promise<ServerConnection> {
    this.#checkOpen();
    if (this.connector.current) return this.connector.current;
    this.#hold();
    await this.#waitForConnectionAsync(this.#patienceForConnection());
    if (!this.connector.current && this.#inVain && this.connector.isGreeted)
      await this.#waitForConnectionAsync(GREETING);
    this.#letGo();
    this.#checkOpen();
    if (!this.connector.current) throw this.#noConnection();
    return this.connector.current;
  }

  #waitForConnectionAsync(milliseconds: number): Promise<void> {
    return new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiters.delete(done);
        resolve();
      };
      const timer = setTimeout(done, Math.min(milliseconds, this.waitTimeout, MAX_TIMER));
      this.#waiters.add(done);
    });
  }

  /** A connection is there: those who wait for one go on. */
  wake(): void {
    this.#inVain = false;
    this.giveUp();
  }

  /** No connection is to be expected: nobody waits any longer. */
  giveUp(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }

  close(): void {
    this.#closed = true;
    this.wake();
  }

  /** Blocks until the call is done, or the client closed. */
  #waitFor(call: Call<unknown>): void {
    if (call.done) return;
    const start = performance.now();
    let left = this.callTimeout;
    do {
      if (this.connector.waitUntil(() => call.done, performance.now() + left)) return;
      left = this.#patience(call, start);
    } while (left > 0 && !this.#closed);
  }

  /** How many milliseconds the server still has for an answer; when there are none left, the call has failed. */
  #patience(call: Call<unknown>, start: number): number {
    // What it said may have arrived while this thread did something else.
    this.connector.pump();
    if (call.done) return 0;
    const heardAt = Math.max(start, this.connector.current?.heardAt ?? 0);
    const left = heardAt + this.callTimeout - performance.now();
    if (left > 0) return left;
    const reason = `the server was silent for ${this.callTimeout} ms, the option callTimeout`;
    const error = new ClientDisconnected(
      `The call of ${call.name} was given up and the connection of ${this.name} closed: ${reason}. Run the transaction ` +
        'again, see whether the server hangs, or raise callTimeout.',
      { code: SILENT },
    );
    this.connector.reconnect(reason, error);
    call.fail(error);
    return 0;
  }

  #hold(): void {
    if (this.#asyncCalls++ === 0) this.connector.bridge.ref();
  }

  #letGo(): void {
    if (--this.#asyncCalls === 0) this.connector.bridge.unref();
  }

  #checkOpen(): void {
    if (this.#closed) throw new ClosedError(`The ZEO client ${this.name} is closed.`);
  }

  #noConnection(): ClientDisconnected {
    const { refusal } = this.connector;
    if (refusal) {
      return new ClientDisconnected(`The ZEO server refuses ${this.name}: ${refusal.message}`, {
        cause: refusal,
      });
    }
    if (!this.#inVain) {
      // Those who began to wait later need not wait longer.
      this.#inVain = true;
      this.giveUp();
    }
    const cause = this.connector.lastFailure;
    const why = cause ? ` ${cause.message}` : '';
    return new ClientDisconnected(
      `No connection to a ZEO server for ${this.name} within ${this.waitTimeout} ms, the option waitTimeout.${why}`,
      cause ? { cause } : {},
    );
  }
}

/** Whether a read that failed so is done again on another connection. */
export function isWorthAnother(error: unknown): boolean {
  return error instanceof ClientDisconnected && error.code !== SILENT;
}
