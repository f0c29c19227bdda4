import { InvalidArgumentError } from '../errors';

/** Where a ZEO server listens: a TCP port, or a unix socket. */
export type ZeoAddress = { readonly host?: string; readonly port: number } | { readonly path: string };

/** Reads `host:port`, `[::1]:port`, `:port`, `port`, or the path of a unix socket (with a slash). */
export function parseAddress(text: string): ZeoAddress {
  if (text.includes('/')) return { path: text };
  const match = /^(?:(?:\[([^\]]+)\]|([^:]*)):)?(\d{1,5})$/.exec(text.trim());
  const port = Number(match?.[3]);
  if (!match || port > 65_535) {
    throw new InvalidArgumentError(
      `${JSON.stringify(text)} is no ZEO address; write host:port, port, or the path of a unix socket.`,
    );
  }
  const host = match[1] ?? match[2];
  return host ? { host, port } : { port };
}

/** An address for people; the reverse of {@link parseAddress}. */
export function formatAddress(address: ZeoAddress): string {
  if ('path' in address) return address.path;
  const host = address.host ?? '127.0.0.1';
  return host.includes(':') ? `[${host}]:${address.port}` : `${host}:${address.port}`;
}
