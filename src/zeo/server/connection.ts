import type { Socket } from 'node:net';
import { StorageTransactionError, ReadOnlyError, InvalidArgumentError } from '../../errors';
import { oidFromBytes, tidFromBytes, tidToBytes } from '../../ids';
import { requireCapability } from '../../storage/index';
import { argumentsOf, stringArgument } from '../wire/arguments';
import {
  FLAG,
  HEARTBEAT_ID,
  makeCodec,
  REPLY,
  SERVER_DECODE_LIMITS,
  type Codec,
  type Message,
} from '../wire/codec';
import { errorToWire } from '../wire/errors-on-wire';
import { frame, FrameReader } from '../wire/frames';
import { HANDSHAKE_LIMIT, letterOfAnswer, STATUS_REQUEST } from '../wire/handshake';
import { tuple, type WireValue } from '../wire/values';
import { blobMessages } from './blob-transfer';
import type { HostedStorage } from './hosted-storage';
import type { InvalidationBatch } from './invalidation-batch';
import { Later } from './later';
import type { ServerLogger } from './logger';
import { callMethod, UnknownMethodError, type MethodContext, type MethodResult } from './methods';
import { Session, type SessionConnection } from './session';
import type { TransactionLimits } from './transaction-log';

/** Before a client has registered, its messages may not be longer than this. */
const UNREGISTERED_LIMIT = 16_384;
/** A client that has not taken this many bytes of replies gets no more requests read until it has. */
const PAUSE_BYTES = 1 << 20;

/** Broadcasts beyond this many bytes wait for nothing. */
const HOLD_BYTES = 65_536;

const GONE = 'The client disconnected.';

/** What a connection needs of its server. */
export interface ConnectionServer {
  readonly announcement: Buffer;
  readonly readOnly: boolean;
  readonly maxMessageBytes: number;
  readonly maxQueuedBytes: number;
  readonly handshakeTimeout: number;
  readonly transactionTimeout: number | undefined;
  readonly transactionLimits: TransactionLimits;
  readonly log: ServerLogger;
  storage(id: string): HostedStorage | undefined;
  /** Counters of a storage, or of all. */
  status(hosted: HostedStorage): WireValue;
  statusReport(): string;
  /** Whether the message last given by `broadcastFrame` may wait for others. */
  holdsBroadcast(): boolean;
  /** Calls `release` of the connection after a moment. */
  holdFor(connection: ClientConnection): void;
  /** Frame of a broadcast message, made once for all clients that speak the same codec. */
  broadcastFrame(codec: Codec, name: string, args: WireValue): Buffer;
}

/** A client's socket, from the handshake to the end. */
export class ClientConnection implements SessionConnection {
  label: string;
  readonly #peer: string;
  /** What outlives the call that brought it is copied. */
  readonly #frames = new FrameReader(HANDSHAKE_LIMIT, true);
  #codec: Codec | undefined;
  #session: Session | undefined;
  #context: MethodContext | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** The client said something. */
  #heard = false;
  /** Broadcasts wait a moment for others, or for the next answer, which they must not be behind. */
  #held = false;
  /** The client must take what waits for it before more is done for it. */
  #paused = false;

  constructor(
    private readonly server: ConnectionServer,
    private readonly socket: Socket,
    private readonly onClose: (connection: ClientConnection) => void,
  ) {
    this.#peer = socket.remoteAddress ? `${socket.remoteAddress}:${socket.remotePort}` : 'local';
    this.label = this.#peer;
    socket.setNoDelay(true);
    // A machine that is gone does not say so; its transaction must not hold the lock for ever.
    socket.setKeepAlive(true, 30_000);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('drain', () => this.#resume());
    socket.on('error', (error) => this.close(`The socket failed: ${error.message}`));
    socket.on('close', () => this.close(GONE));
    this.#timer = setTimeout(
      () => this.close('The client did not register in time.', 'warn'),
      server.handshakeTimeout,
    );
    socket.write(frame(server.announcement));
  }

  /** The session, once the client has registered. */
  get session(): Session | undefined {
    return this.#session;
  }

  oneWay(name: string, args: WireValue): void {
    this.#send(this.#codec!.encode(0, FLAG.oneWay, name, args));
  }

  broadcast(name: string, args: WireValue): void {
    if (this.#closed) return;
    const bytes = this.server.broadcastFrame(this.#codec!, name, args);
    if (!this.server.holdsBroadcast()) return this.#send(bytes);
    if (!this.#held) {
      this.#held = true;
      this.socket.cork();
      this.server.holdFor(this);
    }
    this.#write(bytes);
    // What we hold back must not look like what the client does not take.
    if (this.socket.writableLength > HOLD_BYTES) this.release();
  }

  sendBatch(batch: InvalidationBatch, from: number, to: number): void {
    if (!this.#closed) this.#send(batch.bytes(this.#codec!, from, to));
  }

  cork(): void {
    this.socket.cork();
  }

  uncork(): void {
    this.socket.uncork();
  }

  /** Lets go what was held back to leave with what follows it. */
  release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.socket.uncork();
  }

  close(reason: string, level: 'info' | 'warn' = 'info'): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.socket.destroy();
    // Who looks only whether the port answers is not worth a line.
    if (this.#heard || reason !== GONE) {
      this.server.log[level](
        { client: this.label, storage: this.#session?.hosted.id, reason },
        'disconnected',
      );
    }
    this.#session?.close();
    this.onClose(this);
  }

  #receive(chunk: Buffer): void {
    this.#heard = true;
    this.#frames.push(chunk);
    this.#process();
  }

  #process(): void {
    // The answers to what arrived together leave together.
    this.socket.cork();
    try {
      for (let bytes = this.#next(); bytes; bytes = this.#next()) {
        if (this.#codec) this.#handle(this.#codec.decode(bytes));
        else this.#shakeHands(bytes);
      }
    } catch (error) {
      this.close(error instanceof Error ? error.message : String(error), 'warn');
    } finally {
      this.socket.uncork();
    }
  }

  #next(): Buffer | undefined {
    return this.#closed || this.#paused ? undefined : this.#frames.next();
  }

  #shakeHands(answer: Buffer): void {
    if (answer.toString('latin1') === STATUS_REQUEST) {
      // Who does not hang up then is hung up on when the time for the handshake is over.
      this.socket.end(frame(Buffer.from(this.server.statusReport(), 'utf8')));
      return;
    }
    this.#codec = makeCodec(letterOfAnswer(answer), SERVER_DECODE_LIMITS);
    this.#frames.limit = UNREGISTERED_LIMIT;
  }

  #handle(message: Message): void {
    if (message.id === HEARTBEAT_ID) return;
    const wantsReply = message.flag === FLAG.call || message.flag === 0;
    let result: MethodResult;
    try {
      result = this.#call(message);
    } catch (error) {
      return this.#failed(message, wantsReply, error);
    }
    if (result instanceof Later) {
      result.whenDone(
        (value) => wantsReply && this.#reply(message, value),
        (error) => this.#failed(message, wantsReply, error),
      );
    } else if (result instanceof Promise) {
      result.then(
        (value) => wantsReply && this.#reply(message, value),
        (error: unknown) => this.#failed(message, wantsReply, error),
      );
    } else if (wantsReply) this.#reply(message, result);
  }

  #call({ name, args }: Message): MethodResult {
    if (this.#context) {
      if (name === 'register') throw new InvalidArgumentError('The client has registered already.');
      return callMethod(this.#context, name, args);
    }
    if (name !== 'register') throw new UnknownMethodError(`${name} before register`);
    return this.#register(args);
  }

  #register(args: WireValue): WireValue {
    const [id, readOnlyFlag] = argumentsOf('register', args, 2, 2);
    const name = stringArgument(id, 'A storage name');
    const hosted = this.server.storage(name);
    if (!hosted) throw new InvalidArgumentError(`unknown storage: ${name}`);
    const readOnly = readOnlyFlag === true || readOnlyFlag === 1;
    if (!readOnly && (this.server.readOnly || hosted.storage.readOnly)) throw new ReadOnlyError();
    const last = hosted.lastTransaction();
    this.#session = new Session(
      hosted,
      this,
      {
        readOnly: readOnly || this.server.readOnly,
        transactionTimeout: this.server.transactionTimeout,
        transactionLimits: this.server.transactionLimits,
      },
      this.server.log,
    );
    this.#context = this.#makeContext(this.#session);
    this.#frames.limit = this.server.maxMessageBytes;
    clearTimeout(this.#timer);
    this.server.log.info({ client: this.label, storage: name, readOnly }, 'registered');
    return tidToBytes(last);
  }

  #makeContext(session: Session): MethodContext {
    return {
      session,
      setLabel: (label) => {
        this.label = `${label} ${this.#peer}`;
        this.server.log.info({ client: this.label, storage: session.hosted.id }, 'client label set');
      },
      status: () => this.server.status(session.hosted),
      sendBlob: (oid, tid) => this.#sendBlob(session, oid, tid),
    };
  }

  async #sendBlob(session: Session, oid: Uint8Array, tid: Uint8Array): Promise<void> {
    requireCapability(session.storage, 'blobs');
    const reader = session.storage.openBlob(oidFromBytes(oid), tidFromBytes(tid));
    // The names are sent back later; what they came in may be gone by then.
    const [oidBytes, tidBytes] = [Buffer.from(oid), Buffer.from(tid)];
    this.oneWay('receiveBlobStart', tuple(oidBytes, tidBytes));
    const codec = this.#codec!;
    const messages = blobMessages(reader, (chunk) =>
      codec.encode(0, FLAG.oneWay, 'receiveBlobChunk', tuple(oidBytes, tidBytes, chunk)),
    );
    for (const message of messages) {
      await this.#taken(message);
      if (this.#closed) return;
    }
    this.oneWay('receiveBlobStop', tuple(oidBytes, tidBytes));
  }

  /** Sends, and resolves when the socket has no more need of the bytes. */
  #taken(bytes: Buffer): Promise<void> {
    return new Promise((resolve) => {
      if (this.#closed) return resolve();
      this.socket.write(bytes, () => resolve());
      this.release();
    });
  }

  #reply(message: Message, value: WireValue | undefined): void {
    if (!this.#closed) this.#send(this.#codec!.encode(message.id, FLAG.result, REPLY, value));
  }

  #failed(message: Message, wantsReply: boolean, error: unknown): void {
    if (this.#closed) return;
    if (!wantsReply || error instanceof UnknownMethodError) {
      const text = error instanceof Error ? error.message : String(error);
      this.close(`${message.name.slice(0, 60)} failed: ${text}`, 'warn');
      return;
    }
    const expected = error instanceof StorageTransactionError || error instanceof ReadOnlyError;
    if (!expected) this.#logFailure(message, error);
    this.#send(this.#codec!.encode(message.id, FLAG.error, REPLY, errorToWire(error)));
  }

  #logFailure(message: Message, error: unknown): void {
    const name = error instanceof Error ? error.constructor.name : typeof error;
    // Missing objects and conflicts are every day's business; the client learns of them.
    if (name === 'POSKeyError' || name === 'ConflictError' || name === 'ReadConflictError') return;
    const text = error instanceof Error ? error.message : String(error);
    this.server.log.warn({ client: this.label, method: message.name, error: name, text }, 'a call failed');
  }

  #send(bytes: Buffer): void {
    this.#write(bytes);
    this.release();
  }

  #write(bytes: Buffer): void {
    if (this.#closed) return;
    const waiting = this.socket.writableLength;
    if (waiting > this.server.maxQueuedBytes) {
      return this.close(`The client does not read: ${waiting} bytes wait for it.`, 'warn');
    }
    if (this.socket.write(bytes) || this.socket.writableLength < PAUSE_BYTES || this.#paused) return;
    this.#paused = true;
    this.socket.pause();
  }

  #resume(): void {
    if (!this.#paused || this.#closed) return;
    this.#paused = false;
    this.socket.resume();
    this.#process();
  }
}
