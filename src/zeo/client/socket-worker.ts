/**
 * The client's sockets, in a thread of their own. What arrives there is passed on in order, in records of shared memory; the
 * protocol itself is spoken by the thread that uses the storage.
 *
 * The function is sent to the thread as text: it must not refer to anything outside itself.
 */
import type { BridgeScope } from '../../bridge/index';

/** Kinds of records; a record's tag is the number of its connection times four, plus this. */
export const RECORD = { opened: 0, data: 1, closed: 2 } as const;

/** Orders to the worker. Bytes for a connection go as `[connection, bytes]`. */
export type SocketOrder =
  | {
      readonly op: 'connect';
      readonly connection: number;
      /** Milliseconds to wait before. */
      readonly delay: number;
      /** Milliseconds after which the attempt is given up. */
      readonly timeout: number;
      readonly address: { readonly host?: string; readonly port: number } | { readonly path: string };
      readonly tls: SocketTls | undefined;
    }
  | {
      readonly op: 'heartbeat';
      readonly connection: number;
      readonly bytes: Uint8Array;
      readonly interval: number;
    }
  | { readonly op: 'close'; readonly connection: number };

/** Certificates, as PEM text. */
export interface SocketTls {
  readonly ca: readonly string[];
  readonly cert?: string;
  readonly key?: string;
  readonly passphrase?: string;
  readonly serverName?: string;
  readonly checkServerName: boolean;
}

/** Runs in the worker. */
export function socketWorker(scope: BridgeScope): void {
  const net = scope.load('node:net') as typeof import('node:net');
  const tls = scope.load('node:tls') as typeof import('node:tls');
  type Socket = import('node:net').Socket;
  interface Entry {
    socket: Socket | undefined;
    timer: NodeJS.Timeout | undefined;
    heart: NodeJS.Timeout | undefined;
  }
  const entries = new Map<number, Entry>();

  function end(connection: number, reason: string): void {
    const entry = entries.get(connection);
    if (!entry) return;
    entries.delete(connection);
    clearTimeout(entry.timer);
    clearInterval(entry.heart);
    entry.socket?.destroy();
    scope.send(connection * 4 + 2, Buffer.from(reason, 'utf8'));
  }

  function open(order: SocketOrder & { op: 'connect' }, entry: Entry): void {
    const { connection, address, tls: secure } = order;
    const socket: Socket = secure
      ? tls.connect({
          ...address,
          ca: [...secure.ca],
          cert: secure.cert,
          key: secure.key,
          passphrase: secure.passphrase,
          servername: secure.serverName,
          ...(secure.checkServerName ? {} : { checkServerIdentity: () => undefined }),
        })
      : net.connect({ ...address });
    entry.socket = socket;
    entry.timer = setTimeout(() => end(connection, `no answer within ${order.timeout} ms`), order.timeout);
    // One that accepts and says nothing is no server either.
    socket.once('data', () => clearTimeout(entry.timer));
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      socket.setNoDelay(true);
      // A machine that is gone does not say so.
      socket.setKeepAlive(true, 30_000);
      scope.send(connection * 4, Buffer.alloc(0));
    });
    socket.on('data', (chunk: Buffer) => {
      if (!scope.send(connection * 4 + 1, chunk)) for (const each of entries.values()) each.socket?.pause();
    });
    socket.on('error', (error: Error) => end(connection, error.message));
    socket.on('close', () => end(connection, 'the server closed the connection'));
  }

  scope.onDrain(() => {
    for (const entry of entries.values()) entry.socket?.resume();
  });
  scope.onMessage((message) => {
    if (Array.isArray(message)) {
      const [connection, bytes] = message as [number, Uint8Array];
      entries.get(connection)?.socket?.write(bytes);
      return;
    }
    const order = message as SocketOrder;
    if (order.op === 'connect') {
      const entry: Entry = { socket: undefined, timer: undefined, heart: undefined };
      entries.set(order.connection, entry);
      if (order.delay > 0) entry.timer = setTimeout(() => open(order, entry), order.delay);
      else open(order, entry);
    } else if (order.op === 'close') end(order.connection, 'closed');
    else {
      const entry = entries.get(order.connection);
      if (entry) entry.heart = setInterval(() => entry.socket?.write(order.bytes), order.interval);
    }
  });
}
