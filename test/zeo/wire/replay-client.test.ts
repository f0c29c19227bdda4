/**
 * Our client does what Python's client did when it was recorded, against a server that has only the recording. Every message that it
 * sends must be one that Python's client sent, byte for byte but for the numbers that a client gives its calls and
 * transactions; and it must understand the answers.
 */
import { buildSync } from 'esbuild';
import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ConflictError } from '../../../src/errors';
import { oidFromBytes, tidFromBytes, ZERO_TID } from '../../../src/ids';
import { TransactionMetaData } from '../../../src/storage';
import { ClientStorage } from '../../../src/zeo';
import { CLIENT_DECODE_LIMITS, makeCodec, messageKey, type Message } from '../../../src/zeo/wire/codec';
import { extensionBytes } from '../../../src/zeo/wire/metadata';
import { itemsOf, type WireValue } from '../../../src/zeo/wire/values';
import { PATIENCE } from '../until';
import { conversationFiles, readConversation, type Recorded } from './conversation';
import type { RecordedServerData } from './recorded-server';

const program = buildSync({
  entryPoints: [join(__dirname, 'recorded-server.ts')],
  bundle: true,
  platform: 'node',
  target: 'node20',
  write: false,
}).outputFiles[0]!.text;

/** A call or one-way message of Python's client, with the answer. */
interface Step {
  readonly name: string;
  readonly args: readonly WireValue[];
  readonly answer: Message | undefined;
}

function readSteps(letter: 'Z' | 'M', entries: readonly Recorded[]): Step[] {
  const codec = makeCodec(letter, CLIENT_DECODE_LIMITS);
  const messages = entries
    .filter(({ bytes }) => bytes.length > 8)
    .map(({ fromClient, bytes }) => ({ fromClient, message: codec.decode(bytes.subarray(4)) }));
  return messages.flatMap(({ fromClient, message }, index) => {
    if (!fromClient) return [];
    const key = messageKey(message.id);
    const answer = messages
      .slice(index)
      .find((other) => !other.fromClient && other.message.id !== 0 && messageKey(other.message.id) === key);
    return [{ name: message.name, args: itemsOf(message.args) ?? [], answer: answer?.message }];
  });
}

const asBytes = (value: WireValue | undefined): Uint8Array => value as Uint8Array;
const asOid = (value: WireValue | undefined) => oidFromBytes(asBytes(value));
const asTid = (value: WireValue | undefined) => tidFromBytes(asBytes(value));
const hex = (value: WireValue | undefined): string => Buffer.from(asBytes(value)).toString('hex');

function failureOf(act: () => unknown): unknown {
  try {
    act();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Does what Python's program did. Left out is what ours does by other calls: for logs, histories and undo it walks through
 * transactions. */
function makeActions(client: ClientStorage): Record<string, (step: Step) => void> {
  let txn = new TransactionMetaData();
  return {
    new_oids: ({ answer }) => expect(client.newOid()).toBe(asOid(itemsOf(answer!.args)![0])),
    tpc_begin({ args: [, user, description, extension] }) {
      txn = new TransactionMetaData({
        user: asBytes(user),
        description: asBytes(description),
        extension: extensionBytes(extension),
      });
      client.tpcBegin(txn);
    },
    storea: ({ args: [oid, serial, data] }) =>
      client.store(asOid(oid), asTid(serial) || ZERO_TID, asBytes(data), txn),
    vote({ answer }) {
      const failure = failureOf(() => client.tpcVote(txn));
      if (answer!.flag === 0) return expect(failure).toBeUndefined();
      const [, state] = itemsOf(answer!.args)!;
      expect(failure).toBeInstanceOf(ConflictError);
      const fields = state as ReadonlyMap<string, WireValue>;
      expect(failure).toMatchObject({
        oid: asOid(fields.get('oid')),
        serials: itemsOf(fields.get('serials'))!.map(asTid),
        className: fields.get('class_name'),
      });
    },
    tpc_finish: ({ answer }) => expect(client.tpcFinish(txn)).toBe(asTid(answer!.args)),
    tpc_abort: () => client.tpcAbort(txn),
    loadBefore({ args: [oid, tid], answer }) {
      const [data, serial] = itemsOf(answer!.args)!;
      const record = client.loadBefore(asOid(oid), asTid(tid))!;
      expect(Buffer.from(record.data).toString('hex')).toBe(hex(data));
      expect(record.serial).toBe(asTid(serial));
    },
    loadSerial: ({ args: [oid, tid], answer }) =>
      expect(Buffer.from(client.loadSerial(asOid(oid), asTid(tid)).data).toString('hex')).toBe(
        hex(answer!.args),
      ),
    record_iternext({ args: [from], answer }) {
      const [oid, tid, data] = itemsOf(answer!.args)!;
      const records = client.currentRecords(from === null ? undefined : asOid(from));
      const record = records.next().value!;
      records.return?.();
      expect([record.oid, record.serial, hex(record.data)]).toEqual([asOid(oid), asTid(tid), hex(data)]);
    },
  };
}

/** Without the transactions that undo something. */
function withoutUndo(steps: readonly Step[]): Step[] {
  const ends = /^tpc_(finish|abort)$/;
  let undoing = false;
  return steps.filter(({ name }, index) => {
    if (name === 'tpc_begin') undoing = steps[index + 1]?.name === 'undoa';
    const taken = !undoing;
    if (ends.test(name)) undoing = false;
    return taken;
  });
}

/** Every call of it has its answer. */
function isWhole(letter: 'Z' | 'M', entries: readonly Recorded[]): boolean {
  const oneWay = /^(set_client_label|tpc_begin|storea|undoa|iterator_gc)$/;
  return readSteps(letter, entries).every(({ name, answer }) => oneWay.test(name) || answer !== undefined);
}

describe('our client in the place of the one that was recorded', () => {
  const recordings = conversationFiles()
    .map((file) => ({ file, letter: file.includes('M5') ? ('M' as const) : ('Z' as const) }))
    .map((recording) => ({ ...recording, entries: readConversation(recording.file) }))
    .filter(({ letter, entries }) => isWhole(letter, entries));

  it('has whole conversations to repeat', () => expect(recordings.length).toBeGreaterThan(0));

  it.each(recordings)('$file: sends the same', async ({ letter, entries }) => {
    const given: RecordedServerData = { letter, entries };
    const server = new Worker(program, { eval: true, workerData: given });
    const [port] = (await once(server, 'message')) as [number];
    const steps = readSteps(letter, entries);
    const label = steps.find(({ name }) => name === 'set_client_label')?.args[0] as string;
    const options = { clientLabel: label, waitTimeout: PATIENCE, retryDelay: 20, cacheSize: 0 };
    const done = new Set<string>();
    let failure: unknown;
    try {
      const client = new ClientStorage(`127.0.0.1:${port}`, options);
      const actions = makeActions(client);
      for (const step of withoutUndo(steps)) {
        if (!(step.name in actions)) continue;
        done.add(step.name);
        actions[step.name]!(step);
      }
      client.close();
    } catch (error) {
      failure = error;
    }
    server.postMessage('end');
    const [result] = (await once(server, 'message')) as [{ unknown: string[]; unused: string[] }];
    await server.terminate();
    expect(result.unknown).toEqual([]);
    expect(failure).toBeUndefined();
    expect([...done]).toEqual(expect.arrayContaining(['tpc_begin', 'storea', 'vote', 'tpc_finish']));
    expect(result.unused.filter((name) => name === 'storea' || name.startsWith('load'))).toEqual([]);
  });
});
