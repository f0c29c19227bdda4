import { InvalidArgumentError, StorageError } from '../../errors';
import type { ResolvedOptions } from './options';
import type { Schema } from './schema';
import type { ServerSetup } from './server-worker';

/** Milliseconds in which a connection must come about. */
const CONNECT_TIMEOUT = 10_000;

/** Milliseconds after which an idle connection is asked whether it is alive. */
const KEEP_ALIVE = 30_000;
/** What a server, database or user may have set otherwise, and all this rests on. */
const PROLOGUE = [
  "SET default_transaction_isolation = 'read committed'",
  "SET client_encoding = 'UTF8'",
  "SET bytea_output = 'hex'",
  'SET standard_conforming_strings = on',
  'SET search_path = pg_catalog',
  'SET synchronous_commit = on',
  'SET jit = off',
  'SET statement_timeout = 0',
  'SET lock_timeout = 0',
  'SET idle_in_transaction_session_timeout = 0',
  // Newer releases have them.
  "SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('idle_session_timeout', 'transaction_timeout')",
].join('; ');

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
