/** Databases of every kind, opened for one test and closed after it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DB, TransactionManager, type Connection, type DBOptions } from 'zodb';

export type OpenDatabase = (options?: DBOptions & Record<string, unknown>) => DB;

/** Runs a group of tests on memory, SQLite and File. `open` may be called repeatedly: it opens the same file again. */
export function onEveryDatabase(title: string, tests: (open: OpenDatabase) => void): void {
  describe.each(['memory', 'sqlite', 'file'] as const)(`${title} (%s)`, (kind) => {
    const opened: DB[] = [];
    let directory: string;
    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), 'zodb-test-'));
    });
    afterEach(() => {
      for (const db of opened.splice(0)) {
        for (const conn of db.openConnections) conn[Symbol.dispose]();
        db.close();
      }
      rmSync(directory, { recursive: true, force: true });
    });
    tests((options = {}) => {
      const where = {
        memory: null,
        sqlite: join(directory, 'data.sqlite'),
        file: join(directory, 'Data.fs'),
      }[kind];
      const db = new DB(where, options) as unknown as DB;
      opened.push(db);
      return db;
    });
  });
}

/** A connection with a transaction manager of its own: an independent user of the database. */
export function user(db: DB): Connection & { commit(): void; abort(): void } {
  const conn = db.open({ transactionManager: new TransactionManager() }) as unknown as Connection;
  return Object.assign(conn, {
    commit: () => conn.transactionManager.commit(),
    abort: () => conn.transactionManager.abort(),
  });
}
