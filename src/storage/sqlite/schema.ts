/**
 * What the file holds. Rows carry `seq`, the dense number of the commit that wrote them: SQLite's 64-bit tids don't fit
 * a JavaScript number.
 *
 * | table | a row is |
 * |---|---|
 * | `txn` | a transaction; `changed` its packed oids, `past` the highest `history.id` after it, `objects` the number of objects after it |
 * | `object` | the current revision of an object |
 * | `history` | a superseded revision; `id` ascends in the order in which they were superseded, so that packing removes a prefix. Found from the revision that superseded it: see record-format.ts |
 * | `blob` | the content of a revision of a blob object |
 * | `blob_content` | a content; `touched` is when it was last written to while it is being staged, 0 once it is committed |
 * | `blob_chunk` | a piece of a content: `id` = content × 2^20 + number of the piece |
 * | `meta` | a named value of the database |
 * | `doomed` | an object that a pack removes; the first pack makes the table: see doomed.ts |
 *
 * `state` and `refs` are described in record-format.ts and references.ts, the CRC of `txn` in transaction-row.ts.
 */
import {
  CorruptionError,
  FormatError,
  InvalidArgumentError,
  ReadOnlyError,
  StorageError,
} from '../../errors';
import type { Handle } from './handle';

/** `ZODB` in ASCII: the file's `application_id`. */
export const APPLICATION_ID = 0x5a4f_4442;
/** The file's `user_version`. */
export const SCHEMA_VERSION = 1;

const SCHEMA = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE txn (
  seq INTEGER PRIMARY KEY, tid INTEGER NOT NULL, packed INTEGER NOT NULL, past INTEGER NOT NULL,
  objects INTEGER NOT NULL, crc INTEGER NOT NULL, user BLOB, description BLOB, extension BLOB, changed BLOB
);
CREATE TABLE object (oid INTEGER PRIMARY KEY, seq INTEGER NOT NULL, refs BLOB, state BLOB NOT NULL);
CREATE TABLE history (
  id INTEGER PRIMARY KEY, oid INTEGER NOT NULL, seq INTEGER NOT NULL, refs BLOB, state BLOB NOT NULL
);
CREATE TABLE blob (
  oid INTEGER NOT NULL, seq INTEGER NOT NULL, content INTEGER NOT NULL, crc INTEGER NOT NULL,
  PRIMARY KEY (oid, seq)
) WITHOUT ROWID;
CREATE INDEX blob_by_content ON blob (content);
CREATE TABLE blob_content (
  id INTEGER PRIMARY KEY AUTOINCREMENT, size INTEGER NOT NULL, crc INTEGER NOT NULL, touched INTEGER NOT NULL, path TEXT
);
CREATE TABLE blob_chunk (id INTEGER PRIMARY KEY, crc INTEGER NOT NULL, data BLOB NOT NULL);
`;

/** What an SQLite file turns out to be. */
type FileKind = 'empty' | 'ours' | 'foreign';

/**
 * Makes the tables in an empty file, brings an older file up to date, and refuses what is not ours by name. Any number
 * of processes may do so at once.
 */
export function prepareSchema(
  handle: Handle,
  lockTimeout: number,
  readOnly: boolean,
  defaults: [string, string][],
): void {
  // A file that is not ours must stay as it is: look before the journal mode is touched.
  let kind = fileKind(handle);
  if (kind === 'foreign') throw foreignFile(handle.path);
  if (readOnly) {
    if (kind === 'empty')
      throw new ReadOnlyError(`${handle.path} is empty; open it once for writing to prepare it.`);
    checkVersion(handle);
    return;
  }
  // Has an effect on an empty file only: packing can give pages back without rewriting everything.
  if (kind === 'empty') handle.pragma('auto_vacuum=INCREMENTAL');
  enterWal(handle, lockTimeout);
  if (kind === 'ours' && checkVersion(handle) === SCHEMA_VERSION) return;
  handle.beginImmediate(lockTimeout);
  try {
    kind = fileKind(handle);
    if (kind === 'foreign') throw foreignFile(handle.path);
    if (kind === 'empty') createTables(handle, defaults);
    else checkVersion(handle);
    handle.commit();
  } catch (error) {
    handle.rollback();
    throw error;
  }
}

/** A value of the `meta` table. */
export function readMeta(handle: Handle, name: string): number | string | undefined {
  try {
    return handle.prepare<number | string>('SELECT value FROM meta WHERE name = ?').pluck().get(name);
  } catch (error) {
    throw handle.failed(error);
  }
}

/** Sets a value of the `meta` table, in the caller's transaction. */
export function writeMeta(handle: Handle, name: string, value: number | string): void {
  try {
    handle.prepare('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)').run(name, value);
  } catch (error) {
    throw handle.failed(error);
  }
}

function createTables(handle: Handle, defaults: [string, string][]): void {
  handle.exec(SCHEMA);
  for (const [name, value] of defaults) writeMeta(handle, name, value);
  handle.pragma(`application_id=${APPLICATION_ID}`);
  handle.pragma(`user_version=${SCHEMA_VERSION}`);
}

function fileKind(handle: Handle): FileKind {
  // The mark is read last: another process may make the tables and the mark, together, between two of these.
  const tables = handle.prepare<number>('SELECT count(*) FROM sqlite_schema').pluck().get();
  const version = handle.pragma('user_version');
  const id = handle.pragma('application_id');
  if (id === APPLICATION_ID) return 'ours';
  return id === 0 && tables === 0 && version === 0 ? 'empty' : 'foreign';
}

/** The file's version; throws for one that this release does not know. */
function checkVersion(handle: Handle): number {
  const version = handle.pragma('user_version') as number;
  if (version > SCHEMA_VERSION) {
    throw new FormatError(
      `${handle.path} was written by a newer release of zodb (its schema is version ${version}, this release knows ` +
        `${SCHEMA_VERSION}). Upgrade zodb to open it.`,
      { code: 'NEWER_SCHEMA' },
    );
  }
  if (version < 1)
    throw new CorruptionError(`${handle.path} is marked as a zodb database of version ${version}.`);
  return version;
}

function enterWal(handle: Handle, lockTimeout: number): void {
  const end = performance.now() + lockTimeout;
  for (;;) {
    try {
      const mode = handle.pragma('journal_mode=wal');
      if (mode === 'wal') return;
      throw new StorageError(
        `${handle.path} can't use SQLite's write-ahead log (its journal mode stays ${String(mode)}); it needs a local ` +
          'file system with shared memory.',
        { code: 'NO_WAL' },
      );
    } catch (error) {
      // Two processes that change the mode at once: SQLite refuses one of them without waiting.
      if (!(error instanceof Error && 'retryable' in error && error.retryable) || performance.now() > end)
        throw error;
    }
  }
}

function foreignFile(path: string): FormatError {
  return new FormatError(
    `${path} is an SQLite database, but not one of zodb's (its application_id differs). It was left as it is; choose ` +
      'another path.',
    { code: 'FOREIGN_FILE' },
  );
}

/** Refuses options that contradict what the file was made with. */
export function refuseChange(option: string, stored: string, wanted: string): never {
  throw new InvalidArgumentError(
    `The option ${option} is fixed when a database is made: this one has ${stored}, not ${wanted}. Copy it to a new one.`,
  );
}
