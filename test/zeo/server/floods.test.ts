/** Clients that take too much, or give too little: what they get, and that others do not notice. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MAX_TID, tidToBytes } from '../../../src/ids';
import { MemoryStorage } from '../../../src/storage';
import { ZeoServer, type ServerLogger, type ZeoServerOptions } from '../../../src/zeo';
import { frame } from '../../../src/zeo/wire/frames';
import { itemsOf, tuple } from '../../../src/zeo/wire/values';
import { RawPeer } from '../raw-peer';
import { passTime, stopTime, until } from '../until';

const NEW = Buffer.alloc(8);
const EMPTY = Buffer.alloc(0);
const LATEST = Buffer.from(tidToBytes(MAX_TID));
const RECORD = Buffer.from('\x80\x03ctest\nThing\n.\x80\x03}.', 'latin1');

let server: ZeoServer;
let storage: MemoryStorage;
let port: number;
let lines: string[] = [];
const peers: RawPeer[] = [];

async function start(options: Partial<ZeoServerOptions> = {}): Promise<void> {
  const line = (fields: object, text: string): void => void lines.push(`${text} ${JSON.stringify(fields)}`);
  const logger: ServerLogger = { info: line, warn: line, error: line, fatal: line };
  storage = new MemoryStorage();
  server = new ZeoServer({ storages: { '1': storage }, logger, ...options });
  port = ((await server.listen({ host: '127.0.0.1', port: 0 })) as { port: number }).port;
}

function peer(where: number | string = port): RawPeer {
  const made = new RawPeer(where);
  peers.push(made);
  return made;
}

afterEach(async () => {
  for (const each of peers.splice(0)) each.destroy();
  await server.close();
  storage.close();
  jest.useRealTimers();
  lines = [];
});

function oid(number: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(number, 4);
  return bytes;
}

function begin(client: RawPeer): void {
  client.oneWay('tpc_begin', 1, EMPTY, EMPTY, new Map(), null, ' ');
}

async function commit(client: RawPeer, object: Buffer, serial: Buffer, data = RECORD): Promise<Buffer> {
  begin(client);
  client.oneWay('storea', object, serial, data, 1);
  expect((await client.call('vote', 1)).flag).toBe(0);
  return Buffer.from((await client.call('tpc_finish', 1)).args as Uint8Array);
}

/** Bytes of buffers that are in use, without those that are only not collected yet. */
async function buffersInUse(): Promise<number> {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  // What one finds is given back by the time of the next.
  for (let round = 0; round < 3; round++) {
    gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().arrayBuffers;
}

/** Milliseconds of work of this process, the server in it, for a question of a client and what is done before; not what else the machine does. */
async function pings(client: RawPeer, rounds: number, between: (round: number) => void): Promise<number> {
  const before = process.cpuUsage();
  for (let round = 0; round < rounds; round++) {
    between(round);
    await client.call('ping');
    client.messages.length = 0;
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / rounds;
}

/** What else this process does, as compiling, only ever adds to it. */
async function leastOf(rounds: number, measure: () => Promise<number>): Promise<number> {
  let least = Infinity;
  for (let round = 0; round < rounds; round++) least = Math.min(least, await measure());
  return least;
}

describe('a transaction that goes nowhere', () => {
  it('of a client that never votes holds nobody up, and is forgotten when the client goes', async () => {
    stopTime();
    await start({ transactionTimeout: 100 });
    const idle = await peer().register();
    begin(idle);
    idle.oneWay('storea', oid(1), NEW, RECORD, 1);
    const other = await peer().register();
    await commit(other, oid(1), NEW);
    // The time limit is for those who hold the lock; it does not.
    await passTime(1000);
    await idle.call('ping');
    expect(idle.closed).toBe(false);
    expect(server.status().get('1')).toMatchObject({ active_txns: 1, waiting: 0, lock_time: null });
    const late = await idle.call('vote', 1);
    expect(itemsOf(late.args)![0]).toBe('ZODB.POSException.ConflictError');
    begin(idle);
    await idle.call('ping');
    idle.destroy();
    await other.until(() => server.status().get('1')!.active_txns === 0);
    expect(lines.some((text) => text.startsWith('Disconnected during a transaction; it is aborted'))).toBe(
      true,
    );
  });

  it('in a frame that is cut off is aborted; nothing of it is stored', async () => {
    await start();
    const bad = await peer().register();
    begin(bad);
    bad.oneWay('storea', oid(1), NEW, RECORD, 1);
    const vote = bad.codec.encode(7, false, 'vote', tuple(1));
    bad.socket.write(vote.subarray(0, vote.length - 3));
    bad.socket.end();
    const other = await peer().register();
    await other.until(() => server.status().get('1')!.connections === 1);
    expect(server.status().get('1')).toMatchObject({ active_txns: 0, aborts: 1, commits: 0 });
    await commit(other, oid(1), NEW);
  });

  it('with more changes, or more bytes, than the server takes ends the connection', async () => {
    await start({ maxTransactionChanges: 1000, maxTransactionBytes: 1 << 20 });
    const many = await peer().register();
    begin(many);
    for (let number = 0; number <= 1000; number++) {
      many.oneWay('checkCurrentSerialInTransaction', oid(number), NEW, 1);
    }
    await many.end();
    expect(lines.join('\n')).toContain('may not ask for more than 1000 changes');
    const large = await peer().register();
    begin(large);
    for (let number = 0; number < 3; number++) {
      large.oneWay('storea', oid(number), NEW, Buffer.alloc(500_000), 1);
    }
    await large.end();
    expect(lines.join('\n')).toContain('may not have more than 1048576 bytes');
    expect(server.status().get('1')!.active_txns).toBe(0);
  });
});

describe('a client that asks and does not read', () => {
  it('gets no more done until it does; then it gets everything', async () => {
    await start();
    const other = await peer().register();
    await commit(other, oid(1), NEW, Buffer.concat([RECORD, Buffer.alloc(50_000)]));
    const loads = (): number => server.status().get('1')!.loads;
    const slow = await peer().register();
    slow.socket.pause();
    const wanted = 2000;
    for (let number = 1; number <= wanted; number++)
      slow.send(number, false, 'loadBefore', tuple(oid(1), LATEST));
    await other.until(() => loads() > 0);
    let seen = -1;
    while (loads() !== seen) {
      seen = loads();
      await pings(other, 50, () => undefined);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    // 100 MB were asked for; what the system's buffers hold and 1 MiB were answered.
    expect(seen).toBeLessThan(wanted / 2);
    slow.socket.resume();
    await slow.until(() => slow.messages.length >= wanted);
    expect(loads()).toBe(wanted);
  });
});

describe('sockets without end', () => {
  it('beyond the limit are refused, with a line in the log', async () => {
    await start({ maxConnections: 2 });
    const [first, second] = [await peer().register(), await peer().register()];
    const third = peer();
    await third.end();
    expect(lines.some((text) => text.startsWith('connection refused: there are too many'))).toBe(true);
    second.destroy();
    await first.until(() => server.connectionCount === 1);
    await peer().register();
  });

  it('that promise much and send a byte now and then cost neither memory nor time, registered or not', async () => {
    await start({ handshakeTimeout: 1_000_000 });
    const other = await peer().register();
    const alone = await leastOf(3, () => pings(other, 300, () => undefined));
    const sockets: Socket[] = [];
    const registered = await Promise.all(Array.from({ length: 50 }, () => peer().register()));
    for (let count = 0; count < 1000; count++) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(Buffer.from('00000040', 'hex'));
      sockets.push(socket);
    }
    await other.until(() => server.connectionCount === 1051);
    const before = await buffersInUse();
    // Within the limit of 256 MiB.
    for (const { socket } of registered) socket.write(Buffer.from('0f000000', 'hex'));
    const drip = (round: number): void => {
      for (let count = 0; count < 4; count++) sockets[(round * 4 + count) % 1000]!.write('x');
      registered[round % 50]!.socket.write('x');
    };
    const crowded = await leastOf(3, () => pings(other, 300, drip));
    // Each costs at most 1 MiB of what it promised, and what it sent; both ends are in this process.
    expect((await buffersInUse()) - before).toBeLessThan(100 << 20);
    expect(crowded).toBeLessThan(alone * 25);
    for (const socket of sockets) socket.destroy();
  });

  it('that declare 4 GiB after they registered are closed at once', async () => {
    await start();
    const bad = await peer().register();
    bad.socket.write(Buffer.from('ffffffff00', 'hex'));
    await bad.end();
    expect(lines.join('\n')).toContain('announced a message of 4294967295 bytes');
  });

  it('that ask "ruok" again and again are answered, each once', async () => {
    await start();
    for (let round = 0; round < 50; round++) {
      const socket = connect(port, '127.0.0.1');
      for (let count = 0; count < 3; count++) socket.write(frame(Buffer.from('ruok')));
      let text = '';
      for await (const chunk of socket) text += String(chunk);
      expect(text.match(/last-transaction/g)).toHaveLength(1);
    }
    await until(() => server.connectionCount === 0);
  });
});

it('many who wait for their turn to commit are told once, not each time', async () => {
  await start();
  // Within a minute, whatever the machine does.
  const now = jest.spyOn(Date, 'now').mockReturnValue(Date.now());
  const [holder, ...clients] = await Promise.all(Array.from({ length: 16 }, () => peer().register()));
  for (let round = 0; round < 2; round++) {
    begin(holder!);
    await holder!.call('vote', 1);
    const done = clients.map(async (client) => {
      begin(client);
      await client.call('vote', 1);
      await client.call('tpc_finish', 1);
    });
    await until(() => server.status().get('1')!.waiting === clients.length);
    await holder!.call('tpc_finish', 1);
    await Promise.all(done);
  }
  now.mockRestore();
  expect(lines.filter((text) => text.startsWith('Many transactions wait'))).toHaveLength(1);
  expect(lines.filter((text) => /turn to commit/.test(text))).toHaveLength(1);
});

it('one that looks only whether the port answers leaves no line in the log', async () => {
  await start();
  const before = lines.length;
  const socket = connect(port, '127.0.0.1');
  await new Promise((resolve) => socket.once('data', resolve));
  socket.destroy();
  await until(() => server.connectionCount === 0);
  expect(lines.length).toBe(before);
});

it('others have been told of a commit when the committer has its answer', async () => {
  await start();
  // What is written to such a socket has arrived, whatever else the machine does: what is sent first is there first, for whom it may be.
  const path = join(mkdtempSync(join(tmpdir(), 'zodb-zeo-told-')), 'socket');
  await server.listen({ path });
  const joined = await Promise.all(Array.from({ length: 5 }, () => peer(path).register()));
  const [writer, ...others] = joined;
  for (let round = 1; round <= 20; round++) {
    await commit(writer!, oid(round), NEW);
    // What has arrived is read in this turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    for (const other of others) {
      expect(other.messages.filter(({ name }) => name === 'invalidateTransaction')).toHaveLength(round);
    }
  }
  for (const each of joined) each.destroy();
  await until(() => server.connectionCount === 0);
  rmSync(dirname(path), { recursive: true });
});

it('in a crowd, commits in quick succession are told together, each and in order', async () => {
  await start();
  const [writer, ...others] = await Promise.all(Array.from({ length: 40 }, () => peer().register()));
  const tids: string[] = [];
  for (let round = 1; round <= 20; round++) {
    tids.push((await commit(writer!, oid(round), NEW)).toString('hex'));
  }
  for (const other of others) {
    await other.until(() => other.messages.filter(({ id }) => id === 0).length === 20);
    const told = other.messages.filter(({ name }) => name === 'invalidateTransaction');
    expect(told.map(({ args }) => Buffer.from(itemsOf(args)![0] as Uint8Array).toString('hex'))).toEqual(
      tids,
    );
  }
});

it('what was committed is put into bytes once for all who are told', async () => {
  await start();
  const hosted = server.storages.get('1')!;
  const told: unknown[] = [];
  const client = {
    invalidated: (changes: unknown) => void told.push(changes),
    invalidatedBy: () => undefined,
    restart: () => undefined,
    sizeChanged: () => undefined,
  };
  hosted.clients.add(client).add({ ...client });
  await commit(await peer().register(), oid(1), NEW);
  expect(told).toHaveLength(2);
  expect(told[0]).toBe(told[1]);
});

describe('a client that was away', () => {
  it.each([
    ['within the queue', { invalidationQueueSize: 10 }, [1, 2, 3]],
    ['longer than the queue reaches', { invalidationQueueSize: 1 }, undefined],
    [
      'longer, with an age for which the storage is asked',
      { invalidationQueueSize: 1, invalidationAge: 60 },
      [1, 2, 3],
    ],
    ['longer than that age', { invalidationQueueSize: 1, invalidationAge: 0 }, undefined],
  ])('%s', async (_, options, expected) => {
    await start(options);
    const client = await peer().register();
    const first = await commit(client, oid(9), NEW);
    for (const number of [1, 2]) await commit(client, oid(number), NEW);
    const last = await commit(client, oid(3), NEW);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const reply = await client.call('getInvalidations', first);
    if (!expected) return expect(reply.args).toBeNull();
    const [tid, oids] = itemsOf(reply.args)!;
    expect(Buffer.from(tid as Uint8Array)).toEqual(last);
    expect(
      itemsOf(oids)!
        .map((bytes) => Buffer.from(bytes as Uint8Array).readUInt32BE(4))
        .sort(),
    ).toEqual(expected);
  });
});
