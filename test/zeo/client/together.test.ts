/** Several programs on one database: what each hears of the others, and what they must not share. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DB, type Change } from '../../../src/database';
import { ZERO_TID, type Oid, type Tid } from '../../../src/ids';
import { TransactionMetaData } from '../../../src/storage';
import { blobRecord, record, textOf } from '../../../src/testing';
import { ClientCacheError } from '../../../src/zeo';
import { freePort, ServerProcess } from '../program';
import { startRelay } from '../raw-peer';
import { bundlePath } from '../server-thread';
import { serversAndClients } from './servers-and-clients';

const { thread, start, stopLast, connect, keep } = serversAndClients('sqlite');
const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function database(port: number): DB {
  return keep(new DB(connect(port)));
}

async function take(changes: AsyncGenerator<Change>, count: number): Promise<Change[]> {
  const taken: Change[] = [];
  while (taken.length < count) taken.push((await changes.next()).value as Change);
  return taken;
}

describe('db.changes() across ZEO', () => {
  it('yields every commit, whoever made it, in order and once', async () => {
    const server = start();
    const [reader, writer] = [database(server.port), database(server.port)];
    reader.transaction(() => undefined);
    const changes = reader.changes();
    writer.transaction((root) => (root.a = 1), { note: 'theirs' });
    writer.transaction((root) => (root.b = 2), { note: 'theirs again' });
    expect((await take(changes, 2)).map(({ description }) => description)).toEqual([
      'theirs',
      'theirs again',
    ]);
    reader.transaction((root) => (root.c = 3), { note: 'ours' });
    writer.transaction((root) => (root.d = 4), { note: 'theirs at last' });
    const more = await take(changes, 2);
    expect(more.map(({ description }) => description)).toEqual(['ours', 'theirs at last']);
    expect(more.every(({ oids }) => oids !== 'all' && oids.includes(0 as Oid))).toBe(true);
    expect(more[0]!.tid).toBeLessThan(more[1]!.tid);
    await changes.return();
  });

  it('tells after a lost connection what was committed meanwhile', async () => {
    const server = start();
    const [reader, writer] = [database(server.port), database(server.port)];
    const changes = reader.changes();
    writer.transaction((root) => (root.a = 1), { note: 'before' });
    expect((await take(changes, 1))[0]!.description).toBe('before');
    stopLast();
    const other = start({ path: server.path });
    database(other.port).transaction((root) => (root.b = 2), { note: 'away' });
    stopLast();
    start({ path: server.path, port: server.port });
    expect((await take(changes, 1))[0]!.description).toBe('away');
    await changes.return();
  });
});

describe('without blocking', () => {
  // Everything goes through a relay that needs this thread's event loop: a call that blocked would never end.
  it('a commit, a prefetch and a look at what is new leave the event loop free', async () => {
    const server = start();
    const relay = await startRelay(server.port);
    const client = connect(relay.port, { wait: false });
    await client.syncAsync();
    const oids = Array.from({ length: 50 }, (_, index) => (index + 1) as Oid);
    const txn = new TransactionMetaData();
    await client.tpcBeginAsync(txn);
    for (const oid of oids) client.store(oid, ZERO_TID, record('x'), txn);
    await client.tpcVoteAsync(txn);
    const tid = await client.tpcFinishAsync(txn);
    const other = connect(relay.port, { wait: false });
    await other.syncAsync();
    await other.prefetchAsync(oids, (tid + 1n) as Tid);
    for (const oid of oids) expect(textOf(other.loadBefore(oid, (tid + 1n) as Tid)!.data)).toBe('x');
    relay.close();
  });
});

describe('a blob directory shared with the server', () => {
  it('holds each blob once: nothing is sent either way', async () => {
    const directory = join(thread.directory, 'shared');
    const server = new ServerProcess(await freePort(), [
      ...['--storage', 'file', '--path', `${directory}.fs`, '--blobs', directory],
    ]);
    await server.start();
    const options = { blobDir: directory, sharedBlobDir: true };
    const [writer, reader] = [connect(server.port, options), connect(server.port, options)];
    const oid = writer.newOid();
    const txn = new TransactionMetaData();
    writer.tpcBegin(txn);
    writer.storeBlob(oid, ZERO_TID, blobRecord(), Buffer.from('shared content'), txn);
    writer.tpcVote(txn);
    const tid = writer.tpcFinish(txn);
    expect(reader.blobPath(oid, tid)).toBe(writer.blobPath(oid, tid));
    expect(readFileSync(reader.blobPath(oid, tid), 'utf8')).toBe('shared content');
    const files = readdirSync(directory, { recursive: true }).filter((name) =>
      /\.(blob|tmp-?)$/.test(String(name)),
    );
    expect(files).toHaveLength(1);
    const other = new TransactionMetaData();
    writer.tpcBegin(other);
    writer.storeBlob(oid, tid, blobRecord(), Buffer.from('given up'), other);
    writer.tpcAbort(other);
    expect(readFileSync(reader.blobPath(oid, tid), 'utf8')).toBe('shared content');
    await server.kill();
  });
});

describe('one cache file', () => {
  const PROGRAM = `
    const { ClientStorage, TransactionMetaData, record } = require(process.argv[1]);
    const client = new ClientStorage('127.0.0.1:' + process.argv[2], { cachePath: process.argv[3], cacheSize: 60000 });
    const serials = new Map();
    for (let round = 0; ; round++) {
      const oid = 1 + (round * 7) % 200;
      const txn = new TransactionMetaData();
      client.tpcBegin(txn);
      client.store(oid, serials.get(oid) ?? 0n, record(oid + ' at ' + round), txn);
      try {
        client.tpcVote(txn);
        serials.set(oid, client.tpcFinish(txn));
      } catch (error) {
        client.tpcAbort(txn);
        serials.set(oid, client.load(oid).serial);
      }
      // What it committed is in the cache by now, however slow the machine is.
      if (round === 0) console.log('ready');
    }`;

  async function program(port: number, cachePath: string): Promise<ChildProcess> {
    const child = spawn(process.execPath, ['-e', PROGRAM, bundlePath(), String(port), cachePath], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    await once(createInterface({ input: child.stdout! }), 'line');
    return child;
  }

  it('is refused to a second process, which is told who has it, and free again when the first is killed', async () => {
    const server = start({ kind: 'memory' });
    const cachePath = join(thread.directory, 'one.zec');
    const child = await program(server.port, cachePath);
    expect(() => connect(server.port, { cachePath })).toThrow(ClientCacheError);
    expect(() => connect(server.port, { cachePath })).toThrow(new RegExp(`\\b${child.pid}\\b`));
    child.kill('SIGKILL');
    await once(child, 'exit');
    const next = connect(server.port, { cachePath, cacheSize: 60_000 });
    expect(next.cacheStatistics.records).toBeGreaterThan(0);
    expect(existsSync(`${cachePath}.bad`)).toBe(false);
  });

  it(
    'of a program that is killed at any moment is used by the next, and never stale',
    async () => {
      const rounds = 4 * Number(process.env.ZODB_SOAK ?? 1);
      const server = start({ kind: 'memory' });
      const cachePath = join(thread.directory, 'killed.zec');
      const direct = connect(server.port);
      for (let round = 0; round < rounds; round++) {
        const child = await program(server.port, cachePath);
        await new Promise((resolve) => setTimeout(resolve, 40 + ((round * 37) % 60)));
        child.kill('SIGKILL');
        await once(child, 'exit');
        const client = connect(server.port, { cachePath, cacheSize: 60_000 });
        const before = (client.lastTransaction() + 1n) as Tid;
        await direct.syncAsync();
        let found = 0;
        for (let oid = 1; oid <= 200; oid++) {
          const { hits } = client.cacheStatistics;
          const mine = attempt(() => textOf(client.loadBefore(oid as Oid, before)!.data));
          if (client.cacheStatistics.hits > hits) found++;
          expect(mine).toBe(attempt(() => textOf(direct.load(oid as Oid).data)));
        }
        expect(found).toBeGreaterThan(0);
        client.close();
      }
      expect(existsSync(`${cachePath}.bad`)).toBe(false);
    },
    300_000 * Number(process.env.ZODB_SOAK ?? 1),
  );
});

function attempt(load: () => string): string {
  try {
    return load();
  } catch (error) {
    return (error as Error).constructor.name;
  }
}
