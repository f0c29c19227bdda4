/** The part of better-sqlite3 that is used here, and how it is found: on first use, since it is optional. */
import { createRequire } from 'node:module';
import { StorageError } from '../../errors';

/** A value as SQLite takes it. */
export type SqlValue = number | bigint | string | Uint8Array | null;

/** A prepared statement. `Row` is what `get` gives, by `pluck` and `raw` as well. */
export interface Statement<Row = unknown> {
  run(...params: SqlValue[]): { changes: number };
  get(...params: SqlValue[]): Row | undefined;
  all(...params: SqlValue[]): Row[];
  iterate(...params: SqlValue[]): IterableIterator<Row>;
  pluck(on?: boolean): this;
  raw(on?: boolean): this;
  safeIntegers(on?: boolean): this;
}

/** A connection to an SQLite file. */
export interface Database {
  readonly open: boolean;
  readonly inTransaction: boolean;
  prepare<Row = unknown>(sql: string): Statement<Row>;
  exec(sql: string): unknown;
  pragma(sql: string, options?: { simple?: boolean }): unknown;
  close(): unknown;
}

/** Options of the driver's constructor. */
export interface DriverOptions {
  readonly readonly?: boolean;
  readonly fileMustExist?: boolean;
  readonly timeout?: number;
}

type Driver = new (path: string, options?: DriverOptions) => Database;

let driver: Driver | undefined;

/** Loads better-sqlite3; a missing or broken installation is explained. */
export function sqliteDriver(): Driver {
  return (driver ??= loadDriver(() => createRequire(__filename)('better-sqlite3') as Driver));
}

/** @internal apart from {@link sqliteDriver} for the sake of its messages */
export function loadDriver(load: () => Driver): Driver {
  let loaded: Driver;
  try {
    loaded = load();
  } catch (cause) {
    throw new StorageError(
      `SQLite storage needs the package better-sqlite3, which can not be loaded here. Install it with "npm install better-sqlite3", ${OTHERS}`,
      { code: 'NO_SQLITE', cause },
    );
  }
  try {
    // The package alone is no more than a wrapper: its native part is looked for when a database is opened.
    new loaded(':memory:').close();
    return loaded;
  } catch (cause) {
    throw new StorageError(
      'The package better-sqlite3 is installed, but its native part was not built, or for another version of Node. Package managers may ' +
        'skip such builds: allow it ("npm install-scripts approve better-sqlite3", "pnpm approve-builds"), then "npm rebuild better-sqlite3"; ' +
        OTHERS,
      { code: 'NO_SQLITE', cause },
    );
  }
}

const OTHERS = 'or use a File storage (a path that ends in .fs) or memory, which need no native code.';
