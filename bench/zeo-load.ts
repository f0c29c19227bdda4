/**
 * Two hundred clients on one server for a while: nine loads to one commit each. Throughput, latencies, memory and processor of the
 * server. Then one client by itself, and beside a thousand sockets that never finish their handshake: one byte each a second.
 *
 *     ts-node bench/zeo-load.ts [SECONDS] [CLIENTS]      with PHASES=2 for commits as Python's clients make them
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAX_TID, tidToBytes } from '../src/ids';
import { itemsOf } from '../src/zeo/wire/values';
import { RawPeer } from '../test/zeo/raw-peer';

const seconds = Number(process.argv[2] ?? 5);
const clients = Number(process.argv[3] ?? 200);
/** As Python's clients commit. */
const twoPhases = process.env.PHASES === '2';
const NEW = Buffer.alloc(8);
const EMPTY = Buffer.alloc(0);
const latest = Buffer.from(tidToBytes(MAX_TID));
const data = Buffer.concat([
  Buffer.from('\x80\x03czodb_bench\nThing\nq\x00.\x80\x03X\xb4\x00\x00\x00', 'latin1'),
  Buffer.alloc(180, 'x'),
  Buffer.from('.'),
]);

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

function megabytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
}

/** Seconds of processor time used so far. */
function processor(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Loads, and a commit before each nine of them when there is a list for their times. */
async function work(
  peer: RawPeer,
  number: number,
  until: number,
  loads: number[],
  commits?: number[],
): Promise<void> {
  const oid = Buffer.alloc(8);
  oid.writeUInt32BE(number + 1, 4);
  let serial = NEW;
  for (let round = 0; performance.now() < until; round++) {
    const begin = performance.now();
    if (commits && round % 10 === 0) {
      peer.oneWay('tpc_begin', round, EMPTY, EMPTY, new Map(), null, ' ');
      peer.oneWay('storea', oid, serial, data, round);
      if (twoPhases) await peer.call('vote', round);
      const { args } = await peer.call(twoPhases ? 'tpc_finish' : 'zodb_commit', round);
      serial = Buffer.from((twoPhases ? args : itemsOf(args)![0]) as Uint8Array);
      commits.push(performance.now() - begin);
    } else {
      await peer.call('loadBefore', oid, latest);
      loads.push(performance.now() - begin);
    }
    peer.messages.length = 0;
  }
}

/** Lets all work for a while, and tells what the server needed for it. */
async function measured(
  pid: number,
  duration: number,
  begin: (until: number) => Promise<void>[],
): Promise<void> {
  const [before, ownBefore] = [processor(pid), process.cpuUsage()];
  await Promise.all(begin(performance.now() + duration * 1000));
  const { user, system } = process.cpuUsage(ownBefore);
  const share = (used: number): string => `${((used / duration) * 100).toFixed(0)}%`;
  console.log(
    `of a processor: server ${share(processor(pid) - before)}, the clients together ${share((user + system) / 1e6)}`,
  );
}

function describe(name: string, times: number[], duration: number): string {
  times.sort((a, b) => a - b);
  const at = (share: number): string => times[Math.floor(times.length * share)]!.toFixed(1);
  return `${name}: ${Math.round(times.length / duration)} a second, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`;
}

/** What one client by itself waits for a load. */
async function quiet(peer: RawPeer, count: number): Promise<number[]> {
  const times: number[] = [];
  const oid = Buffer.alloc(8);
  oid.writeUInt32BE(1, 4);
  for (let round = 0; round < count; round++) {
    const begin = performance.now();
    await peer.call('loadBefore', oid, latest);
    times.push(performance.now() - begin);
    peer.messages.length = 0;
  }
  return times;
}

/** Sockets that promise a message, and send a byte of it a second. */
async function halfOpen(port: number, count: number): Promise<() => void> {
  const sockets: Socket[] = [];
  for (let number = 0; number < count; number++) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    sockets.push(socket);
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.write(Buffer.from('00000040', 'hex'));
  }
  let next = 0;
  const timer = setInterval(() => {
    for (let number = 0; number < count / 100; number++) sockets[next++ % count]!.write('x');
  }, 10);
  return () => {
    clearInterval(timer);
    for (const socket of sockets) socket.destroy();
  };
}

async function beside(port: number, pid: number): Promise<void> {
  const peer = await new RawPeer(port).register();
  await quiet(peer, 2000);
  const alone = await quiet(peer, 10_000);
  const before = megabytes(pid);
  const stop = await halfOpen(port, 1000);
  const crowded = await quiet(peer, 10_000);
  const during = megabytes(pid);
  stop();
  peer.destroy();
  const at = (times: number[], share: number): number =>
    times.sort((a, b) => a - b)[Math.floor(times.length * share)]!;
  const show = (times: number[]): string =>
    `p50 ${at(times, 0.5).toFixed(3)} ms, p99 ${at(times, 0.99).toFixed(3)} ms`;
  console.log(`one client alone: ${show(alone)}`);
  console.log(`beside 1,000 half-open sockets: ${show(crowded)}`);
  console.log(`p99 ratio ${(at(crowded, 0.99) / at(alone, 0.99)).toFixed(2)}`);
  console.log(`server: ${before.toFixed(0)} MB before, ${during.toFixed(0)} MB with them`);
}

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'zodb-bench-load-'));
  const port = await freePort();
  const flags = ['--port', String(port), '--storage', 'file', '--path', join(directory, 'load.fs')];
  const server = spawn(
    process.execPath,
    [
      ...(process.env.SERVER_FLAGS?.split(' ') ?? []),
      join(__dirname, '../test/live/zeo-server.cjs'),
      ...flags,
    ],
    { stdio: 'ignore' },
  );
  const pid = server.pid!;
  try {
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const peers = await Promise.all(Array.from({ length: clients }, () => new RawPeer(port).register()));
    const [loads, commits]: [number[], number[]] = [[], []];
    const memory = [megabytes(pid)];
    const timer = setInterval(() => memory.push(megabytes(pid)), (seconds * 1000) / 10);
    console.log(`${clients} clients, ${seconds} s, nine loads to a commit`);
    await measured(pid, seconds, (until) =>
      peers.map((peer, number) => work(peer, number, until, loads, commits)),
    );
    clearInterval(timer);
    console.log(describe('loads', loads, seconds));
    console.log(describe('commits', commits, seconds));
    console.log(`server: ${memory.map((value) => value.toFixed(0)).join(', ')} MB`);
    const only: number[] = [];
    console.log(`${clients} clients, ${seconds / 5} s, loads only`);
    await measured(pid, seconds / 5, (until) => peers.map((peer, number) => work(peer, number, until, only)));
    console.log(describe('loads', only, seconds / 5));
    for (const peer of peers) peer.destroy();
    await beside(port, pid);
  } finally {
    server.kill('SIGTERM');
    await new Promise((resolve) => server.once('exit', resolve));
    rmSync(directory, { recursive: true, force: true });
  }
}

void main().then(() => process.exit());
