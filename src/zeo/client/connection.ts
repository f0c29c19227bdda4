import {
  makeCodec,
  CLIENT_DECODE_LIMITS,
  FLAG,
  HEARTBEAT_ID,
  messageKey,
  REPLY,
  type Codec,
} from '../wire/codec';
import { errorFromWire } from '../wire/errors-on-wire';
import { frame, FrameReader } from '../wire/frames';
import { answerAnnouncement, HANDSHAKE_LIMIT } from '../wire/handshake';
import { tuple, type WireValue } from '../wire/values';
import type { SyncBridge } from '../../bridge/index';
import { ClientDisconnected } from '../errors';
import type { ZeoAddress } from '../address';
import { Call } from './call';
import { shapeOf, startOf } from './file-messages';
import type { SocketOrder } from './socket-orders';

/** One-way messages wait for the next call up to this many bytes. */
const OUTBOX_BYTES = 256 << 10;
/** Milliseconds between two signs of life; Python's number. */
const HEARTBEAT = 60_000;

/** What a server says unasked. */
export interface ServerMessages {
  /** Called for every one-way message, in the order of the wire. */
  onMessage(connection: ServerConnection, name: string, args: WireValue): void;
}

/** One connection to a server, from the handshake on: calls go out, answers find their calls. */
export class ServerConnection {
  /** Set when the handshake is over. */
  onReady: () => void = () => undefined;
  /** The socket is connected. */
  opened = false;
  closed = false;
  /** When the server last sent something, by `performance.now()`. */
  heardAt = performance.now();
  /** Which run of a server of this package it is; `undefined` for Python's. */
  epoch: string | undefined;
  /** Whether the server votes and finishes in one call. */
  commitsAtOnce = false;
  readonly #frames = new FrameReader(HANDSHAKE_LIMIT);
  readonly #calls = new Map<number | string, Call<unknown>[]>();
  #codec: Codec | undefined;
  #nextId = 1;
  #outbox: Buffer[] = [];
  #outboxBytes = 0;
  #flushing = false;

  constructor(
    readonly id: number,
    readonly address: ZeoAddress,
    private readonly bridge: SyncBridge,
    private readonly server: ServerMessages,
    private readonly maxMessageBytes: number,
  ) {}

  /** Number of calls that wait for an answer. */
  get pending(): number {
    return this.#calls.size;
  }

  /** Calls a method. The answer is handled in the order of the wire by `settle`. */
  call<Result>(name: string, args: WireValue, settle: (value: WireValue) => Result): Call<Result> {
    const call = new Call(name, settle);
    this.#send(this.#nextId++, call as Call<unknown>, name, args);
    return call;
  }

  /** Calls `loadBefore`; its arguments are its id, so equal loads share one answer. */
  callLoad<Result>(args: WireValue, settle: (value: WireValue) => Result): Call<Result> {
    const call = new Call('loadBefore', settle);
    this.#send(args, call as Call<unknown>, 'loadBefore', args);
    return call;
  }

  /** Sends a message that has no answer; it leaves with the next call, or soon. */
  oneWay(name: string, args: WireValue): void {
    if (this.closed) throw new ClientDisconnected('The connection to the ZEO server is lost.');
    this.#push(this.#codec!.encode(0, FLAG.oneWay, name, args));
    if (this.#outboxBytes > OUTBOX_BYTES) this.flush();
    else if (!this.#flushing) {
      this.#flushing = true;
      setImmediate(() => this.flush());
    }
  }

  /** Sends a file in messages `name(bytes)` of so many bytes; what is sent later leaves after it. Does not wait. */
  sendFile(name: string, file: string, size: number, chunk: number): void {
    if (this.closed) throw new ClientDisconnected('The connection to the ZEO server is lost.');
    this.flush();
    const codec = this.#codec!;
    const whole = shapeOf(codec, name, chunk);
    const last = shapeOf(codec, name, size % chunk || chunk);
    this.#order({ op: 'send file', connection: this.id, file, size, chunk, whole, last });
  }

  /** Has the last argument of messages `name(...first, bytes)` written to a new file, of which nothing else is heard. */
  takeFile(name: string, first: readonly WireValue[], file: string): void {
    const { prefix, trailer } = startOf(this.#codec!, name, first);
    this.#order({ op: 'take file', connection: this.id, file, prefix, trailer });
  }

  /** Sends or takes no more of a file, and removes it. */
  dropFile(file: string): void {
    this.#order({ op: 'drop file', connection: this.id, file });
  }

  /** A file is on its way to or from the server. */
  noteProgress(): void {
    this.heardAt = performance.now();
  }

  /** Sends what waits. */
  flush(): void {
    this.#flushing = false;
    if (this.#outbox.length === 0 || this.closed) return;
    const bytes = this.#outbox.length === 1 ? this.#outbox[0]! : Buffer.concat(this.#outbox);
    this.#outbox = [];
    this.#outboxBytes = 0;
    // Large messages go over without a copy; small ones share their memory with others.
    const whole = bytes.byteLength === bytes.buffer.byteLength;
    this.bridge.post([this.id, bytes], whole ? [bytes.buffer as ArrayBuffer] : undefined);
  }

  /** Takes what the socket brought. Throws `ZeoProtocolError`. */
  receive(chunk: Buffer): void {
    this.heardAt = performance.now();
    this.#frames.push(chunk);
    for (let bytes = this.#frames.next(); bytes && !this.closed; bytes = this.#frames.next()) {
      if (this.#codec) this.#handle(this.#codec, bytes);
      else this.#shakeHands(bytes);
    }
  }

  /** The socket is gone: every call that waits fails. */
  fail(error: unknown): void {
    if (this.closed) return;
    this.closed = true;
    this.#outbox = [];
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const waiting of calls) for (const call of waiting) call.fail(error);
  }

  /** Gives the connection up; calls that wait fail with `reason`. */
  close(reason = new ClientDisconnected('The connection to the ZEO server was closed.')): void {
    if (this.closed) return;
    this.flush();
    this.fail(reason);
    this.#order({ op: 'close', connection: this.id });
  }

  #shakeHands(announcement: Buffer): void {
    const { letter, answer } = answerAnnouncement(announcement);
    this.#codec = makeCodec(letter, CLIENT_DECODE_LIMITS);
    this.#frames.limit = this.maxMessageBytes;
    this.bridge.post([this.id, frame(answer)]);
    const heartbeat = this.#codec.encode(HEARTBEAT_ID, 0, REPLY, null);
    this.#order({ op: 'heartbeat', connection: this.id, bytes: heartbeat, interval: HEARTBEAT });
    this.onReady();
  }

  #handle(codec: Codec, bytes: Buffer): void {
    const { id, name, flag, args } = codec.decode(bytes);
    if (name !== REPLY) return this.server.onMessage(this, name, args);
    const key = messageKey(id);
    const calls = key === undefined ? undefined : this.#calls.get(key);
    if (!calls) return;
    this.#calls.delete(key!);
    if (flag === FLAG.error) {
      const error = errorFromWire(args);
      for (const call of calls) call.fail(error);
    } else for (const call of calls) call.succeed(args);
  }

  #send(id: WireValue, call: Call<unknown>, name: string, args: WireValue): void {
    if (this.closed || !this.#codec) {
      call.fail(new ClientDisconnected('There is no connection to a ZEO server.'));
      return;
    }
    const key = messageKey(id)!;
    const same = this.#calls.get(key);
    if (same) {
      same.push(call);
      return;
    }
    this.#calls.set(key, [call]);
    this.#push(this.#codec.encode(id, FLAG.call, name, args));
  }

  #order(order: SocketOrder): void {
    this.bridge.post(order);
  }

  #push(bytes: Buffer): void {
    this.#outbox.push(bytes);
    this.#outboxBytes += bytes.length;
  }
}

/** Arguments of a `loadBefore` call. */
export function loadArguments(oid: Uint8Array, tid: Uint8Array): WireValue {
  return tuple(oid, tid);
}
