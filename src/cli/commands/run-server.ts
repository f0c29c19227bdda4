/** What `zodb serve` does. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
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
import { withoutPassword } from '../output';
import type { LogDestination, ServeFlags } from './serve';
import { openServed, sharedBlobDirectories } from './serve-storages';

/** Serves until a signal comes. */
export async function serve(
  databases: readonly string[],
  flags: ServeFlags,
  pretty: LogDestination | undefined,
): Promise<void> {
  const options = { level: flags.logLevel, name: 'zeo-server' };
  const log = pretty === undefined ? pino(options) : pino(options, pretty);
  const addresses = (flags.address ?? ['127.0.0.1:8100']).map(address);
  const status = flags.status === undefined ? undefined : address(flags.status);
  if (status && !('port' in status)) {
    throw new InvalidArgumentError(`--status takes host:port or a port, not ${flags.status!}.`, {
      code: 'USAGE',
    });
  }
  const tls = tlsOf(flags);
  const stop = new StopSignal();
  const storages = openServed(databases, {
    readOnly: flags.readOnly ?? false,
    create: flags.create,
    made: (storage, database) =>
      log.warn(
        { storage, database: withoutPassword(database) },
        'there was no such database; a new one was made',
      ),
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
    for (const where of addresses) await server.listen(where);
    if (status) page = await serveStatusPage(server, status);
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
  } catch (cause) {
    throw new InvalidArgumentError((cause as Error).message, { code: 'USAGE', cause });
  }
}
