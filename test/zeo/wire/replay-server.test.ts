/**
 * The client's side of the recorded conversations is played to our server, over a socket, and its side is compared with what Python's
 * server said, byte for byte. The storage is told the tids of the recording; what other clients committed meanwhile is taken
 * from what the recording says about it. What may differ is listed in {@link DIFFERENT}, and counted.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileStorage, TransactionMetaData, type TransactionStatus } from '../../../src/storage';
import { oidFromBytes, tidFromBytes, tidToBytes, ZERO_TID, type Oid, type Tid } from '../../../src/ids';
import { ZeoServer } from '../../../src/zeo';
import {
  CLIENT_DECODE_LIMITS,
  HEARTBEAT_ID,
  makeCodec,
  messageKey,
  type Codec,
  type Message,
} from '../../../src/zeo/wire/codec';
import { FrameReader } from '../../../src/zeo/wire/frames';
import { itemsOf, tuple, type WireValue } from '../../../src/zeo/wire/values';
import { PATIENCE } from '../until';
import { conversationFiles, readConversation } from './conversation';

const directory = mkdtempSync(join(tmpdir(), 'zodb-zeo-replay-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Transactions that a server remembers for clients that come back. */
const QUEUE = 100;

/** A file whose transactions get the tids they had in the recording. */
class ToldStorage extends FileStorage {
  nextTid: Tid = ZERO_TID;

  override tpcBegin(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): void {
    super.tpcBegin(txn, tid ?? this.nextTid, status);
  }

  override tpcBeginAsync(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): Promise<void> {
    return super.tpcBeginAsync(txn, tid ?? this.nextTid, status);
  }
}

/** A recorded message: the handshake, or one that has been taken apart. */
interface Entry {
  readonly fromClient: boolean;
  readonly bytes: Buffer;
  readonly message: Message | undefined;
  /** Number of its connection. */
  readonly connection: number;
}

function readEntries(file: string, codec: Codec): Entry[] {
  let connection = -1;
  return readConversation(file).map(({ fromClient, bytes }) => {
    const handshake = bytes.length <= 8;
    if (handshake && !fromClient) connection++;
    return {
      fromClient,
      bytes,
      message: handshake ? undefined : codec.decode(bytes.subarray(4)),
      connection,
    };
  });
}

function hex(value: WireValue | undefined): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : '';
}

function isCall({ fromClient, message }: Entry): boolean {
  return fromClient && message !== undefined && message.id !== HEARTBEAT_ID && message.flag === false;
}

/** Part of the answer to a vote that leaves a conflict to the client. */
function namesConflict(item: WireValue | undefined): boolean {
  return item instanceof Map && item.has('serials');
}

class Replay {
  readonly storage: ToldStorage;
  readonly server: ZeoServer;
  /** Methods whose answers are the same in meaning only, with how often. */
  readonly different = new Map<string, number>();
  same = 0;
  #socket: Socket | undefined;
  #frames = new FrameReader(1 << 30);
  readonly #arrived: Buffer[] = [];
  #wake: () => void = () => undefined;

  constructor(
    name: string,
    readonly entries: readonly Entry[],
    readonly codec: Codec,
  ) {
    this.storage = new ToldStorage(join(directory, `${name}.fs`), {
      blobDir: join(directory, `${name}.blobs`),
    });
    this.server = new ZeoServer({
      storages: { '1': this.storage },
      msgpack: codec.letter === 'M',
      clientConflictResolution: entries.some(({ message }) => namesConflict(itemsOf(message?.args)?.[0])),
    });
  }

  async run(): Promise<void> {
    const { port } = (await this.server.listen({ host: '127.0.0.1', port: 0 })) as { port: number };
    try {
      for (const [index, entry] of this.entries.entries()) {
        if (entry.fromClient) await this.#send(entry, index);
        else {
          if (entry.message === undefined) this.#connect(port);
          await this.#compare(entry, index);
        }
      }
    } finally {
      this.#socket?.destroy();
      await this.server.close();
      this.storage.close();
    }
  }

  #connect(port: number): void {
    this.#socket?.destroy();
    this.#frames = new FrameReader(1 << 30);
    this.#arrived.length = 0;
    const socket = (this.#socket = connect(port, '127.0.0.1'));
    socket.on('data', (chunk: Buffer) => {
      if (socket !== this.#socket) return;
      this.#frames.push(chunk);
      for (let bytes = this.#frames.next(); bytes; bytes = this.#frames.next()) this.#arrived.push(bytes);
      this.#wake();
    });
    socket.on('close', () => this.#wake());
  }

  async #send(entry: Entry, index: number): Promise<void> {
    const { message } = entry;
    if (message?.name === 'register') this.#catchUp(index);
    if (message?.name === 'vote') this.storage.nextTid = this.#tidOfCommit(index);
    this.#socket!.write(entry.bytes);
    // Long answers are not in the recordings.
    if (isCall(entry) && !this.#answerTo(entry)) await this.#receive();
  }

  async #receive(): Promise<Buffer> {
    const end = performance.now() + PATIENCE;
    for (;;) {
      const bytes = this.#arrived.shift();
      if (bytes) return bytes;
      if (this.#socket!.destroyed) throw new Error('the server closed the connection');
      if (performance.now() > end) throw new Error('the server says nothing');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, 100);
      });
    }
  }

  async #compare({ bytes, message: wanted }: Entry, index: number): Promise<void> {
    if (wanted?.name === 'invalidateTransaction') {
      const [tid, oids] = itemsOf(wanted.args)!;
      this.#othersCommit(tidFromBytes(tid as Uint8Array), itemsOf(oids)!);
    }
    const answer = await this.#receive();
    if (answer.equals(bytes.subarray(4))) return void this.same++;
    const got = this.codec.decode(answer);
    const about = wanted && this.#about(wanted, index);
    const alike = about === undefined ? undefined : DIFFERENT[about];
    if (!alike) expect(got).toEqual(wanted);
    expect([got.id, got.flag, got.name]).toEqual([wanted!.id, wanted!.flag, wanted!.name]);
    expect(alike!(got.args)).toEqual(alike!(wanted!.args));
    this.different.set(about!, (this.different.get(about!) ?? 0) + 1);
  }

  /** What a server's message is about, as {@link DIFFERENT} calls it. */
  #about({ id, flag, name, args }: Message, index: number): string | undefined {
    if (flag === 2) return String(itemsOf(args)![0]);
    if (id !== 0) return this.#questionOf(id, index)?.name;
    const blobs = this.entries.slice(0, index).some(({ message }) => message?.name === 'storeBlobEnd');
    return name === 'info' && blobs ? 'info after a blob' : undefined;
  }

  #answerTo({ message, connection }: Entry): Message | undefined {
    const key = messageKey(message!.id);
    return this.entries.find(
      (entry) =>
        !entry.fromClient &&
        entry.connection === connection &&
        entry.message !== undefined &&
        messageKey(entry.message.id) === key,
    )?.message;
  }

  #questionOf(id: WireValue, index: number): Message | undefined {
    const key = messageKey(id);
    for (let at = index - 1; at >= 0; at--) {
      const { fromClient, message } = this.entries[at]!;
      if (fromClient && message && messageKey(message.id) === key) return message;
    }
    return undefined;
  }

  /** The tid that the transaction voted on got when it was finished; any later one when it was not. */
  #tidOfCommit(index: number): Tid {
    const next = this.entries
      .slice(index + 1)
      .find((entry) => isCall(entry) && /^(vote|tpc_)/.test(entry.message!.name));
    const answer = next?.message?.name === 'tpc_finish' ? this.#answerTo(next) : undefined;
    if (answer?.args instanceof Uint8Array) return tidFromBytes(answer.args);
    return (this.storage.lastTransaction() + 1n) as Tid;
  }

  /** What was committed by others since the connection before, as the answer to `register` and what follows it tell. */
  #catchUp(index: number): void {
    const answer = this.#answerTo(this.entries[index]!);
    if (!(answer?.args instanceof Uint8Array)) return;
    const tid = tidFromBytes(answer.args);
    if (tid <= this.storage.lastTransaction()) return;
    const asked = this.entries[index + 2];
    const changes = asked?.message?.name === 'getInvalidations' ? this.#answerTo(asked)?.args : undefined;
    const oids = itemsOf(itemsOf(changes)?.[1]) ?? [Buffer.alloc(8)];
    // When the server does not know, it was more than it remembers.
    const more = changes === null ? QUEUE : 0;
    for (let before = more; before >= 0; before--) this.#othersCommit((tid - BigInt(before)) as Tid, oids);
  }

  #othersCommit(tid: Tid, oids: readonly WireValue[]): void {
    const { storage } = this;
    const txn = new TransactionMetaData();
    storage.tpcBegin(txn, tid);
    const changed = oids.map((oid) => oidFromBytes(oid as Uint8Array));
    for (const oid of changed) storage.store(oid, serialOf(storage, oid), this.#dataOf(oid, tid), txn);
    storage.tpcVote(txn);
    storage.tpcFinish(txn);
    for (const hosted of this.server.storages.values()) hosted.invalidate(tid, changed);
  }

  /** The record, if any recorded answer shows it. */
  #dataOf(oid: Oid, tid: Tid): Uint8Array {
    const tidHex = hex(tidToBytes(tid));
    for (const [index, { fromClient, message }] of this.entries.entries()) {
      if (fromClient || !message || message.flag !== 0) continue;
      const asked = this.#questionOf(message.id, index);
      const args = itemsOf(asked?.args) ?? [];
      const parts = itemsOf(message.args) ?? [];
      const found =
        asked?.name === 'loadSerial' && hex(args[1]) === tidHex && message.args instanceof Uint8Array
          ? [args[0], message.args]
          : asked?.name === 'loadBefore' && hex(parts[1]) === tidHex
            ? [args[0], parts[0]]
            : parts.length === 4 && hex(parts[1]) === tidHex
              ? [parts[0], parts[2]]
              : [];
      if (found[1] instanceof Uint8Array && oidFromBytes(found[0] as Uint8Array) === oid) return found[1];
    }
    return Buffer.from('\x80\x03cplace\nHolder\n.\x80\x03}.', 'latin1');
  }
}

function serialOf(storage: FileStorage, oid: Oid): Tid {
  try {
    return storage.load(oid).serial;
  } catch {
    return ZERO_TID;
  }
}

function without(dict: WireValue, ...names: string[]): WireValue {
  const copy = new Map(dict as ReadonlyMap<WireValue, WireValue>);
  for (const name of names) copy.delete(name);
  return copy;
}

function onlyTheClass(error: WireValue): WireValue {
  return itemsOf(error)![0]!;
}

/** What need not be the same bytes, and what of it must be the same. */
const DIFFERENT: Record<string, (args: WireValue) => WireValue> = {
  // Where the file is; and what Python's clients do not look at.
  get_info: (info) => without(info, 'name', 'zodb_js', 'zodb_commit'),
  // What other clients do is not done through the server here.
  server_status: (status) => without(status, 'start', 'connections', 'commits', 'stores'),
  // A set, in no order.
  getInvalidations: (answer) => {
    const [tid, oids] = itemsOf(answer)!;
    return tuple(tid!, itemsOf(oids)!.map(hex).sort());
  },
  // Python's server stores the record of a blob twice.
  'info after a blob': (args) => tuple(...itemsOf(args)!.map((info) => without(info, 'size'))),
  // The words of errors are everybody's own.
  'builtins.TypeError': onlyTheClass,
  'ZODB.POSException.UndoError': onlyTheClass,
  // Python's holds a pickled exception for each object.
  'ZODB.POSException.MultipleUndoErrors': (error) => {
    const failures = (itemsOf(error)![1] as ReadonlyMap<WireValue, WireValue>).get('_errs');
    return itemsOf(failures)!.map((failure) => hex(itemsOf(failure)![0]));
  },
};

describe('our server in the place of the one that was recorded', () => {
  it.each(conversationFiles())('%s: says the same', async (file) => {
    const codec = makeCodec(file.includes('M5') ? 'M' : 'Z', CLIENT_DECODE_LIMITS);
    const replay = new Replay(file, readEntries(file, codec), codec);
    await replay.run();
    const different = [...replay.different.values()].reduce((sum, count) => sum + count, 0);
    expect(replay.same).toBeGreaterThan(different * 4);
  });
});
