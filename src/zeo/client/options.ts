import { InvalidArgumentError } from '../../errors';
import { parseAddress, type ZeoAddress } from '../address';

/** Certificates for a TLS connection, as PEM text or bytes. */
export interface ClientTlsOptions {
  /** Authority, or self-signed certificate, of the server. */
  readonly ca: string | Buffer | readonly (string | Buffer)[];
  /** The client's own; servers demand one. */
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly passphrase?: string;
  /** The name that the server's certificate must bear; default the host of the address. */
  readonly serverName?: string;
  /** Whether the server's name is checked. Default true. */
  readonly checkServerName?: boolean;
}

/** Options of {@link ClientStorage}. Times are in milliseconds. */
export interface ClientStorageOptions {
  /** Which of the server's storages. Default `'1'`. */
  readonly storage?: string;
  /** For people, in messages and logs. Default made from the address. */
  readonly name?: string;
  /** What the server calls us in its log. */
  readonly clientLabel?: string;
  /** Wait for the first connection in the constructor. Default true. */
  readonly wait?: boolean;
  /** How long a call waits for a connection before `ClientDisconnected`, and the constructor for the first. Default 30,000. */
  readonly waitTimeout?: number;
  /**
   * How long a server may be silent, to everything, while a call waits for its answer. Then the call fails with
   * `ClientDisconnected` (code `ZEO_CALL_TIMEOUT`, retryable), and the connection is made anew. Default 300,000; `Infinity` for no limit. A pack may take as long as it wants.
   */
  readonly callTimeout?: number;
  /** How long one attempt to connect may take, up to the first word of the server. Default 10,000. */
  readonly connectTimeout?: number;
  /** How long to wait between rounds of attempts; up to twice as much, by chance. Default 1,000. */
  readonly retryDelay?: number;
  readonly readOnly?: boolean;
  /** Take a server that only lets us read until one is found that takes writes. Default false. */
  readonly readOnlyFallback?: boolean;
  /** Bytes of the record cache. Default 20 MiB. */
  readonly cacheSize?: number;
  /** File of the record cache, which survives restarts. One process at a time. Default: in memory. */
  readonly cachePath?: string;
  /** Directory for blobs. Default: a temporary one, gone at `close`. */
  readonly blobDir?: string;
  /** The blob directory is the server's own, on a file system that both see. Default false. */
  readonly sharedBlobDir?: boolean;
  /** Bytes of downloaded blobs that are kept; the least recently used go. Default: no limit. Not for a shared directory. */
  readonly blobCacheSize?: number;
  /**
   * Every transaction begins with asking the server for what was committed elsewhere: a round trip each. Default false: it
   * begins with what has arrived, which is what was committed until a moment ago.
   */
  readonly serverSync?: boolean;
  readonly tls?: ClientTlsOptions;
  /** The longest message taken from the server, in bytes. Default 1 GiB. */
  readonly maxMessageBytes?: number;
}

const KNOWN: Record<keyof ClientStorageOptions, string> = {
  storage: 'string',
  name: 'string',
  clientLabel: 'string',
  wait: 'boolean',
  waitTimeout: 'number',
  callTimeout: 'number',
  connectTimeout: 'number',
  retryDelay: 'number',
  readOnly: 'boolean',
  readOnlyFallback: 'boolean',
  cacheSize: 'number',
  cachePath: 'string',
  blobDir: 'string',
  sharedBlobDir: 'boolean',
  blobCacheSize: 'number',
  serverSync: 'boolean',
  tls: 'object',
  maxMessageBytes: 'number',
};

/** What a server can be named by: text as for `parseAddress`, an address, or several of either for fail-over. */
export type ZeoServerAddress = string | ZeoAddress;

/** The addresses meant. Throws `InvalidArgumentError`. */
export function resolveAddresses(where: ZeoServerAddress | readonly ZeoServerAddress[]): ZeoAddress[] {
  const list = Array.isArray(where) ? (where as readonly ZeoServerAddress[]) : [where as ZeoServerAddress];
  if (list.length === 0) throw new InvalidArgumentError('A ZEO client needs the address of a server.');
  return list.flatMap((each) =>
    typeof each === 'string' ? each.split(',').map((text) => parseAddress(text)) : [each],
  );
}

/** Checks names and types. Throws `InvalidArgumentError`. */
export function checkOptions(options: ClientStorageOptions): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const type = (KNOWN as Record<string, string | undefined>)[name];
    if (type === undefined) {
      throw new InvalidArgumentError(
        `A ZEO client has no option "${name}"; it has ${Object.keys(KNOWN).join(', ')}.`,
      );
    }
    if (typeof value !== type) {
      throw new InvalidArgumentError(
        `The option "${name}" of a ZEO client is a ${type}, not ${String(value)}.`,
      );
    }
    if (type === 'number' && !((value as number) >= 0)) {
      throw new InvalidArgumentError(`The option "${name}" of a ZEO client can't be ${String(value)}.`);
    }
  }
}

/** PEM text for the thread that opens the sockets. */
export function pemTexts(value: string | Buffer | readonly (string | Buffer)[]): string[] {
  const list = typeof value === 'string' || Buffer.isBuffer(value) ? [value] : value;
  return list.map((each) => each.toString());
}
