/**
 * Two hundred clients on one server for a while: nine loads to one commit each. Throughput, latencies, memory of the server.
 *
 *     ts-node bench/zeo-load.ts [SECONDS] [CLIENTS]
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAX_TID, tidToBytes } from '../src/ids';
import { RawPeer } from '../test/zeo/raw-peer';

const seconds = Number(process.argv[2] ?? 5);
const clients = Number(process.argv[3] ?? 200);
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

async function work(
  peer: RawPeer,
  number: number,
  until: number,
  loads: number[],
  commits: number[],
): Promise<void> {
  const oid = Buffer.alloc(8);
  oid.writeUInt32BE(number + 1, 4);
  let serial = NEW;
  for (let round = 0; performance.now() < until; round++) {
    const begin = performance.now();
    if (round % 10 === 0) {
      peer.oneWay('tpc_begin', round, EMPTY, EMPTY, new Map(), null, ' ');
      peer.oneWay('storea', oid, serial, data, round);
      await peer.call('vote', round);
      serial = Buffer.from((await peer.call('tpc_finish', round)).args as Uint8Array);
      commits.push(performance.now() - begin);
    } else {
      await peer.call('loadBefore', oid, latest);
      loads.push(performance.now() - begin);
    }
    peer.messages.length = 0;
  }
}

function describe(name: string, times: number[]): string {
  times.sort((a, b) => a - b);
  const at = (share: number): string => times[Math.floor(times.length * share)]!.toFixed(1);
  return `${name}: ${Math.round(times.length / seconds)} a second, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`;
}

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'zodb-bench-load-'));
  const port = await freePort();
  const flags = ['--port', String(port), '--storage', 'file', '--path', join(directory, 'load.fs')];
  const server = spawn(process.execPath, [join(__dirname, '../test/live/zeo-server.cjs'), ...flags], {
    stdio: 'ignore',
  });
  try {
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const peers = await Promise.all(Array.from({ length: clients }, () => new RawPeer(port).register()));
    const before = megabytes(server.pid!);
    const [loads, commits]: [number[], number[]] = [[], []];
    const until = performance.now() + seconds * 1000;
    const half = new Promise<number>((resolve) =>
      setTimeout(() => resolve(megabytes(server.pid!)), (seconds * 1000) / 2),
    );
    await Promise.all(peers.map((peer, number) => work(peer, number, until, loads, commits)));
    console.log(`${clients} clients, ${seconds} s`);
    console.log(describe('loads', loads));
    console.log(describe('commits', commits));
    console.log(
      `server: ${before.toFixed(0)} MB before, ${(await half).toFixed(0)} MB half-way, ${megabytes(server.pid!).toFixed(0)} MB at the end`,
    );
    for (const peer of peers) peer.destroy();
  } finally {
    server.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

void main();
