/** Clients that wait for their turn commit together: what each is told, in which order, and what happens when something fails. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAX_TID, oidFromBytes, tidToBytes, type Oid } from '../../../src/ids';
import { FileStorage, TransactionMetaData, type FileStorageOptions } from '../../../src/storage';
import { nodeFileSystem } from '../../../src/storage/file/file-system';
import { record, textOf } from '../../../src/testing';
import { mergeCounters } from '../../../src/testing/records';
import { ZeoServer, type ZeoServerOptions } from '../../../src/zeo';
import { itemsOf, type WireValue } from '../../../src/zeo/wire/values';
import { RawPeer } from '../raw-peer';

const NEW = Buffer.alloc(8);
const EMPTY = Buffer.alloc(0);
const directory = mkdtempSync(join(tmpdir(), 'zodb-zeo-groups-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let server: ZeoServer;
let storage: FileStorage;
let port: number;
let made = 0;
let syncs = 0;
/** Fails the syncs of the storage while it is set. */
let diskFails = false;
const peers: RawPeer[] = [];

async function start(options: Partial<ZeoServerOptions> = {}): Promise<void> {
  const sync = (fd: number): void => {
    if (diskFails) throw new Error('EIO');
    syncs++;
    nodeFileSystem.sync(fd);
  };
  diskFails = false;
  const path = join(directory, `${++made}.fs`);
  const given: FileStorageOptions = { durability: 'normal', fileSystem: { ...nodeFileSystem, sync } };
  storage = new FileStorage(path, given);
  server = new ZeoServer({ storages: { '1': storage }, resolveConflict: mergeCounters, ...options });
  port = ((await server.listen({ host: '127.0.0.1', port: 0 })) as { port: number }).port;
}

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.destroy();
  await server.close();
  storage.close();
});

function oid(number: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(number, 4);
  return bytes;
}

async function connected(count: number): Promise<RawPeer[]> {
  const joined = await Promise.all(Array.from({ length: count }, () => new RawPeer(port).register()));
  peers.push(...joined);
  return joined;
}

function begin(peer: RawPeer, object: Buffer, serial: Buffer, text: string): void {
  peer.oneWay('tpc_begin', 1, EMPTY, EMPTY, new Map(), null, ' ');
  peer.oneWay('storea', object, serial, record(text), 1);
}

type Reply = { readonly flag: boolean | number; readonly args: WireValue };

/** The tid of a commit that succeeded. */
function tidOf({ flag, args }: Reply): Buffer {
  expect(flag).toBe(0);
  return Buffer.from(itemsOf(args)![0] as Uint8Array);
}

/** Lets all ask for their commit while the first one has the turn; resolves with the answers, in the order of asking. */
async function together(holder: RawPeer, others: readonly RawPeer[]): Promise<Reply[]> {
  begin(holder, oid(1000), NEW, 'holder');
  await holder.call('vote', 1);
  const answers: Promise<Reply>[] = [];
  for (const other of others) {
    answers.push(other.call('zodb_commit', 1));
    // One after the other: what a peer sends is read in order.
    await Promise.race([other.call('ping'), answers.at(-1)]);
  }
  expect(server.storages.get('1')!.commits.waiting).toBe(others.length);
  syncs = 0;
  await holder.call('tpc_finish', 1);
  return Promise.all(answers);
}

/** The tids that a client was told of, its own among them, in the order of the messages. */
function toldTids(peer: RawPeer): string[] {
  return peer.messages.flatMap(({ name, args }) => {
    const tid = itemsOf(args)?.[0];
    const isCommit = name === 'invalidateTransaction' || name === '.reply';
    return isCommit && tid instanceof Uint8Array && tid.length === 8
      ? [Buffer.from(tid).toString('hex')]
      : [];
  });
}

it.each([5, 60])(
  '%i clients that wait need one sync, not one each, and every client is told in the order of the commits',
  async (count) => {
    await start();
    // A group that takes too long is ended: not here, however slow the machine is.
    const now = jest.spyOn(performance, 'now').mockReturnValue(performance.now());
    const [holder, witness, ...others] = (await connected(count + 2)) as [RawPeer, RawPeer, ...RawPeer[]];
    others.forEach((peer, number) => begin(peer, oid(number + 1), NEW, `text ${number}`));
    const tids = (await together(holder, others)).map((reply) => tidOf(reply).toString('hex'));
    now.mockRestore();
    // That of who had the turn, and one for all others.
    expect(syncs).toBe(2);
    expect([...tids].sort()).toEqual(tids);
    await witness.call('ping');
    expect(toldTids(witness).slice(1)).toEqual(tids);
    for (const peer of others) {
      await peer.call('ping');
      expect(toldTids(peer).slice(-count)).toEqual(tids);
    }
    for (let number = 0; number < count; number++) {
      expect(textOf(storage.load((number + 1) as Oid).data)).toBe(`text ${number}`);
    }
    expect(server.status().get('1')).toMatchObject({ commits: count + 1, waiting: 0, active_txns: 0 });
  },
);

it('a conflict within a group refuses one, or is merged', async () => {
  await start();
  const [holder, ...others] = (await connected(5)) as [RawPeer, ...RawPeer[]];
  const [first] = others as [RawPeer];
  begin(first, oid(1), NEW, 'count:1');
  const serial = tidOf(await first.call('zodb_commit', 1));
  begin(others[0]!, oid(1), serial, 'count:2');
  begin(others[1]!, oid(1), serial, 'no count');
  begin(others[2]!, oid(1), serial, 'count:11');
  begin(others[3]!, oid(2), NEW, 'other');
  const answers = await together(holder, others);
  expect(answers.map(({ flag }) => flag)).toEqual([0, 2, 0, 0]);
  expect(itemsOf(answers[1]!.args)![0]).toBe('ZODB.POSException.ConflictError');
  expect(itemsOf(itemsOf(answers[2]!.args)![1])).toEqual([oid(1)]);
  expect(textOf(storage.load(1 as Oid).data)).toBe('count:12');
});

it('a conflict that the client is to merge leaves its transaction, and the turn goes on', async () => {
  await start({ clientConflictResolution: true });
  const [holder, ...others] = (await connected(4)) as [RawPeer, ...RawPeer[]];
  begin(others[0]!, oid(1), NEW, 'one');
  const serial = tidOf(await others[0]!.call('zodb_commit', 1));
  begin(others[0]!, oid(1), serial, 'two');
  begin(others[1]!, oid(1), serial, 'three');
  begin(others[2]!, oid(2), NEW, 'four');
  const answers = await together(holder, others);
  const [none, conflicts] = itemsOf(answers[1]!.args)!;
  expect(none).toBeNull();
  expect(itemsOf(conflicts)).toHaveLength(1);
  const merged = tidOf(answers[0]!);
  others[1]!.oneWay('storea', oid(1), merged, record('merged'), 1);
  tidOf(await others[1]!.call('zodb_commit', 1));
  expect(textOf(storage.load(1 as Oid).data)).toBe('merged');
  tidOf(answers[2]!);
});

it('who votes in two phases keeps its place between groups', async () => {
  await start();
  const [holder, ...others] = (await connected(4)) as [RawPeer, ...RawPeer[]];
  others.forEach((peer, number) => begin(peer, oid(number + 1), NEW, 'text'));
  const [before, voter, after] = others as [RawPeer, RawPeer, RawPeer];
  begin(holder, oid(1000), NEW, 'holder');
  await holder.call('vote', 1);
  const first = before.call('zodb_commit', 1);
  await before.call('ping');
  const vote = voter.call('vote', 1);
  await voter.call('ping');
  const last = after.call('zodb_commit', 1);
  await after.call('ping');
  await holder.call('tpc_finish', 1);
  const tid = tidOf(await first);
  expect((await vote).flag).toBe(0);
  expect(server.storages.get('1')!.commits.waiting).toBe(1);
  const voted = Buffer.from((await voter.call('tpc_finish', 1)).args as Uint8Array);
  const tids = [tid, voted, tidOf(await last)];
  expect([...tids].sort((a, b) => Buffer.compare(a, b))).toEqual(tids);
});

it('nobody is told of a commit when the sync fails, and everybody of the failure', async () => {
  await start();
  const [holder, witness, ...others] = (await connected(5)) as [RawPeer, RawPeer, ...RawPeer[]];
  others.forEach((peer, number) => begin(peer, oid(number + 1), NEW, 'text'));
  begin(holder, oid(1000), NEW, 'holder');
  await holder.call('vote', 1);
  const answers = others.map((peer) => peer.call('zodb_commit', 1));
  await Promise.all(others.map((peer) => peer.call('ping')));
  diskFails = true;
  await holder.call('tpc_abort', 1);
  for (const answer of await Promise.all(answers)) {
    expect(answer.flag).toBe(2);
    expect(JSON.stringify(answer.args)).toContain('not known whether it is stored');
  }
  expect(toldTids(witness)).toEqual([]);
});

it('a client that goes away while it waits takes no part', async () => {
  await start();
  const [holder, ...others] = (await connected(4)) as [RawPeer, ...RawPeer[]];
  others.forEach((peer, number) => begin(peer, oid(number + 1), NEW, 'text'));
  begin(holder, oid(1000), NEW, 'holder');
  await holder.call('vote', 1);
  const answers = others.map((peer) => peer.call('zodb_commit', 1).catch(() => undefined));
  await Promise.all(others.map((peer) => peer.call('ping')));
  others[0]!.destroy();
  others[1]!.oneWay('tpc_abort', 1);
  await others[1]!.call('ping');
  await holder.until(() => server.storages.get('1')!.commits.waiting === 1);
  await holder.call('tpc_finish', 1);
  tidOf((await answers[2]) as Reply);
  expect(storage.objectCount()).toBe(2);
  expect(server.status().get('1')).toMatchObject({ commits: 2, waiting: 0, active_txns: 0 });
});

it('a commit of the server process itself is waited for', async () => {
  await start();
  const [peer] = (await connected(1)) as [RawPeer];
  const own = new TransactionMetaData();
  storage.tpcBegin(own);
  storage.store(oidFromBytes(oid(7)), 0n as never, record('own'), own);
  begin(peer, oid(1), NEW, 'text');
  const answer = peer.call('zodb_commit', 1);
  await peer.call('ping');
  storage.tpcVote(own);
  const first = Buffer.from(tidToBytes(storage.tpcFinish(own)));
  expect(Buffer.compare(tidOf(await answer), first)).toBe(1);
});

it('a large transaction, or one with an undo, is made by itself', async () => {
  await start();
  const [holder, ...others] = (await connected(4)) as [RawPeer, ...RawPeer[]];
  begin(others[0]!, oid(1), NEW, 'one');
  const serial = tidOf(await others[0]!.call('zodb_commit', 1));
  begin(others[0]!, oid(1), serial, 'two');
  const undone = tidOf(await others[0]!.call('zodb_commit', 1));
  begin(others[0]!, oid(2), NEW, 'x'.repeat(300_000));
  begin(others[1]!, oid(3), NEW, 'three');
  others[2]!.oneWay('tpc_begin', 1, EMPTY, EMPTY, new Map(), null, ' ');
  others[2]!.oneWay('undoa', Buffer.from(undone.toString('base64')), 1);
  const answers = await together(holder, others);
  for (const answer of answers) tidOf(answer);
  expect(syncs).toBe(4);
  expect(textOf(storage.load(1 as Oid).data)).toBe('one');
  expect(storage.loadBefore(2 as Oid, MAX_TID)!.data.length).toBeGreaterThan(300_000);
});
