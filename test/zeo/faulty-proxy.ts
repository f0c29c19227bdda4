import { connect, createServer, type Server, type Socket } from 'node:net';
import { FrameReader, frame } from '../../src/zeo/wire/frames';

/** How bytes travel. */
export type Manner = 'whole' | 'split' | 'slow';

/**
 * A network that can fail: it passes sized messages on, in pieces or late, and cuts where it is told. It lives in this thread's
 * event loop; its clients must live elsewhere.
 */
export class FaultyProxy {
  manner: Manner = 'whole';
  /** Milliseconds by which messages to clients are late. */
  delay = 0;
  /** Looks at each message of a client before it is passed on; `false` cuts the connection instead. */
  onRequest: (message: Buffer) => boolean = () => true;
  /** Looks at each message of the server. */
  onAnswer: (message: Buffer) => boolean = () => true;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  readonly #server: Server;

  constructor(to: number) {
    this.#server = createServer((client) => {
      const server = connect(to, '127.0.0.1');
      const pair = [client, server] as const;
      this.#pairs.add(pair);
      for (const socket of pair) {
        socket.setNoDelay(true).on('error', () => undefined);
        socket.on('close', () => {
          this.#pairs.delete(pair);
          for (const each of pair) each.destroy();
        });
      }
      this.#pump(client, server, true);
      this.#pump(server, client, false);
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as { port: number }).port;
  }

  /** Cuts all connections. */
  cut(): void {
    for (const pair of [...this.#pairs]) for (const socket of pair) socket.destroy();
  }

  /** Stops reading what the server says, on one connection, for a while. */
  stall(milliseconds: number): void {
    const [pair] = this.#pairs;
    pair?.[1].pause();
    setTimeout(() => pair?.[1].resume(), milliseconds);
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #pump(from: Socket, to: Socket, isRequest: boolean): void {
    const frames = new FrameReader(1 << 30);
    // One after the other, whatever it takes.
    let sent = Promise.resolve();
    from.on('data', (chunk: Buffer) => {
      frames.push(chunk);
      for (let message = frames.next(); message; message = frames.next()) {
        if (!(isRequest ? this.onRequest : this.onAnswer)(message)) {
          from.destroy();
          return;
        }
        const bytes = frame(message);
        const { manner, delay } = this;
        if (manner === 'whole' && delay === 0) void (sent = sent.then(() => void to.write(bytes)));
        else sent = sent.then(() => pass(to, bytes, manner, isRequest ? 0 : delay));
      }
    });
  }
}

async function pass(to: Socket, bytes: Buffer, manner: Manner, delay: number): Promise<void> {
  if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
  if (manner === 'whole') return void to.write(bytes);
  const size = manner === 'split' ? 7 : 64;
  for (let at = 0; at < bytes.length; at += size) {
    to.write(bytes.subarray(at, at + size));
    await new Promise((resolve) => (manner === 'split' ? setImmediate(resolve) : setTimeout(resolve, 1)));
  }
}
