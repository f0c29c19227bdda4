import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { Command, InvalidArgumentError as BadOption, Option } from 'commander';
import pino from 'pino';
import { InvalidArgumentError } from '../../errors';
import {
  formatAddress,
  parseAddress,
  serveStatusPage,
  ZeoServer,
  type StatusPage,
  type ZeoAddress,
} from '../../zeo/index';
import { openServed, sharedBlobDirectories } from './serve-storages';

const DEFAULT_ADDRESS: ZeoAddress = { host: '127.0.0.1', port: 8100 };

interface ServeFlags {
  readonly address?: ZeoAddress[];
  readonly create: boolean;
  readonly readOnly?: boolean;
  readonly sharedBlobs?: boolean;
  readonly msgpack?: boolean;
  readonly invalidationQueueSize: number;
  readonly invalidationAge?: number;
  readonly transactionTimeout?: number;
  readonly clientConflictResolution?: boolean;
  readonly packGc: boolean;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
  readonly status?: ZeoAddress;
  readonly pidFile?: string;
  readonly maxMessageBytes?: number;
  readonly maxConnections?: number;
  readonly maxTransactionChanges?: number;
  readonly maxTransactionBytes?: number;
  readonly logLevel: string;
}

/** Where log lines go that somebody watches; else they are JSON, for programs. */
export interface LogDestination {
  write(json: string): void;
}

/** `zodb serve`: storages for ZEO clients, TypeScript and Python. */
export function serveCommand(pretty?: LogDestination): Command {
  return new Command('serve')
    .description('serve databases to ZEO clients, TypeScript and Python')
    .argument('<databases...>', 'paths or URIs; name=URI for a storage name other than 1, 2, …')
    .addOption(
      new Option(
        '-a, --address <address...>',
        `host:port, port, or the path of a unix socket (default: ${formatAddress(DEFAULT_ADDRESS)})`,
      ).argParser((text: string, before: ZeoAddress[] | undefined) => [...(before ?? []), address(text)]),
    )
    .option('--no-create', 'refuse a database that is not there, instead of making it')
    .option('--read-only', 'let clients only read')
    .option('--shared-blobs', 'clients see the blob directory too, under the same path or another')
    .option('--msgpack', 'announce msgpack instead of pickle to clients')
    .option(
      '--invalidation-queue-size <n>',
      'transactions remembered for clients that come back',
      number,
      100,
    )
    .option('--invalidation-age <seconds>', 'how far back changes are looked up beyond the queue', number)
    .option('--transaction-timeout <seconds>', 'how long a client may hold the commit lock', number)
    .option('--client-conflict-resolution', 'let clients merge conflicts')
    .option('--no-pack-gc', 'packing keeps objects that nothing refers to')
    .option('--tls-cert <file>', 'certificate of the server, PEM')
    .option('--tls-key <file>', 'its key, PEM')
    .option('--tls-ca <file>', 'authority of the clients, PEM; every client must show a certificate')
    .option('--status <address>', 'serve /status, /metrics and /health over HTTP there', address)
    .option('--pid-file <file>', 'write the process id there')
    .option('--max-message-bytes <n>', 'longest message taken from a client', number)
    .option('--max-connections <n>', 'clients at the same time', number)
    .option('--max-transaction-changes <n>', 'objects that one transaction may store', number)
    .option('--max-transaction-bytes <n>', 'bytes of their records', number)
    .option('--log-level <level>', 'trace, debug, info, warn, error, fatal, silent', 'info')
    .action((databases: string[], flags: ServeFlags) => serve(databases, flags, pretty));
}

async function serve(
  databases: readonly string[],
  flags: ServeFlags,
  pretty: LogDestination | undefined,
): Promise<void> {
  const options = { level: flags.logLevel, name: 'zeo-server' };
  const log = pretty === undefined ? pino(options) : pino(options, pretty);
  const tls = tlsOf(flags);
  const stop = new StopSignal();
  const storages = openServed(databases, {
    readOnly: flags.readOnly ?? false,
    create: flags.create,
    made: (storage, database) =>
      log.warn({ storage, database }, 'there was no such database; a new one was made'),
  });
  let server: ZeoServer | undefined;
  let page: StatusPage | undefined;
  try {
    server = new ZeoServer({
      storages,
      readOnly: flags.readOnly,
      msgpack: flags.msgpack,
      invalidationQueueSize: flags.invalidationQueueSize,
      invalidationAge: flags.invalidationAge,
      transactionTimeout:
        flags.transactionTimeout === undefined ? undefined : flags.transactionTimeout * 1000,
      clientConflictResolution: flags.clientConflictResolution,
      packGc: flags.packGc,
      maxMessageBytes: flags.maxMessageBytes,
      maxConnections: flags.maxConnections,
      maxTransactionChanges: flags.maxTransactionChanges,
      maxTransactionBytes: flags.maxTransactionBytes,
      sharedBlobDirectory: flags.sharedBlobs && !flags.readOnly ? sharedBlobDirectories(storages) : undefined,
      tls,
      logger: log,
    });
    for (const where of flags.address ?? [DEFAULT_ADDRESS]) await server.listen(where);
    if (flags.status && 'port' in flags.status) page = await serveStatusPage(server, flags.status);
    if (page) log.info({ address: formatAddress(page.address) }, 'status page');
    if (flags.pidFile !== undefined) writeFileSync(flags.pidFile, `${process.pid}\n`);
    log.info({ signal: await stop.came, connections: server.connectionCount }, 'stopping');
    if (flags.pidFile !== undefined) rmSync(flags.pidFile, { force: true });
  } finally {
    // Also when it could not begin: an address in use must not leave a server that nobody asked for.
    await page?.close();
    await server?.close();
    for (const storage of Object.values(storages)) storage.close();
    stop.forget();
  }
}

/** The signal that ends the server; a second one, while it stops, has no effect. */
class StopSignal {
  readonly came: Promise<NodeJS.Signals>;
  #resolve: (signal: NodeJS.Signals) => void = () => undefined;

  constructor() {
    this.came = new Promise((resolve) => (this.#resolve = resolve));
    for (const signal of SIGNALS) process.on(signal, this.#resolve);
  }

  forget(): void {
    for (const signal of SIGNALS) process.off(signal, this.#resolve);
  }
}

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

function tlsOf(flags: ServeFlags): ConstructorParameters<typeof ZeoServer>[0]['tls'] {
  const { tlsCert, tlsKey, tlsCa } = flags;
  if (tlsCert === undefined && tlsKey === undefined && tlsCa === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined || tlsCa === undefined) {
    throw new InvalidArgumentError(
      'TLS takes --tls-cert, --tls-key and --tls-ca: clients must show a certificate too.',
    );
  }
  const options = { cert: readFileSync(tlsCert), key: readFileSync(tlsKey), ca: readFileSync(tlsCa) };
  try {
    createSecureContext(options);
    return options;
  } catch (cause) {
    throw new InvalidArgumentError(
      `TLS can't use ${tlsCert}, ${tlsKey} and ${tlsCa}: ${(cause as Error).message}. They must be PEM files, and the key that of the certificate.`,
      { cause },
    );
  }
}

function address(text: string): ZeoAddress {
  try {
    return parseAddress(text);
  } catch (error) {
    throw new BadOption((error as Error).message);
  }
}

function number(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new BadOption(`${JSON.stringify(text)} is no number.`);
  return value;
}
