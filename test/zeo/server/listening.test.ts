import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tls from 'node:tls';
import { MemoryStorage } from '../../../src/storage';
import { ZeoServer, type ServerLogger, type ZeoServerOptions } from '../../../src/zeo';
import { frame } from '../../../src/zeo/wire/frames';
import { passTime, stopTime, until } from '../until';

const directory = mkdtempSync(join(tmpdir(), 'zodb-zeo-listening-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const pem = (name: string): Buffer => readFileSync(join(__dirname, '../tls', name));
const withTls = { tls: { cert: pem('server.pem'), key: pem('server.key'), ca: pem('client.pem') } };
const HOST = '127.0.0.1';

const servers: ZeoServer[] = [];
const sockets: Socket[] = [];
let lines: string[] = [];

function makeServer(options: Partial<ZeoServerOptions> = {}): ZeoServer {
  const line = (fields: object, text: string): void => void lines.push(`${text} ${JSON.stringify(fields)}`);
  const logger: ServerLogger = { info: line, warn: line, error: line, fatal: line };
  const server = new ZeoServer({ storages: { '1': new MemoryStorage() }, logger, ...options });
  servers.push(server);
  return server;
}

async function listenTcp(server: ZeoServer): Promise<number> {
  return ((await server.listen({ host: HOST, port: 0 })) as { port: number }).port;
}

function closed(socket: Socket): Promise<void> {
  sockets.push(socket);
  socket.on('error', () => undefined);
  socket.resume();
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** Resolves when the server has said so. */
const failed = (): Promise<void> =>
  until(() => lines.some((line) => line.startsWith('TLS handshake failed')));

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) await server.close();
  jest.useRealTimers();
  lines = [];
});

describe('a server with TLS', () => {
  it('hangs up on who does not shake hands in time', async () => {
    const server = makeServer({ ...withTls, handshakeTimeout: 100 });
    await closed(connect(await listenTcp(server), HOST));
    await failed();
    expect(lines.at(-1)).toMatch(/^TLS handshake failed .*"client":"127.0.0.1".*timeout/);
  });

  it('stops without waiting for those who have not shaken hands', async () => {
    const server = makeServer(withTls);
    const port = await listenTcp(server);
    const socket = connect(port, HOST);
    const ended = closed(socket);
    await new Promise<void>((resolve) => socket.once('connect', () => setTimeout(resolve, 50)));
    await server.close();
    await ended;
  });

  it.each([
    ['no certificate', {}, 'did not return a certificate'],
    [
      'a certificate of somebody else',
      { cert: pem('stranger.pem'), key: pem('stranger.key') },
      'DEPTH_ZERO_SELF_SIGNED_CERT',
    ],
  ])('refuses a client with %s, and says so', async (_, mine, reason) => {
    const server = makeServer(withTls);
    const port = await listenTcp(server);
    await closed(tls.connect({ port, host: HOST, rejectUnauthorized: false, ...mine }));
    await failed();
    expect(lines.at(-1)).toMatch(/^TLS handshake failed/);
    expect(lines.at(-1)).toMatch(reason);
    await until(() => server.connectionCount === 0);
  });

  it('refuses a client without TLS', async () => {
    const server = makeServer(withTls);
    const socket = connect(await listenTcp(server), HOST);
    const ended = closed(socket);
    socket.write(frame(Buffer.from('Z5')));
    await ended;
    await failed();
    expect(lines.at(-1)).toMatch(/^TLS handshake failed/);
  });
});

describe('a unix socket', () => {
  it('that a killed server left is used again', async () => {
    const path = join(directory, 'left');
    const listen = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', listen]);
    expect(existsSync(path)).toBe(true);
    await makeServer().listen({ path });
    const socket = connect(path);
    await new Promise((resolve) => socket.once('data', resolve));
    sockets.push(socket);
  });

  it('that another server listens on is not taken from it', async () => {
    const path = join(directory, 'used');
    await makeServer().listen({ path });
    await expect(makeServer().listen({ path })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    const socket = connect(path);
    await new Promise((resolve) => socket.once('data', resolve));
    sockets.push(socket);
  });
});

it('who asked "ruok" and does not hang up is hung up on', async () => {
  stopTime();
  const server = makeServer({ handshakeTimeout: 100 });
  const socket = connect({ port: await listenTcp(server), host: HOST, allowHalfOpen: true });
  socket.on('error', () => undefined);
  socket.write(frame(Buffer.from('ruok')));
  const ended = new Promise<void>((resolve) => socket.once('end', resolve));
  sockets.push(socket.resume());
  await ended;
  await passTime(99);
  expect(server.connectionCount).toBe(1);
  await passTime(1);
  await until(() => server.connectionCount === 0);
});

it('addresses may be text; what is none, and options that are not there, are refused', async () => {
  const server = makeServer();
  await expect(server.listen('nonsense')).rejects.toThrow('is no ZEO address');
  expect(await server.listen(`${HOST}:0`)).toMatchObject({ host: HOST });
  const storages = { '1': new MemoryStorage() };
  expect(() => new ZeoServer({ storages, transactionTimout: 5 } as ZeoServerOptions)).toThrow(
    'A ZEO server has no option "transactionTimout"; it has storages, ',
  );
  expect(() => new ZeoServer({} as ZeoServerOptions)).toThrow('at least one storage');
});
