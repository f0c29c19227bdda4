/**
 * A server that has nothing but a recording: it answers a message that Python's client sent with what Python's server said. It runs in
 * a thread of its own, beside a client that waits.
 */
import { createServer, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import {
  CLIENT_DECODE_LIMITS,
  FLAG,
  makeCodec,
  messageKey,
  type Codec,
  type Message,
} from '../../../src/zeo/wire/codec';
import { FrameReader } from '../../../src/zeo/wire/frames';
import { itemsOf, tuple } from '../../../src/zeo/wire/values';

/** A sized message of the recording. */
export interface RecordedBytes {
  readonly fromClient: boolean;
  readonly bytes: Uint8Array;
}

/** Where the client's own name for its transaction stands. */
const FIRST = new Set(['tpc_begin', 'vote', 'tpc_finish', 'tpc_abort']);
const LAST = new Set(['storea', 'restorea', 'deleteObject', 'checkCurrentSerialInTransaction', 'undoa']);

/** The bytes of a message without what a client may choose: the numbers of calls and of transactions. */
function normalForm(codec: Codec, { id, flag, name, args }: Message): string {
  const items = [...(itemsOf(args) ?? [])];
  if (FIRST.has(name)) items[0] = 0;
  // A bool, or a number.
  if (name === 'register') items[1] = Boolean(items[1]);
  if (LAST.has(name)) items[items.length - 1] = 0;
  // Python's waits for an answer, ours does not.
  const asked = name === 'tpc_abort' ? FLAG.oneWay : flag;
  return codec.encode(typeof id === 'number' ? 0 : id, asked, name, tuple(...items)).toString('latin1');
}

interface Question {
  readonly form: string;
  readonly name: string;
  /** What the server said to it: messages of its own, and the answer. */
  readonly said: readonly { readonly bytes: Buffer; readonly answer: Message | undefined }[];
  used: boolean;
}

function readQuestions(entries: readonly RecordedBytes[], codec: Codec): Question[] {
  const messages = entries
    .filter(({ bytes }) => bytes.length > 8)
    .map(({ fromClient, bytes }) => {
      const buffer = Buffer.from(bytes);
      return { fromClient, bytes: buffer, message: codec.decode(buffer.subarray(4)) };
    });
  return messages.flatMap(({ fromClient, message }, index) => {
    if (!fromClient) return [];
    const end = messages.findIndex((other, at) => at > index && other.fromClient);
    const said = messages.slice(index + 1, end < 0 ? undefined : end).map((other) => ({
      bytes: other.bytes,
      answer: messageKey(other.message.id) === messageKey(message.id) ? other.message : undefined,
    }));
    return [{ form: normalForm(codec, message), name: message.name, said, used: false }];
  });
}

function serve(socket: Socket, codec: Codec, questions: readonly Question[], unknown: string[]): void {
  const frames = new FrameReader(1 << 30);
  let greeted = false;
  const answer = (bytes: Buffer): void => {
    if (!greeted) {
      if (bytes.toString('latin1') !== `${codec.letter}5`) unknown.push('handshake');
      greeted = true;
      return;
    }
    const message = codec.decode(bytes);
    const form = normalForm(codec, message);
    // Looks may be repeated.
    const question =
      questions.find((known) => !known.used && known.form === form) ??
      questions.find((known) => known.form === form);
    if (!question) {
      unknown.push(`${message.name} ${bytes.toString('hex')}`);
      if (message.flag === FLAG.call) socket.destroy();
      return;
    }
    question.used = true;
    for (const { bytes: recorded, answer: reply } of question.said) {
      if (!reply) socket.write(recorded);
      else if (message.flag !== FLAG.oneWay) {
        socket.write(codec.encode(message.id, reply.flag, reply.name, reply.args));
      }
    }
  };
  socket.setNoDelay(true).on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    frames.push(chunk);
    for (let bytes = frames.next(); bytes; bytes = frames.next()) answer(bytes);
  });
  socket.write(Buffer.from(`\0\0\0\x02${codec.letter}5`, 'latin1'));
}

/** What the thread is given. */
export interface RecordedServerData {
  readonly letter: 'Z' | 'M';
  readonly entries: readonly RecordedBytes[];
}

if (parentPort) {
  const port = parentPort;
  const { letter, entries } = workerData as RecordedServerData;
  const codec = makeCodec(letter, CLIENT_DECODE_LIMITS);
  const questions = readQuestions(entries, codec);
  const unknown: string[] = [];
  const server = createServer((socket) => serve(socket, codec, questions, unknown));
  server.listen(0, '127.0.0.1', () => port.postMessage((server.address() as { port: number }).port));
  port.on('message', () => {
    port.postMessage({ unknown, unused: questions.filter(({ used }) => !used).map(({ name }) => name) });
    server.close();
    port.close();
  });
}
