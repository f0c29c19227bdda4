import { InvalidArgumentError, StorageError } from '../../errors';
import type { ResolvedOptions } from './options';
import type { Schema } from './schema';
import type { ServerSetup } from './server-worker';

/** Milliseconds in which a connection must come about. */
const CONNECT_TIMEOUT = 10_000;

/** Milliseconds after which an idle connection is asked whether it is alive. */
const KEEP_ALIVE = 30_000;
/** What a server, database or user may have set otherwise, and all this rests on. */
const SETTINGS = [
  ['default_transaction_isolation', 'read committed'],
  ['client_encoding', 'UTF8'],
  ['bytea_output', 'hex'],
  ['standard_conforming_strings', 'on'],
  ['search_path', 'pg_catalog'],
  ['synchronous_commit', 'on'],
  ['lock_timeout', '0'],
  ['statement_timeout', '0'],
  ['idle_in_transaction_session_timeout', '0'],
  ['idle_session_timeout', '0'],
  ['transaction_timeout', '0'],
  // Every statement here has an index to follow. Before the server has counted its rows it would rather read and sort whole tables, for each page anew.
  ['enable_seqscan', 'off'],
  ['enable_bitmapscan', 'off'],
  ['enable_sort', 'off'],
  ['enable_hashagg', 'off'],
  ['enable_hashjoin', 'off'],
  ['enable_mergejoin', 'off'],
  ['max_parallel_workers_per_gather', '0'],
  // So each is planned once.
  ['plan_cache_mode', 'force_generic_plan'],
  ['jit', 'off'],
] as const;
/** Some came with later releases of PostgreSQL. */
const PROLOGUE = `SELECT set_config(known.name, wanted.value, false) FROM (VALUES ${SETTINGS.map(([name, value]) => `('${name}', '${value}')`).join()}) AS wanted (name, value)
  JOIN pg_catalog.pg_settings AS known ON known.name = wanted.name`;

/** What the worker needs to connect, and what the storage is called: without the password. */
export function connectionSetup(
  text: string,
  { schema: schemaName, callTimeout }: ResolvedOptions,
  schema: Schema,
): { setup: ServerSetup; name: string } {
  const url = parse(text);
  const host = url.hostname || (url.searchParams.get('host') ?? process.env.PGHOST ?? 'localhost');
  const where = `${host}${url.port === '' ? '' : `:${url.port}`}${url.pathname}`;
  return {
    name: `postgres://${where}#${schemaName}`,
    setup: {
      driver: driverPath(),
      config: {
        connectionString: url.href,
        application_name: 'zodb',
        keepAlive: true,
        keepAliveInitialDelayMillis: KEEP_ALIVE,
        connectionTimeoutMillis: Math.min(CONNECT_TIMEOUT, callTimeout),
      },
      prologue: PROLOGUE,
      listen: schema.channel,
    },
  };
}

function parse(text: string): URL {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // Said below.
  }
  const isOurs = url?.protocol === 'postgres:' || url?.protocol === 'postgresql:';
  if (url !== undefined && isOurs && (url.host !== '' || url.pathname.startsWith('/'))) return url;
  throw new InvalidArgumentError(
    'A PostgreSQL database is named as postgres://user:password@host:port/database; what is left out comes from PGHOST, PGUSER, PGPASSWORD and so on.',
  );
}

function driverPath(): string {
  try {
    return require.resolve('pg');
  } catch (cause) {
    throw new StorageError('PostgreSQL needs the package pg, which is not installed: npm install pg', {
      code: 'NO_DRIVER',
      cause,
    });
  }
}
