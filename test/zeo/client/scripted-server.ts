import { createServer, type Server, type Socket } from 'node:net';
import { oidToBytes, tidToBytes, type Oid, type Tid } from '../../../src/ids';
import { CLIENT_DECODE_LIMITS, FLAG, makeCodec, REPLY, type Message } from '../../../src/zeo/wire/codec';
import { frame, FrameReader } from '../../../src/zeo/wire/frames';
import { itemsOf, tuple, type WireValue } from '../../../src/zeo/wire/values';
import { until } from '../until';

/** A revision as `loadBefore` tells it. */
export interface Revision {
  readonly data: string;
  readonly start: Tid;
  readonly end?: Tid;
}

/**
 * A server in this thread that says what a test makes it say, when the test makes it say so. It lets clients in by itself;
 * loads wait until they are answered.
 */
export class ScriptedServer {
  /** What it tells clients that register. */
  lastTid: Tid;
  /** What it answers to `getInvalidations`; called when it is asked. */
  changes: () => WireValue = () => null;
  readonly loads: Message[] = [];
  readonly #codec = makeCodec('Z', CLIENT_DECODE_LIMITS);
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #socket: Socket | undefined;
  #port = 0;

  constructor(lastTid: Tid) {
    this.lastTid = lastTid;
  }

  get port(): number {
    return this.#port;
  }

  async listen(): Promise<this> {
    this.#server = createServer((socket) => this.#accept(socket));
    await new Promise<void>((resolve) => this.#server!.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as { port: number }).port;
    return this;
  }

  close(): void {
    this.cut();
    this.#server?.close();
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  /** Resolves when so many loads wait for an answer. */
  async asked(count: number): Promise<void> {
    await until(() => this.loads.length >= count, 'a question');
  }

  /** Answers the load that has waited longest. */
  answer(revision: Revision | undefined): void {
    const { id } = this.loads.shift()!;
    this.#send(id, FLAG.result, REPLY, revision === undefined ? null : toWire(revision));
  }

  invalidate(tid: Tid, ...oids: Oid[]): void {
    this.lastTid = tid;
    const list = oids.map((oid) => oidToBytes(oid));
    this.#send(0, FLAG.oneWay, 'invalidateTransaction', tuple(tidToBytes(tid), list));
  }

  #send(id: WireValue, flag: boolean | number, name: string, args: WireValue): void {
    this.#socket!.write(this.#codec.encode(id, flag, name, args));
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    this.#socket = socket;
    const frames = new FrameReader(1 << 30);
    let greeted = false;
    socket.setNoDelay(true).on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      frames.push(chunk);
      for (let bytes = frames.next(); bytes; bytes = frames.next()) {
        if (greeted) this.#hear(this.#codec.decode(bytes));
        greeted = true;
      }
    });
    socket.write(frame(Buffer.from('Z5')));
  }

  #hear(message: Message): void {
    const { id, name } = message;
    if (name === 'loadBefore') this.loads.push(message);
    else if (name === 'register') this.#send(id, FLAG.result, REPLY, tidToBytes(this.lastTid));
    else if (name === 'getInvalidations') this.#send(id, FLAG.result, REPLY, this.changes());
    else if (name === 'get_info') this.#send(id, FLAG.result, REPLY, new Map());
    else if (name === 'ping') this.#send(id, FLAG.result, REPLY, null);
    else if (id !== 0) throw new Error(`${name} ${JSON.stringify(itemsOf(message.args))} has no answer`);
  }
}

function toWire({ data, start, end }: Revision): WireValue {
  return tuple(Buffer.from(data), tidToBytes(start), end === undefined ? null : tidToBytes(end));
}
