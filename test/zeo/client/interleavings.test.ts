/**
 * Loads and invalidations in every order in which they can meet: what the client answers then, and what its cache file holds for the next
 * program. A server that says everything at a moment of our choice stands for all of them.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAX_TID, oidToBytes, tidToBytes, type Oid, type Tid } from '../../../src/ids';
import type { StorageHost } from '../../../src/storage';
import { ClientStorage } from '../../../src/zeo';
import { openCacheFile } from '../../../src/zeo/client/cache-file';
import { tuple } from '../../../src/zeo/wire/values';
import { PATIENCE } from '../until';
import { ScriptedServer } from './scripted-server';

const directory = mkdtempSync(join(tmpdir(), 'zodb-zeo-order-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const X = 7 as Oid;
const Y = 8 as Oid;
const tid = (value: number): Tid => BigInt(value) as Tid;
const NOW = MAX_TID;

let made = 0;
let server: ScriptedServer;
let client: ClientStorage;
let cachePath: string;
let told: { tid: Tid; oids: readonly Oid[]; lastThen: Tid }[];

beforeEach(async () => {
  server = await new ScriptedServer(tid(10)).listen();
  cachePath = join(directory, `${++made}.zec`);
  told = [];
  client = await open();
});

afterEach(() => {
  client.close();
  server.close();
});

async function open(): Promise<ClientStorage> {
  const opened = new ClientStorage(`127.0.0.1:${server.port}`, {
    wait: false,
    waitTimeout: PATIENCE,
    retryDelay: 10,
    cachePath,
    cacheSize: 50_000,
  });
  const host: Partial<StorageHost> = {
    invalidate(changed, oids) {
      const entry = { tid: changed, oids, lastThen: tid(0) };
      told.push(entry);
      entry.lastThen = opened.lastTransaction();
    },
    invalidateAll: () => undefined,
  };
  opened.registerDB(host as StorageHost);
  await opened.syncAsync();
  told.length = 0;
  return opened;
}

/** Resolves when all that the server has said so far is here. */
const heard = (): Promise<void> => client.syncAsync();

/** What the cache has: as the client reads it without asking, and as the next program finds it in the file. */
async function cached(oid: Oid, before: Tid): Promise<string | undefined> {
  await heard();
  const asked = server.loads.length;
  client.prefetchBefore([oid], before);
  await heard();
  // It asks for what it does not have.
  const isThere = server.loads.length === asked;
  server.loads.length = asked;
  const live = isThere ? client.loadBefore(oid, before)!.data.toString() : undefined;
  client.close();
  const { cache, close } = openCacheFile(cachePath, 50_000);
  const kept = cache.load(oid, before)?.data.toString();
  close();
  expect(kept).toBe(live);
  return live;
}

/** Asks for X, and resolves with what resolves when the answer is here; by then the server has the question. */
async function ask(before = NOW): Promise<{ answered: Promise<void> }> {
  const answered = client.prefetchAsync([X], before);
  await server.asked(1);
  return { answered };
}

describe('a load in flight across an invalidation', () => {
  it('computed and sent before the commit, invalidation after: an old revision from then on', async () => {
    const { answered } = await ask();
    server.answer({ data: 'old', start: tid(5) });
    server.invalidate(tid(20), X);
    await answered;
    expect(await cached(X, NOW)).toBeUndefined();
  });

  it('computed and sent before the commit: what was read at its time is still there', async () => {
    const { answered } = await ask();
    server.answer({ data: 'old', start: tid(5) });
    server.invalidate(tid(20), X);
    await answered;
    expect(await cached(X, tid(20))).toBe('old');
  });

  it('computed after the commit, sent before the invalidation: the new revision, current', async () => {
    const { answered } = await ask();
    server.answer({ data: 'new', start: tid(20) });
    server.invalidate(tid(20), X);
    await answered;
    expect(await cached(X, NOW)).toBe('new');
  });

  it('of an old moment, computed after the commit, sent before the invalidation: an old revision', async () => {
    const { answered } = await ask(tid(11));
    server.answer({ data: 'old', start: tid(5), end: tid(20) });
    server.invalidate(tid(20), X);
    await answered;
    expect(await cached(X, NOW)).toBeUndefined();
  });

  it('asked before the invalidation, computed and sent after it: the new revision, current', async () => {
    const { answered } = await ask();
    server.invalidate(tid(20), X);
    server.answer({ data: 'new', start: tid(20) });
    await answered;
    expect(await cached(X, NOW)).toBe('new');
  });

  it('of an old moment, asked before the invalidation, sent after it: an old revision', async () => {
    const { answered } = await ask(tid(11));
    server.invalidate(tid(20), X);
    server.answer({ data: 'old', start: tid(5), end: tid(20) });
    await answered;
    expect(await cached(X, NOW)).toBeUndefined();
  });

  it('two commits between question and answer: only the newest is current', async () => {
    const { answered } = await ask();
    server.answer({ data: 'first', start: tid(20) });
    server.invalidate(tid(20), X);
    server.invalidate(tid(30), X);
    await answered;
    expect(await cached(X, NOW)).toBeUndefined();
  });

  it('a commit to another object: the revision stays current', async () => {
    const { answered } = await ask();
    server.invalidate(tid(20), Y);
    server.answer({ data: 'old', start: tid(5) });
    await answered;
    expect(await cached(X, NOW)).toBe('old');
  });

  it('cut before the answer, which is then another one: only that is kept', async () => {
    const { answered } = await ask();
    server.changes = () => tuple(tidToBytes(tid(20)), [oidToBytes(X)]);
    server.lastTid = tid(20);
    server.loads.length = 0;
    server.cut();
    await server.asked(1);
    server.answer({ data: 'new', start: tid(20) });
    await answered;
    expect(await cached(X, NOW)).toBe('new');
  });

  it('answered, then cut before the invalidation: it is learned at the next connection', async () => {
    const { answered } = await ask();
    server.answer({ data: 'old', start: tid(5) });
    await answered;
    server.changes = () => tuple(tidToBytes(tid(20)), [oidToBytes(X)]);
    server.lastTid = tid(20);
    server.cut();
    expect(await cached(X, NOW)).toBeUndefined();
  });

  it('answered, then cut, and the server does not know any more what changed: nothing is kept', async () => {
    const { answered } = await ask();
    server.answer({ data: 'old', start: tid(5) });
    await answered;
    server.changes = () => null;
    server.lastTid = tid(20);
    server.cut();
    expect(await cached(X, tid(11))).toBeUndefined();
  });
});

describe('an invalidation', () => {
  it('that arrives while the cache is verified waits for the verification, and is not lost', async () => {
    const { answered } = await ask();
    server.answer({ data: 'old', start: tid(5) });
    await answered;
    server.changes = () => {
      // Sent before the answer, of a commit after it was computed.
      server.invalidate(tid(30), X);
      return tuple(tidToBytes(tid(20)), [oidToBytes(Y)]);
    };
    server.lastTid = tid(20);
    server.cut();
    expect(await cached(X, NOW)).toBeUndefined();
    expect(told.map((each) => each.tid)).toEqual([tid(20), tid(30)]);
  });

  it('is told to the database before the last transaction shows it', async () => {
    for (const [time, oid] of [
      [20, X],
      [30, Y],
    ] as const) {
      server.invalidate(tid(time), oid);
      await heard();
    }
    expect(told).toEqual([
      { tid: tid(20), oids: [X], lastThen: tid(10) },
      { tid: tid(30), oids: [Y], lastThen: tid(20) },
    ]);
    expect(client.lastTransaction()).toBe(tid(30));
  });

  it('that is followed by others, told to one who asks for more meanwhile: in order, and nothing goes back', async () => {
    server.invalidate(tid(20), X);
    server.invalidate(tid(30), Y);
    server.invalidate(tid(40), X, Y);
    await heard();
    expect(told.map((each) => each.tid)).toEqual([tid(20), tid(30), tid(40)]);
    expect(client.lastTransaction()).toBe(tid(40));
    client.close();
    const { cache, close } = openCacheFile(cachePath, 50_000);
    expect(cache.lastTid).toBe(tid(40));
    close();
  });

  it('of what was known already changes nothing', async () => {
    const { answered } = await ask();
    server.answer({ data: 'now', start: tid(10) });
    server.invalidate(tid(10), X);
    await answered;
    expect(await cached(X, NOW)).toBe('now');
    expect(told).toEqual([]);
  });

  it('between two snapshots of one program: the earlier reads what it read, the later asks', async () => {
    const { answered } = await ask(tid(11));
    server.answer({ data: 'old', start: tid(5) });
    await answered;
    const earlier = client.newInstance();
    earlier.poll();
    server.invalidate(tid(20), X);
    await heard();
    expect(earlier.load(X).data.toString()).toBe('old');
    const later = client.newInstance();
    later.poll();
    later.prefetch!([X]);
    await server.asked(1);
    server.answer({ data: 'new', start: tid(20) });
    await heard();
    expect(later.load(X).data.toString()).toBe('new');
    expect(earlier.load(X).data.toString()).toBe('old');
    expect(earlier.poll()).toEqual([X]);
    expect(earlier.load(X).data.toString()).toBe('new');
  });
});
