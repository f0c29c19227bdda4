import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Command, InvalidArgumentError as BadOption, Option } from 'commander';
import pino from 'pino';
import { InvalidArgumentError } from '../../errors';
import { openStorage, type Storage } from '../../storage/index';
import { formatAddress, parseAddress, serveStatusPage, ZeoServer, type ZeoAddress } from '../../zeo/index';

interface ServeFlags {
  readonly address: ZeoAddress[];
  readonly readOnly?: boolean;
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
  readonly logLevel: string;
}

/** `zodb serve`: storages for ZEO clients, TypeScript and Python. */
export function serveCommand(): Command {
  return new Command('serve')
    .description('serve databases to ZEO clients, TypeScript and Python')
    .argument('<databases...>', 'paths or URIs; name=URI for a storage name other than 1, 2, …')
    .addOption(
      new Option('-a, --address <address...>', 'host:port, port, or the path of a unix socket')
        .argParser((text: string, before: ZeoAddress[] | undefined) => [...(before ?? []), address(text)])
        .default([{ host: '127.0.0.1', port: 8100 }], '127.0.0.1:8100'),
    )
    .option('--read-only', 'let clients only read')
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
    .option('--log-level <level>', 'trace, debug, info, warn, error, fatal, silent', 'info')
    .action((databases: string[], flags: ServeFlags) => serve(databases, flags));
}

async function serve(databases: readonly string[], flags: ServeFlags): Promise<void> {
  const log = pino({ level: flags.logLevel, name: 'zeo-server' });
  const tls = tlsOf(flags);
  const storages = openAll(databases, flags.readOnly ?? false);
  const server = new ZeoServer({
    storages,
    readOnly: flags.readOnly,
    msgpack: flags.msgpack,
    invalidationQueueSize: flags.invalidationQueueSize,
    invalidationAge: flags.invalidationAge,
    transactionTimeout: flags.transactionTimeout === undefined ? undefined : flags.transactionTimeout * 1000,
    clientConflictResolution: flags.clientConflictResolution,
    packGc: flags.packGc,
    maxMessageBytes: flags.maxMessageBytes,
    maxConnections: flags.maxConnections,
    tls,
    logger: log,
  });
  for (const where of flags.address) await server.listen(where);
  const page =
    flags.status && 'port' in flags.status ? await serveStatusPage(server, flags.status) : undefined;
  if (page) log.info({ address: formatAddress(page.address) }, 'status page');
  if (flags.pidFile !== undefined) writeFileSync(flags.pidFile, `${process.pid}\n`);
  log.info({ signal: await nextSignal() }, 'stopping');
  await page?.close();
  await server.close();
  for (const storage of Object.values(storages)) storage.close();
  if (flags.pidFile !== undefined) rmSync(flags.pidFile, { force: true });
}

/** The signal that ends the server; a second one, while it stops, has no effect. */
function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => resolve(signal));
  });
}

/** Named by the user, or by their number. */
function openAll(databases: readonly string[], readOnly: boolean): Record<string, Storage> {
  const storages: Record<string, Storage> = {};
  try {
    databases.forEach((text, index) => {
      const [, given, rest] = /^([\w.-]+)=(.+)$/s.exec(text) ?? [];
      const name = given ?? String(index + 1);
      if (storages[name]) throw new InvalidArgumentError(`Two databases have the name ${name}.`);
      storages[name] = openStorage(rest ?? text, readOnly ? { readOnly: true } : {});
    });
  } catch (error) {
    for (const storage of Object.values(storages)) storage.close();
    throw error;
  }
  return storages;
}

function tlsOf(flags: ServeFlags): ConstructorParameters<typeof ZeoServer>[0]['tls'] {
  const { tlsCert, tlsKey, tlsCa } = flags;
  if (tlsCert === undefined && tlsKey === undefined && tlsCa === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined || tlsCa === undefined) {
    throw new InvalidArgumentError(
      'TLS takes --tls-cert, --tls-key and --tls-ca: clients must show a certificate too.',
    );
  }
  return { cert: readFileSync(tlsCert), key: readFileSync(tlsKey), ca: readFileSync(tlsCa) };
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
