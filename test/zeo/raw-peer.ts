import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLIENT_DECODE_LIMITS, makeCodec, type Codec, type Message } from '../../src/zeo/wire/codec';
import { frame, FrameReader } from '../../src/zeo/wire/frames';
import { tuple, type WireValue } from '../../src/zeo/wire/values';
import { PATIENCE } from './until';

/** A client made of a socket: it can send anything. */
export class RawPeer {
  readonly socket: Socket;
  readonly codec: Codec;
  readonly messages: Message[] = [];
  closed = false;
  readonly #frames = new FrameReader(1 << 30);
  #greeted = false;
  #wake: () => void = () => undefined;
  #nextId = 1;

  /** @param where a port of this machine, or the path of a socket */
  constructor(where: number | string, letter: 'Z' | 'M' = 'Z') {
    this.codec = makeCodec(letter, CLIENT_DECODE_LIMITS);
    this.socket = typeof where === 'number' ? connect(where, '127.0.0.1') : connect(where);
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
    this.socket.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  #receive(chunk: Buffer): void {
    this.#frames.push(chunk);
    for (let bytes = this.#frames.next(); bytes; bytes = this.#frames.next()) {
      if (this.#greeted) this.messages.push(this.codec.decode(bytes));
      this.#greeted = true;
    }
    this.#wake();
  }

  /** Waits until something holds, or the connection is closed. */
  async until(condition: () => boolean): Promise<void> {
    const end = Date.now() + PATIENCE;
    while (!condition() && !this.closed) {
      if (Date.now() > end) throw new Error('it did not happen');
      // Also where time stands still.
      await Promise.race([new Promise<void>((resolve) => (this.#wake = resolve)), sleep(50)]);
    }
  }

  /** Shakes hands and registers. */
  async register(storage = '1'): Promise<this> {
    await this.until(() => this.#greeted);
    this.socket.write(frame(Buffer.from(`${this.codec.letter}5`)));
    await this.call('register', storage, false);
    return this;
  }

  send(...args: Parameters<Codec['encode']>): void {
    this.socket.write(this.codec.encode(...args));
  }

  oneWay(name: string, ...args: WireValue[]): void {
    this.send(0, true, name, tuple(...args));
  }

  /** Calls a method; its reply, whatever it says. */
  async call(name: string, ...args: WireValue[]): Promise<Message> {
    const id = this.#nextId++;
    this.send(id, false, name, tuple(...args));
    const found = (): Message | undefined => this.messages.find((message) => message.id === id);
    await this.until(() => found() !== undefined);
    const reply = found();
    if (!reply) throw new Error('closed');
    return reply;
  }

  /** Resolves when the server has closed the connection. */
  async end(): Promise<void> {
    await this.until(() => false);
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** A relay before a server, which can be told to cut. */
export interface Relay {
  readonly port: number;
  /** Number of connections that came. */
  readonly accepted: number;
  /** Called for every sized message; `'drop'` cuts the connection instead of passing it on, `'last'` after it; `'swallow'` forgets the message. */
  onMessage: (fromClient: boolean, message: Buffer) => 'pass' | 'drop' | 'last' | 'swallow';
  /** New connections are refused while this is set. */
  refuse: boolean;
  cut(): void;
  close(): void;
}

/** Starts a relay to a port of this machine. It needs the event loop: connect to it from another thread, or asynchronously. */
export async function startRelay(to: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const pump = (relay: Relay, from: Socket, out: Socket, fromClient: boolean): void => {
    const frames = new FrameReader(1 << 30);
    from.on('data', (chunk: Buffer) => {
      frames.push(chunk);
      for (let bytes = frames.next(); bytes; bytes = frames.next()) {
        const verdict = relay.onMessage(fromClient, bytes);
        if (verdict === 'swallow') continue;
        if (verdict !== 'drop') out.write(frame(bytes));
        if (verdict === 'pass') continue;
        // What was passed on before arrives.
        out.end();
        from.destroy();
        return;
      }
    });
    from.on('error', () => undefined);
    from.on('close', () => out.end());
  };
  const server = createServer((client) => {
    accepted++;
    if (relay.refuse) return void client.destroy();
    const upstream = connect(to, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket.setNoDelay(true));
      socket.on('close', () => sockets.delete(socket));
    }
    pump(relay, client, upstream, true);
    pump(relay, upstream, client, false);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const relay: Relay = {
    port: (server.address() as { port: number }).port,
    get accepted() {
      return accepted;
    },
    onMessage: () => 'pass',
    refuse: false,
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    close() {
      relay.cut();
      server.close();
    },
  };
  return relay;
}
