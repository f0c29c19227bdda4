import { Command, InvalidArgumentError as BadOption, Option } from 'commander';

/** What the command line of `zodb serve` says. */
export interface ServeFlags {
  readonly address?: readonly string[];
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
  readonly status?: string;
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
    .option(
      '-a, --address <address>',
      'host:port, port, or the path of a unix socket; may be repeated (default: 127.0.0.1:8100)',
      // One each: it must not swallow the databases after it.
      (address: string, others: readonly string[] = []) => [...others, address],
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
    .option('--status <address>', 'serve /status, /metrics and /health over HTTP there')
    .option('--pid-file <file>', 'write the process id there')
    .option('--max-message-bytes <n>', 'longest message taken from a client', number)
    .option('--max-connections <n>', 'clients at the same time', number)
    .option('--max-transaction-changes <n>', 'objects that one transaction may store', number)
    .option('--max-transaction-bytes <n>', 'bytes of their records', number)
    .addOption(
      new Option('--log-level <level>', 'what is logged, at least')
        .choices(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
        .default('info', 'info'),
    )
    .action((databases: string[], flags: ServeFlags) => {
      // Server and logger take a sixth of a command's start: the others do without.
      const { serve } = require('./run-server') as typeof import('./run-server');
      return serve(databases, flags, pretty);
    });
}

function number(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new BadOption(`${JSON.stringify(text)} is no number.`);
  return value;
}
