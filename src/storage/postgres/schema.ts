/**
 * What the schema holds.
 *
 * | table | a row is |
 * |---|---|
 * | `txn` | a transaction; `objects` is the number of objects after it |
 * | `revision` | an object as a transaction left it: `state` NULL where it was deleted; `refs` its strong references, 8 bytes each (NULL: not known); `state_tid` the earlier transaction whose state it is; `blob` the content |
 * | `blob` | a content; `size` bytes |
 * | `blob_chunk` | a piece of a content, {@link CHUNK} bytes but for the last |
 * | `doomed` | an object that a pack is about to remove: nothing may begin to refer to it |
 * | `meta` | a named number of the database: `version` of the tables; `packed_to`, up to where superseded revisions may be gone; `oids` below which all may have been given out; `removals`, which grows whenever objects are removed, and is odd as long as some are doomed |
 *
 * Tids ascend in the order in which commits become visible, because each
 * takes a lock before it chooses its tid, and has it until it is committed. The roles of tables are those of RelStorage (`relstorage/adapters/schema.py`), the tables are not.
 */
import { createHash } from 'node:crypto';
import { FormatError, StorageError } from '../../errors';
import type { ResolvedOptions } from './options';
import type { ServerWork } from './server';
import { Channel } from './server-worker';

/** Grows with each change of the tables that older releases can't work with. */
const VERSION = 1;
/** Bytes of a piece of a blob. */
export const CHUNK = 1 << 20;
/** The first of the two numbers of our advisory locks; the second is made from the schema's name. */
const LOCK_COMMITS = 0x5a4f_4401;
const LOCK_PACKS = 0x5a4f_4402;

/** The names of what is in the schema, quoted. */
export class Schema {
  readonly name: string;
  readonly txn: string;
  readonly revision: string;
  readonly blob: string;
  readonly blobChunk: string;
  readonly doomed: string;
  readonly meta: string;
  /** The channel on which commits are told; not quoted. */
  readonly channel: string;
  readonly commitLock: string;
  readonly packLock: string;

  constructor(schema: string) {
    this.name = quoted(schema);
    this.txn = `${this.name}.txn`;
    this.revision = `${this.name}.revision`;
    this.blob = `${this.name}.blob`;
    this.blobChunk = `${this.name}.blob_chunk`;
    this.doomed = `${this.name}.doomed`;
    this.meta = `${this.name}.meta`;
    this.channel = channelOf(schema);
    this.commitLock = `${LOCK_COMMITS}, hashtext(${literal(schema)})`;
    this.packLock = `${LOCK_PACKS}, hashtext(${literal(schema)})`;
  }
}

/** Makes what is missing, and refuses what a newer release made. */
export function* prepareSchema(schema: Schema, { create, readOnly }: ResolvedOptions): ServerWork<void> {
  if (!(yield* exists(schema))) {
    if (readOnly || !create) {
      throw new StorageError(
        `There is no database in the schema ${schema.name}. Opened read-only, or with "create: false", none is made.`,
        { code: 'NO_FILE' },
      );
    }
    // Any number of programs may do this at once.
    yield {
      channel: Channel.commit,
      text: `BEGIN; SELECT pg_advisory_xact_lock(${schema.commitLock}); ${tables(schema)}; COMMIT`,
    };
  }
  const rows = yield {
    channel: Channel.read,
    text: `SELECT value FROM ${schema.meta} WHERE name = 'version'`,
  };
  const version = rows.next() ? rows.number() : 0;
  if (version !== VERSION) {
    throw new FormatError(
      `The schema ${schema.name} was made by ${version > VERSION ? 'a newer' : 'another'} release of zodb (its version is ${version}, this release knows ${VERSION}). Upgrade zodb to open it.`,
      { code: 'NEWER_SCHEMA' },
    );
  }
}

function* exists({ meta }: Schema): ServerWork<boolean> {
  const rows = yield { channel: Channel.read, text: 'SELECT to_regclass($1) IS NOT NULL', values: [meta] };
  rows.next();
  return rows.text() === 't';
}

function tables({ name, txn, revision, blob, blobChunk, doomed, meta }: Schema): string {
  return `
    CREATE SCHEMA IF NOT EXISTS ${name};
    CREATE TABLE IF NOT EXISTS ${meta} (name text PRIMARY KEY, value bigint NOT NULL);
    CREATE TABLE IF NOT EXISTS ${txn} (
      tid bigint PRIMARY KEY, packed boolean NOT NULL, objects bigint NOT NULL,
      username bytea NOT NULL, description bytea NOT NULL, extension bytea NOT NULL
    );
    CREATE TABLE IF NOT EXISTS ${revision} (
      oid bigint NOT NULL, tid bigint NOT NULL, state bytea, refs bytea, state_tid bigint, blob bigint
    );
    CREATE UNIQUE INDEX IF NOT EXISTS revision_by_oid ON ${revision} (oid, tid DESC);
    CREATE INDEX IF NOT EXISTS revision_by_tid ON ${revision} (tid, oid);
    CREATE INDEX IF NOT EXISTS revision_by_blob ON ${revision} (blob) WHERE blob IS NOT NULL;
    CREATE TABLE IF NOT EXISTS ${blob} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, size bigint NOT NULL);
    CREATE TABLE IF NOT EXISTS ${blobChunk} (
      blob bigint NOT NULL, number integer NOT NULL, data bytea NOT NULL, PRIMARY KEY (blob, number)
    );
    CREATE TABLE IF NOT EXISTS ${doomed} (oid bigint PRIMARY KEY);
    ALTER TABLE ${blobChunk} ALTER COLUMN data SET STORAGE EXTERNAL;
    INSERT INTO ${meta} VALUES ('version', ${VERSION}), ('packed_to', 0), ('oids', 1), ('removals', 0) ON CONFLICT DO NOTHING`;
}

/** Tells everybody, when it is committed, that objects were removed: the new number of removals, which is odd as long as objects are doomed. */
export function removed({ meta }: Schema): string {
  return `UPDATE ${meta} SET value = value + 2 WHERE name = 'removals' RETURNING value`;
}

/** As {@link removed}, for objects that are doomed. */
export function doom({ meta }: Schema): string {
  return `UPDATE ${meta} SET value = (value + 1) | 1 WHERE name = 'removals' RETURNING value`;
}

/** As {@link removed}, when none is doomed any more. Who read one meanwhile learns that it is gone. */
export function undoom({ meta, doomed }: Schema): string {
  return `UPDATE ${meta} SET value = (value + 1) & ~1::bigint WHERE name = 'removals' AND NOT EXISTS (SELECT 1 FROM ${doomed}) RETURNING value`;
}

/** A name of a channel has 63 bytes at most. */
function channelOf(schema: string): string {
  const hash = createHash('sha256').update(schema).digest('hex').slice(0, 32);
  return `zodb_${hash}`;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
}
