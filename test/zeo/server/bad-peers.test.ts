import { connect } from 'node:net';
import { MemoryStorage } from '../../../src/storage';
import { ZeoServer, type ServerLogger } from '../../../src/zeo';
import { frame } from '../../../src/zeo/wire/frames';
import { RawPeer } from '../raw-peer';
import { passTime, stopTime } from '../until';

const NEW = Buffer.alloc(8);
const OID = Buffer.from('0000000000000001', 'hex');
const EMPTY = Buffer.alloc(0);

let server: ZeoServer;
let storage: MemoryStorage;
let port: number;
let lines: string[];
const peers: RawPeer[] = [];

async function start(options: Partial<ConstructorParameters<typeof ZeoServer>[0]> = {}): Promise<void> {
  lines = [];
  const line = (fields: object, text: string): void => void lines.push(`${text} ${JSON.stringify(fields)}`);
  const logger: ServerLogger = { info: line, warn: line, error: line, fatal: line };
  storage = new MemoryStorage();
  server = new ZeoServer({ storages: { '1': storage }, logger, ...options });
  const address = await server.listen({ host: '127.0.0.1', port: 0 });
  port = (address as { port: number }).port;
}

function peer(letter: 'Z' | 'M' = 'Z'): RawPeer {
  const made = new RawPeer(port, letter);
  peers.push(made);
  return made;
}

afterEach(async () => {
  for (const each of peers.splice(0)) each.destroy();
  await server.close();
  storage.close();
  jest.useRealTimers();
});

/** Another client goes on as if nothing had happened. */
async function othersGoOn(): Promise<void> {
  const other = await peer().register();
  expect((await other.call('ping')).flag).toBe(0);
}

describe('a server does not trust its clients', () => {
  it.each([
    ['an unknown protocol', frame(Buffer.from('Z4'))],
    ['a handshake that is too long', frame(Buffer.alloc(100, 0x5a))],
    ['a frame of 4 GiB', Buffer.from('ffffffff', 'hex')],
  ])('closes on %s', async (_, bytes) => {
    await start();
    const bad = peer();
    bad.socket.write(bytes);
    await bad.end();
    expect(lines.some((text) => text.startsWith('disconnected'))).toBe(true);
    await othersGoOn();
  });

  it('closes on a call before register', async () => {
    await start();
    const bad = peer();
    bad.socket.write(frame(Buffer.from('Z5')));
    bad.send(1, false, 'ping', []);
    await bad.end();
    expect(bad.messages).toEqual([]);
  });

  it('answers an unknown storage with an error, and lets the client try again', async () => {
    await start();
    const client = peer();
    client.socket.write(frame(Buffer.from('Z5')));
    const reply = await client.call('register', 'nope', false);
    expect(reply.flag).toBe(2);
    expect(JSON.stringify(reply.args)).toContain('unknown storage: nope');
    expect((await client.call('register', '1', false)).flag).toBe(0);
    expect((await client.call('register', '1', false)).flag).toBe(2);
  });

  it.each([
    ['a pickle that names a class', Buffer.from('\x80\x03cos\nsystem\n.', 'latin1')],
    ['an opcode that is not part of the protocol', Buffer.from('\x80\x03P1\n.', 'latin1')],
    ['a length beyond the end', Buffer.from('\x80\x03B\xff\xff\xff\x7f.', 'latin1')],
    ['a pop from the empty stack', Buffer.from('\x80\x03\x87.', 'latin1')],
    [
      'more containers than a message may hold',
      Buffer.concat([Buffer.from('\x80\x03('), Buffer.alloc(300_000, ']'), Buffer.from('t.')]),
    ],
    ['what is no 4-tuple', Buffer.from('\x80\x03N.', 'latin1')],
    ['nothing', EMPTY],
  ])('closes on %s', async (_, bytes) => {
    await start();
    const bad = await peer().register();
    bad.socket.write(frame(bytes));
    await bad.end();
    await othersGoOn();
  });

  it.each([
    ['an array of four billion', Buffer.from('ddffffffff', 'hex')],
    ['a map whose key is a number', Buffer.from('81010203', 'hex')],
    ['nesting without end', Buffer.alloc(100_000, 0x91)],
    ['an extension type', Buffer.from('d40100', 'hex')],
  ])('closes on msgpack with %s', async (_, bytes) => {
    await start();
    const bad = await peer('M').register();
    bad.socket.write(frame(bytes));
    await bad.end();
    await othersGoOn();
  });

  it('refuses a message beyond the limit when it reads its length', async () => {
    await start({ maxMessageBytes: 100_000 });
    const bad = await peer().register();
    bad.socket.write(Buffer.from('000186a1', 'hex'));
    await bad.end();
    expect(lines.some((text) => text.includes('the limit is 100000'))).toBe(true);
  });

  it('answers wrong arguments of calls with an error, and closes on those of one-way messages', async () => {
    await start();
    const client = await peer().register();
    for (const args of [[], [OID], [OID, 'text'], [1, 2], [Buffer.alloc(7), OID]]) {
      const reply = await client.call('loadBefore', ...args);
      expect(reply.flag).toBe(2);
      expect(JSON.stringify(reply.args)).toContain('TypeError');
    }
    client.oneWay('storea', 1);
    await client.end();
    await othersGoOn();
  });

  it('closes on an unknown method', async () => {
    await start();
    const client = await peer().register();
    client.send(9, false, '__class__', []);
    await client.end();
  });

  it('disconnects a client that never registers', async () => {
    await start({ handshakeTimeout: 100 });
    await peer().end();
    expect(lines.some((text) => text.includes('did not register in time'))).toBe(true);
  });

  it('disconnects a client that holds the commit lock too long, and lets the next one commit', async () => {
    stopTime();
    await start({ transactionTimeout: 150 });
    const [idle, next] = [await peer().register(), await peer().register()];
    idle.oneWay('tpc_begin', 1, EMPTY, EMPTY, new Map(), null, ' ');
    expect((await idle.call('vote', 1)).flag).toBe(0);
    next.oneWay('tpc_begin', 1, EMPTY, EMPTY, new Map(), null, ' ');
    next.oneWay('storea', OID, NEW, Buffer.from('record'), 1);
    const voted = next.call('vote', 1);
    await next.call('ping');
    await passTime(149);
    expect(server.status().get('1')).toMatchObject({ connections: 2, waiting: 1 });
    await passTime(1);
    expect((await voted).flag).toBe(0);
    expect((await next.call('tpc_finish', 1)).flag).toBe(0);
    await idle.end();
    expect(lines.some((text) => text.startsWith('Transaction timeout after 0.15 seconds'))).toBe(true);
  });

  it('leaves a client alone whose commit is over, in one round trip or two', async () => {
    stopTime();
    await start({ transactionTimeout: 50 });
    const client = await peer().register();
    const begin = (oid: Buffer): void => {
      client.oneWay('tpc_begin', 1, EMPTY, EMPTY, new Map(), null, ' ');
      client.oneWay('storea', oid, NEW, Buffer.from('record'), 1);
    };
    begin(OID);
    expect((await client.call('zodb_commit', 1)).flag).toBe(0);
    await passTime(500);
    begin(Buffer.from('0000000000000002', 'hex'));
    expect((await client.call('vote', 1)).flag).toBe(0);
    expect((await client.call('tpc_finish', 1)).flag).toBe(0);
    await passTime(500);
    expect((await client.call('ping')).flag).toBe(0);
    expect(server.status().get('1')).toMatchObject({ commits: 2, lock_time: null });
  });

  it('lets those who vote commit in the order in which they did', async () => {
    await start();
    const clients = await Promise.all(Array.from({ length: 5 }, () => peer().register()));
    const order: number[] = [];
    const votes: Promise<unknown>[] = [];
    let release: () => void = () => undefined;
    const allWait = new Promise<void>((resolve) => (release = resolve));
    for (const [index, client] of clients.entries()) {
      client.oneWay('tpc_begin', 1, EMPTY, EMPTY, new Map(), null, ' ');
      votes.push(
        client.call('vote', 1).then(async () => {
          order.push(index);
          await allWait;
          await client.call('tpc_finish', 1);
        }),
      );
      // The server has heard of its vote before the next one sends its own.
      await client.call('ping');
    }
    expect(server.status().get('1')).toMatchObject({ waiting: 4 });
    release();
    await Promise.all(votes);
    expect(order).toEqual([0, 1, 2, 3, 4]);
  });

  it('disconnects a client that does not read what others commit', async () => {
    await start({ maxQueuedBytes: 200_000 });
    const slow = await peer().register();
    slow.socket.pause();
    const writer = await peer().register();
    const oids = Array.from({ length: 20_000 }, (_, index) => {
      const oid = Buffer.alloc(8);
      oid.writeUInt32BE(index + 1, 4);
      return oid;
    });
    for (let round = 0; round < 40; round++) {
      for (const hosted of server.storages.values()) {
        hosted.invalidate(
          (BigInt(round + 1) << 40n) as never,
          oids.map((oid) => oid.readUInt32BE(4) as never),
        );
      }
      // Who reads takes all of it, before there is more.
      await writer.call('ping');
    }
    await slow.until(() => lines.some((text) => text.includes('does not read')));
    expect(lines.some((text) => text.includes('does not read'))).toBe(true);
    expect((await writer.call('ping')).flag).toBe(0);
  });

  it('tells its status to who asks with "ruok"', async () => {
    await start();
    const socket = connect(port, '127.0.0.1');
    socket.write(frame(Buffer.from('ruok')));
    const bytes: Buffer[] = [];
    for await (const chunk of socket) bytes.push(chunk as Buffer);
    const all = Buffer.concat(bytes);
    expect(all.subarray(4, 6).toString()).toBe('Z5');
    const status = JSON.parse(all.subarray(10).toString()) as Record<string, Record<string, unknown>>;
    expect(Object.keys(status['1']!)).toEqual([
      'connections',
      'loads',
      'stores',
      'commits',
      'aborts',
      'active_txns',
      'lock_time',
      'conflicts',
      'conflicts_resolved',
      'start',
      'waiting',
      'timeout-thread-is-alive',
      'last-transaction',
    ]);
  });
});
