/**
 * ZEO on the loopback, in one run: our client on our server, Python's client on Python's server where it is found, and a bare TCP
 * echo through the same bridge as the limit of what a blocking client can do. All are warmed up, and take turns; medians, of times and of ratios within a round.
 *
 *     ts-node bench/zeo.ts [ROW...]      with PYTHON and PYTHONPATH for Python's side; ROUNDS (9)
 */
import Table from 'cli-table3';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { SyncBridge } from '../src/bridge/index';
import { ZERO_TID, type Oid, type Tid } from '../src/ids';
import { TransactionMetaData } from '../src/storage/index';
import { ClientStorage } from '../src/zeo/index';
import { RECORD, type SocketOrder } from '../src/zeo/client/socket-orders';
import { socketWorker } from '../src/zeo/client/socket-worker';
import { blobRecord, record } from '../src/testing/records';

const python = process.env.PYTHON ?? '/usr/bin/python3';
const pythonProgram = join(__dirname, 'zeo.py');
const directory = mkdtempSync(join(tmpdir(), 'zodb-bench-zeo-'));
const rounds = Number(process.env.ROUNDS ?? 9);
const wanted = process.argv.slice(2);
const BLOB = 100 << 20;
/** Objects of one round of a row. */
const LOADS = 500;
const PREFETCHED = 1000;
const children: ChildProcess[] = [];

/** One side of the comparison: rows by name, each run once, microseconds each. */
type Runner = (row: string) => Promise<number>;

const SERVER = `
const zodb = require(process.argv[1]);
const path = process.argv[3] + '/ours.fs';
// One fsync a commit, as Python's FileStorage does it.
const storage = new zodb.FileStorage(path, { blobDir: path + '.blobs', durability: 'normal' });
new zodb.ZeoServer({ storages: { 1: storage } }).listen({ host: '127.0.0.1', port: Number(process.argv[2]) });
`;
const ECHO = `
require('net').createServer((s) => { s.setNoDelay(true); s.pipe(s); s.on('error', () => 0); }).listen(Number(process.argv[1]), '127.0.0.1');
`;

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

const CONNECT = `require('net').connect(Number(process.argv[1]), '127.0.0.1').on('connect', () => process.exit(0)).on('error', () => process.exit(1))`;

/** Starts a server and resolves when it takes connections. */
async function start(command: string, args: (port: number) => string[]): Promise<number> {
  const port = await freePort();
  children.push(spawn(command, args(port), { stdio: ['ignore', 'ignore', 'inherit'] }));
  for (let attempt = 0; attempt < 200; attempt++) {
    try {
      execFileSync(process.execPath, ['-e', CONNECT, String(port)], { stdio: 'ignore' });
      return port;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  }
  throw new Error(`${command} did not start`);
}

/** Round trips through the bridge to a server that does nothing but send back. */
async function echoRunner(): Promise<Runner> {
  const port = await start(process.execPath, (number) => ['-e', ECHO, String(number)]);
  const bridge = new SyncBridge(socketWorker);
  bridge.post({
    op: 'connect',
    connection: 1,
    delay: 0,
    timeout: 5000,
    address: { host: '127.0.0.1', port },
    tls: undefined,
  } satisfies SocketOrder);
  bridge.wait(5000);
  const message = Buffer.alloc(63);
  const trip = (): void => {
    bridge.post([1, message]);
    for (;;) {
      const found = bridge.receive();
      if (found && (bridge.tag & 3) === RECORD.data) return;
      if (found && (bridge.tag & 3) === RECORD.closed) throw new Error(found.toString());
      if (!found) bridge.wait(5000);
    }
  };
  // One that says nothing for a while is given up.
  trip();
  return () => Promise.resolve(timed(LOADS, () => repeat(LOADS, trip)));
}

function repeat(count: number, work: (index: number) => void): void {
  for (let i = 0; i < count; i++) work(i);
}

function timed(count: number, work: () => void): number {
  const begin = performance.now();
  work();
  return ((performance.now() - begin) * 1000) / count;
}

async function ourRunner(total: number): Promise<Runner> {
  const bundle = execFileSync(process.execPath, [join(__dirname, '../test/live/zeo-bundle.cjs')], {
    encoding: 'utf8',
  });
  const port = await start(process.execPath, (number) => ['-e', SERVER, bundle, String(number), directory]);
  const address = `127.0.0.1:${port}`;
  const data = record('x'.repeat(160));
  const commit = (client: ClientStorage, oids: readonly Oid[]): Tid => {
    const txn = new TransactionMetaData();
    client.tpcBegin(txn);
    for (const oid of oids) client.store(oid, ZERO_TID, data, txn);
    // As a DB commits when nothing else takes part in the transaction.
    return client.tpcCommit(txn).tid;
  };
  const many = (client: ClientStorage, count: number): Oid[] =>
    Array.from({ length: count }, () => client.newOid());
  const maker = new ClientStorage(address);
  let before = ZERO_TID;
  const slices = Array.from({ length: total }, () => {
    const oids = many(maker, PREFETCHED);
    before = (commit(maker, oids) + 1n) as Tid;
    return oids;
  });
  maker.close();
  const client = new ClientStorage(address, { blobDir: join(directory, 'our-blobs') });
  const other = new ClientStorage(address, { blobDir: join(directory, 'our-other-blobs') });
  const load = (oids: readonly Oid[]): void => {
    for (const oid of oids) client.loadBefore(oid, before);
  };
  let current: Oid[] = [];
  let blob: [Oid, Tid] = [0 as Oid, ZERO_TID];
  const rows: Record<string, () => number> = {
    cold() {
      current = slices.pop()!.slice(0, LOADS);
      return timed(LOADS, () => load(current));
    },
    warm: () => timed(LOADS, () => load(current)),
    one: () => timed(200, () => repeat(200, () => commit(client, many(client, 1)))),
    hundred: () => timed(10, () => repeat(10, () => commit(client, many(client, 100)))),
    prefetch() {
      const oids = slices.pop()!;
      return timed(1, () => {
        client.prefetchBefore(oids, before);
        load(oids);
      });
    },
    blob_up: () =>
      timed(1, () => {
        const txn = new TransactionMetaData();
        client.tpcBegin(txn);
        const oid = client.newOid();
        client.storeBlob(
          oid,
          ZERO_TID,
          blobRecord(),
          { path: join(directory, 'our-source'), consume: true },
          txn,
        );
        blob = [oid, client.tpcCommit(txn).tid];
      }),
    blob_down: () => timed(1, () => other.openBlob(...blob).close()),
  };
  return (row) => Promise.resolve(rows[row]!());
}

async function pythonRunner(total: number): Promise<Runner | undefined> {
  try {
    execFileSync(python, ['-c', 'import ZEO.StorageServer'], { stdio: 'pipe' });
  } catch {
    return undefined;
  }
  const port = await start(python, (number) => [pythonProgram, 'server', String(number), directory]);
  const child = spawn(python, [pythonProgram, 'client', String(port), directory], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (line: string): Promise<number> => {
    child.stdin.write(`${line}\n`);
    return Number((await answers.next()).value);
  };
  await ask(`prepare ${total} ${PREFETCHED}`);
  return ask;
}

const ROWS: readonly [row: string, title: string][] = [
  ['echo', 'bare echo through the bridge'],
  ['cold', 'cold load'],
  ['warm', 'warm load'],
  ['one', 'commit of 1'],
  ['hundred', 'commit of 100'],
  ['prefetch', 'prefetch of 1,000, and read'],
  ['blob_up', 'blob of 100 MB up'],
  ['blob_down', 'blob of 100 MB down'],
];

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

/** The file of a blob to be sent, new for each time: it is given away. */
function writeSource(name: string): void {
  writeFileSync(join(directory, name), Buffer.alloc(BLOB, 'x'));
}

async function main(): Promise<void> {
  const warmUp = 20;
  const total = 2 * (warmUp + rounds);
  const echo = await echoRunner();
  const ours = await ourRunner(total);
  const theirs = await pythonRunner(total);
  const rows = ROWS.filter(([row]) => wanted.length === 0 || wanted.includes(row) || row === 'echo');
  const mine = new Map<string, number[]>(rows.map(([row]) => [row, []]));
  const others = new Map<string, number[]>(rows.map(([row]) => [row, []]));
  for (let round = -warmUp; round < rounds; round++) {
    for (const [row] of rows) {
      const isBlob = row.startsWith('blob');
      if (isBlob && round < -1) continue;
      if (row === 'blob_up') writeSource('our-source');
      const own = await (row === 'echo' ? echo : ours)(row);
      if (row === 'blob_up' && theirs) writeSource('python-source');
      const other = row === 'echo' ? NaN : ((await theirs?.(row)) ?? NaN);
      if (round < 0) continue;
      mine.get(row)!.push(own);
      others.get(row)!.push(other);
    }
  }
  const table = new Table({
    style: { head: [], border: [] },
    head: ['', 'ours, µs', "Python's, µs", 'Python / ours', 'ours / echo'],
  });
  const show = (values: readonly number[], digits: number): string =>
    values.some(Number.isNaN) ? '' : median(values).toFixed(digits);
  for (const [row, title] of rows) {
    const [own, other, echoes] = [mine.get(row)!, others.get(row)!, mine.get('echo')!];
    const toPython = own.map((value, round) => other[round]! / value);
    const toEcho = own.map((value, round) => value / echoes[round]!);
    table.push([title, show(own, 1), show(other, 1), show(toPython, 2), show(toEcho, 2)]);
  }
  console.log(table.toString());
}

main().finally(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
  process.exit();
});
