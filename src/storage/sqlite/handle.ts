import { statSync } from 'node:fs';
import { keepSpecimen } from '../../specimens';
import { ClosedError, LockError, StorageError, ZodbError } from '../../errors';
import { oidToBigInt, type Oid } from '../../ids';
import { sqliteDriver, type Database, type Statement } from './driver';
import { translateError } from './sqlite-errors';

/** Names a file however it is called: a file moved or replaced underneath is another one. */
export interface FileIdentity {
  readonly dev: number;
  readonly ino: number;
}

/** Identity of the file at `path`, or `undefined` when there is none. */
export function fileIdentity(path: string): FileIdentity | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found && { dev: found.dev, ino: found.ino };
}

/** Throws when the file at `path` is not the one that was opened. */
export function checkIdentity(path: string, opened: FileIdentity): void {
  const found = fileIdentity(path);
  if (found?.ino === opened.ino && found.dev === opened.dev) return;
  throw new StorageError(
    `${path} was ${found ? 'replaced' : 'removed'} while it was open. Nothing more can be stored in it; ` +
      'close the database, put the file in its place, and open it again.',
    { code: 'FILE_REPLACED' },
  );
}

/** Options of a {@link Handle}. */
export interface HandleOptions {
  readonly readOnly: boolean;
  readonly mustExist: boolean;
  /** Bytes of cached pages. */
  readonly pageCache: number;
}

/** Buffers that the driver makes are others to V8 than Node's own; and what it says of a change. */
let specimen: unknown;
let change: unknown;

/** As long as a commit waits by default: who makes the database, or was the last to close it, may be waiting for a slow disk. */
const BUSY_MS = 30_000;

const LOCK_WAIT = new Int32Array(new SharedArrayBuffer(4));

/** Lets other processes go on for a moment, of random length so that they don't meet again and again. */
export function pause(): void {
  Atomics.wait(LOCK_WAIT, 0, 0, 0.2 + Math.random() * 2);
}

/** An SQLite connection whose errors are this package's. */
export class Handle {
  readonly path: string;
  readonly db: Database;
  readonly #begin: Statement;
  readonly #beginImmediate: Statement;
  readonly #commit: Statement;
  readonly #rollback: Statement;

  constructor(path: string, options: HandleOptions) {
    this.path = path;
    const Driver = sqliteDriver();
    try {
      // The driver's own waiting serves opening, and reads during recovery and checkpoints; commits wait in beginImmediate.
      this.db = new Driver(path, {
        readonly: options.readOnly,
        fileMustExist: options.mustExist,
        timeout: BUSY_MS,
      });
      this.db.pragma(`cache_size=${-Math.max(64, Math.round(options.pageCache / 1024))}`);
      specimen ??= keepSpecimen(this.db.prepare<Buffer>("SELECT x'00'").pluck().get()!);
      this.#begin = this.db.prepare('BEGIN');
      this.#beginImmediate = this.db.prepare('BEGIN IMMEDIATE');
      this.#commit = this.db.prepare('COMMIT');
      this.#rollback = this.db.prepare('ROLLBACK');
      if (change === undefined) {
        this.#begin.run();
        change = keepSpecimen(this.#rollback.run());
      }
    } catch (error) {
      throw translateError(error, path);
    }
  }

  /** From here on a lock that somebody else has is reported at once: {@link beginImmediate} waits by itself. */
  dontWait(): void {
    this.pragma('busy_timeout=0');
  }

  prepare<Row>(sql: string): Statement<Row> {
    try {
      return this.db.prepare<Row>(sql);
    } catch (error) {
      throw this.failed(error);
    }
  }

  pragma(sql: string): unknown {
    try {
      return this.db.pragma(sql, { simple: true });
    } catch (error) {
      throw this.failed(error);
    }
  }

  exec(sql: string): void {
    try {
      this.db.exec(sql);
    } catch (error) {
      throw this.failed(error);
    }
  }

  begin(): void {
    try {
      this.#begin.run();
    } catch (error) {
      throw this.failed(error);
    }
  }

  /** Begins to write, waiting for other processes up to `timeout` milliseconds. */
  beginImmediate(timeout: number): void {
    const end = performance.now() + timeout;
    while (!this.tryBeginImmediate()) {
      if (performance.now() >= end) throw this.lockedOut(timeout);
      pause();
    }
  }

  /** As {@link beginImmediate}, leaving the event loop free. */
  async beginImmediateAsync(timeout: number): Promise<void> {
    const end = performance.now() + timeout;
    while (!this.tryBeginImmediate()) {
      if (performance.now() >= end) throw this.lockedOut(timeout);
      await new Promise<void>((resolve) => setTimeout(resolve, 1 + Math.random() * 3));
    }
  }

  /** False when somebody else is writing. */
  tryBeginImmediate(): boolean {
    try {
      this.#beginImmediate.run();
      return true;
    } catch (error) {
      const translated = this.failed(error);
      if (translated instanceof LockError) return false;
      throw translated;
    }
  }

  commit(): void {
    try {
      this.#commit.run();
    } catch (error) {
      throw this.failed(error);
    }
  }

  /** Ends a transaction, if one is open, without its changes. */
  rollback(): void {
    if (!this.db.open || !this.db.inTransaction) return;
    try {
      this.#rollback.run();
    } catch (error) {
      throw this.failed(error);
    }
  }

  close(): void {
    if (this.db.open) this.db.close();
  }

  /** An error of SQLite in this package's terms. */
  failed(error: unknown): unknown {
    if (!this.db.open && !(error instanceof ZodbError)) {
      return new ClosedError(`The storage ${this.path} was closed meanwhile.`, { cause: error });
    }
    return translateError(error, this.path);
  }

  lockedOut(timeout: number): LockError {
    return new LockError(
      `Another process has been writing to ${this.path} for more than ${timeout} ms. Nothing was stored: run the ` +
        'transaction again, see which process holds the file open, or raise the option lockTimeout.',
      { code: 'LOCK_TIMEOUT', retryable: true },
    );
  }
}

/** An oid as SQLite's 64-bit integer. */
export function oidKey(oid: Oid): number | bigint {
  return oid >= 0 ? oid : BigInt.asIntN(64, oidToBigInt(oid));
}
