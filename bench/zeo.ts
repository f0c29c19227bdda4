/**
 * ZEO on the loopback: our client on our server, Python's client on Python's server where it is found, and a bare TCP echo through
 * the same bridge as the limit of what a blocking client can do.
 *
 *     ts-node bench/zeo.ts
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SyncBridge } from '../src/bridge/index';
import { ZERO_TID, type Oid, type Tid } from '../src/ids';
import { TransactionMetaData } from '../src/storage/index';
import { ClientStorage } from '../src/zeo/index';
import { RECORD, socketWorker, type SocketOrder } from '../src/zeo/client/socket-worker';
import { blobRecord, record } from '../src/testing/records';

const python = process.env.PYTHON ?? '/usr/bin/python3';
const directory = mkdtempSync(join(tmpdir(), 'zodb-bench-zeo-'));
const BLOB = 100 << 20;
const children: ChildProcess[] = [];

const PYTHON_BENCH = `
import os, sys, time, socket, tempfile, threading
import ZEO, ZEO.ClientStorage
from ZODB.Connection import TransactionMetaData
from ZODB.utils import z64, p64
port, directory = int(sys.argv[1]), sys.argv[2]
client = ZEO.ClientStorage.ClientStorage(('127.0.0.1', port), blob_dir=os.path.join(directory, 'py-blobs'))
data = b'x' * 200
def commit(oids, serial=z64):
    t = TransactionMetaData()
    client.tpc_begin(t)
    for oid in oids: client.store(oid, serial, data, '', t)
    client.tpc_vote(t)
    return client.tpc_finish(t)
def timed(name, count, work):
    start = time.perf_counter()
    work()
    print(name, (time.perf_counter() - start) * 1e6 / count, flush=True)
oids = [client.new_oid() for i in range(3000)]
tid = commit(oids)
client._cache.clear()
def loads():
    for oid in oids[:2000]: client.loadBefore(oid, b'\\x7f' + b'\\xff' * 7)
timed('cold load', 2000, loads)
timed('warm load', 2000, loads)
def singles():
    for i in range(300): commit([client.new_oid()])
timed('commit of 1', 300, singles)
def hundreds():
    for i in range(20): commit([client.new_oid() for i in range(100)])
timed('commit of 100', 20, hundreds)
def prefetch():
    client.prefetch(oids[:1000], b'\\x7f' + b'\\xff' * 7)
    for oid in oids[:1000]: client.loadBefore(oid, b'\\x7f' + b'\\xff' * 7)
client._cache.clear()
timed('prefetch of 1000, and read', 1, prefetch)
oid = client.new_oid()
path = os.path.join(directory, 'py-source')
with open(path, 'wb') as f: f.write(b'x' * ${BLOB})
from ZODB.blob import Blob
def blob_up():
    global blob_tid
    t = TransactionMetaData()
    client.tpc_begin(t)
    client.storeBlob(oid, z64, b'\\x80\\x03cZODB.blob\\nBlob\\nq\\x00.\\x80\\x03N.', path, '', t)
    client.tpc_vote(t)
    blob_tid = client.tpc_finish(t)
timed('blob of 100 MB up', 1, blob_up)
os.unlink(client.loadBlob(oid, blob_tid))
timed('blob of 100 MB down', 1, lambda: client.loadBlob(oid, blob_tid))
client.close()
`;

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function start(command: string, args: string[], port: number): Promise<void> {
  children.push(spawn(command, args, { stdio: 'ignore' }));
  for (let attempt = 0; attempt < 200; attempt++) {
    try {
      execFileSync(
        process.execPath,
        [
          '-e',
          `require('net').connect(${port}, '127.0.0.1').on('connect', () => process.exit(0)).on('error', () => process.exit(1))`,
        ],
        { stdio: 'ignore' },
      );
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  }
  throw new Error(`${command} did not start`);
}

/** Microseconds of one round trip through the bridge to a server that does nothing but send back. */
async function bareEcho(): Promise<number> {
  const port = await freePort();
  await start(
    process.execPath,
    [
      '-e',
      `require('net').createServer((s) => { s.setNoDelay(true); s.pipe(s); s.on('error', () => 0); }).listen(${port}, '127.0.0.1')`,
    ],
    port,
  );
  const bridge = new SyncBridge(socketWorker);
  bridge.post({
    op: 'connect',
    connection: 1,
    delay: 0,
    timeout: 5000,
    address: { host: '127.0.0.1', port },
    tls: undefined,
  } satisfies SocketOrder);
  const next = (): Buffer => {
    for (;;) {
      const found = bridge.receive();
      if (found && (bridge.tag & 3) === RECORD.data) return found;
      if (!found) bridge.wait(5000);
    }
  };
  const message = Buffer.alloc(63);
  const trip = (): void => {
    bridge.post([1, message]);
    next();
  };
  bridge.wait(5000);
  for (let i = 0; i < 1000; i++) trip();
  const begin = performance.now();
  for (let i = 0; i < 5000; i++) trip();
  const micros = ((performance.now() - begin) * 1000) / 5000;
  await bridge.close();
  return micros;
}

function ours(port: number): Map<string, number> {
  const out = new Map<string, number>();
  const timed = (name: string, count: number, work: () => void): void => {
    const begin = performance.now();
    work();
    out.set(name, ((performance.now() - begin) * 1000) / count);
  };
  const client = new ClientStorage(`127.0.0.1:${port}`);
  const data = record('x'.repeat(160));
  const commit = (oids: Oid[]): Tid => {
    const txn = new TransactionMetaData();
    client.tpcBegin(txn);
    for (const oid of oids) client.store(oid, ZERO_TID, data, txn);
    client.tpcVote(txn);
    return client.tpcFinish(txn);
  };
  const many = (count: number): Oid[] => Array.from({ length: count }, () => client.newOid());
  const oids = many(5000);
  const before = (commit(oids) + 1n) as Tid;
  client.close();
  const cold = new ClientStorage(`127.0.0.1:${port}`);
  const loads = (): void => {
    for (let i = 2000; i < 4000; i++) cold.loadBefore(oids[i]!, before);
  };
  for (let i = 0; i < 1000; i++) cold.loadBefore(oids[i]!, before);
  timed('cold load', 2000, loads);
  timed('warm load', 2000, loads);
  cold.close();
  const writer = new ClientStorage(`127.0.0.1:${port}`);
  const write = (count: number): void => {
    const txn = new TransactionMetaData();
    writer.tpcBegin(txn);
    for (let i = 0; i < count; i++) writer.store(writer.newOid(), ZERO_TID, data, txn);
    writer.tpcVote(txn);
    writer.tpcFinish(txn);
  };
  for (let i = 0; i < 50; i++) write(1);
  timed('commit of 1', 300, () => {
    for (let i = 0; i < 300; i++) write(1);
  });
  timed('commit of 100', 20, () => {
    for (let i = 0; i < 20; i++) write(100);
  });
  timed('prefetch of 1000, and read', 1, () => {
    writer.prefetchBefore(oids.slice(0, 1000), before);
    for (const oid of oids.slice(0, 1000)) writer.loadBefore(oid, before);
  });
  const path = join(directory, 'source');
  writeFileSync(path, Buffer.alloc(BLOB, 'x'));
  const oid = writer.newOid();
  let tid = ZERO_TID;
  timed('blob of 100 MB up', 1, () => {
    const txn = new TransactionMetaData();
    writer.tpcBegin(txn);
    writer.storeBlob(oid, ZERO_TID, blobRecord(), { path, consume: true }, txn);
    writer.tpcVote(txn);
    tid = writer.tpcFinish(txn);
  });
  writer.close();
  const reader = new ClientStorage(`127.0.0.1:${port}`);
  timed('blob of 100 MB down', 1, () => reader.openBlob(oid, tid).close());
  reader.close();
  return out;
}

async function theirs(): Promise<Map<string, number> | undefined> {
  try {
    execFileSync(python, ['-c', 'import ZEO.StorageServer'], { stdio: 'pipe' });
  } catch {
    return undefined;
  }
  const port = await freePort();
  const server = `
import sys, ZEO.StorageServer
from ZODB.FileStorage import FileStorage
s = FileStorage(sys.argv[2], blob_dir=sys.argv[2] + '.blobs')
ZEO.StorageServer.StorageServer(('127.0.0.1', int(sys.argv[1])), {'1': s}).loop()
`;
  await start(python, ['-c', server, String(port), join(directory, 'py.fs')], port);
  const printed = execFileSync(python, ['-c', PYTHON_BENCH, String(port), directory], { encoding: 'utf8' });
  return new Map(
    printed
      .trim()
      .split('\n')
      .map((line): [string, number] => {
        const at = line.lastIndexOf(' ');
        return [line.slice(0, at), Number(line.slice(at + 1))];
      }),
  );
}

async function main(): Promise<void> {
  const echo = await bareEcho();
  console.log(`bare echo through the bridge: ${echo.toFixed(1)} µs`);
  const port = await freePort();
  const program = join(__dirname, '../test/live/zeo-server.cjs');
  const flags = [
    '--storage',
    'file',
    '--path',
    join(directory, 'ours.fs'),
    '--blobs',
    join(directory, 'ours.blobs'),
  ];
  await start(process.execPath, [program, '--port', String(port), ...flags], port);
  const mine = ours(port);
  const python = await theirs();
  for (const [name, micros] of mine) {
    const other = python?.get(name);
    const compared =
      other === undefined
        ? ''
        : `  Python ${other.toFixed(1)} µs, ${(other / micros).toFixed(1)} times as long`;
    console.log(
      `${name}: ${micros.toFixed(1)} µs${name === 'cold load' ? ` (${(micros / echo).toFixed(2)} of the bare echo)` : ''}${compared}`,
    );
  }
}

main().finally(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});
