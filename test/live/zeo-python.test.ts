/** Our client against Python's ZEO server, and Python's client against ours. */
import { storageConformance, type StorageSetup } from '../../src/testing';
import { currentFramework, record, textOf, type TestFramework } from '../../src/testing';
import { DB } from '../../src/database';
import { ClientStorage } from '../../src/zeo';
import { TransactionMetaData, type Storage } from '../../src/storage';
import { ServerThread } from '../zeo/server-thread';
import { PATIENCE, until } from '../zeo/until';
import { runPython, startPython, startPythonServerNow, whatZeoLacks } from './zeo-python';

/** What Python's server does otherwise, and why; the suite is run without these. */
const OTHERWISE = new Map([
  ['a second pack is refused while one is under way', 'a pack can not be stopped'],
  ['later changes that can be merged stay', 'it merges undone changes only by classes that it can import'],
  ['unreachable objects go, reachable ones stay, also through cycles', 'a pack reports nothing'],
  ['without garbage collection unreachable objects stay', 'packs only with the settings of its storage'],
  [
    'what other databases refer to stays, with all it leads to',
    'packs only with the settings of its storage',
  ],
  ['a dry run tells, and removes nothing', 'packs only with the settings of its storage'],
  ['objects stored after the pack time stay, with what they refer to', 'its pack loses such objects'],
  [
    'a snapshot from before the pack reads what it needs, or is told to run again',
    'answers None for what is packed away',
  ],
  [
    'commits between the steps of a pack are kept, garbage that is linked again too',
    'its pack loses such objects',
  ],
  ['packs asynchronously, with progress, and stops at a signal', 'a pack reports nothing'],
  [
    'a blob that was changed again can not be undone, though its record is the same',
    'it compares records only',
  ],
  ['packing removes the contents of dropped revisions and objects only', 'a pack reports nothing'],
  ['blobs are copied with their transactions', 'its protocol has no restoreBlob'],
  ['a store over a deletion is a conflict; a new object may take the oid', 'it refuses the oid'],
  ['deleted objects do not come', 'record_iternext stops at a deleted object'],
]);

const lack = whatZeoLacks();
if (lack !== undefined) {
  test(`Python's ZEO is not here: ${lack}`, () => expect(lack).toBeDefined());
} else {
  for (const letter of ['Z', 'M']) {
    const framework: TestFramework = {
      ...currentFramework(),
      test: (name, run) => {
        // msgpack has one kind of array: lists in an extension come back as tuples.
        if (letter === 'M' && name.startsWith('transactions come in order')) return;
        if (!OTHERWISE.has(name)) currentFramework().test(name, run);
      },
    };
    const server = startPythonServerNow(130, ...(letter === 'M' ? ['msgpack'] : []));
    const names = new Map<Storage, string>();
    let used = 0;
    const connect = (storage: string, options = {}): Storage => {
      const client = new ClientStorage(`127.0.0.1:${server.port}`, {
        storage,
        serverSync: true,
        waitTimeout: PATIENCE,
        ...options,
      });
      names.set(client, storage);
      return client;
    };
    const setup: StorageSetup = {
      name: `a ZEO client of Python's server, ${letter}5`,
      open: () => connect(String(++used)),
      reopen(client) {
        client.close();
        return connect(names.get(client)!);
      },
      openReadOnly: (client) => connect(names.get(client)!, { readOnly: true }),
      openAgain: (client) => connect(names.get(client)!),
    };
    afterAll(() => server.stop());
    storageConformance(setup, framework);
  }

  test('a Python program reads and changes what a TypeScript program wrote, and the reverse', async () => {
    const thread = new ServerThread();
    const server = thread.start({ kind: 'memory' });
    const client = new ClientStorage(`127.0.0.1:${server.port}`);
    const printed = runPython(
      `
import sys, transaction, ZEO
connection = ZEO.connection(('127.0.0.1', int(sys.argv[1])), wait_timeout=150)
connection.root.greeting = 'from Python'
transaction.commit()
connection.close()
print('committed')
`,
      String(server.port),
    );
    expect(printed.trim()).toBe('committed');
    client.sync();
    await client.syncAsync();
    expect(Buffer.from(client.load(0 as never).data).includes('from Python')).toBe(true);
    client.close();
    await thread.close();
  });

  test('Python programs commit in two phases beside TypeScript programs that commit in one; no change is lost', async () => {
    const thread = new ServerThread();
    const server = thread.start({ kind: 'file' });
    const db = new DB(`zeo:127.0.0.1:${server.port}`);
    db.transaction((root) => (root.count = 0));
    // Each attempt that fails takes a commit of the other side: neither can fail as often as it may.
    const python = startPython(
      `
import sys, transaction, ZEO
connection = ZEO.connection(('127.0.0.1', int(sys.argv[1])), wait_timeout=150)
for _ in range(100):
    for attempt in transaction.attempts(1000):
        with attempt:
            connection.root.count += 1
print(connection.root.count)
`,
      String(server.port),
    );
    let running = true;
    const ended = python.catch(() => undefined).then(() => (running = false));
    let ours = 0;
    const theirs = (): number => db.transaction((root) => root.count as number) - ours;
    while (running || ours < 100) {
      const before = theirs();
      await db.transaction(async (root) => void (root.count = (root.count as number) + 1), {
        attempts: 1000,
      });
      ours++;
      // Whoever is faster waits for the other, who has a chance then.
      await until(() => !running || theirs() > before);
    }
    await ended;
    expect(Number(await python)).toBeGreaterThanOrEqual(100);
    expect(db.transaction((root) => root.count)).toBe(100 + ours);
    db.close();
    await thread.close();
  });

  test('Python opens a client cache that we wrote', async () => {
    const thread = new ServerThread();
    const server = thread.start({ kind: 'memory' });
    const cachePath = `${thread.directory}/cache.zec`;
    const client = new ClientStorage(`127.0.0.1:${server.port}`, { cachePath, cacheSize: 100_000 });
    const txn = new TransactionMetaData();
    client.tpcBegin(txn);
    const oid = client.newOid();
    client.store(oid, 0n as never, record('kept'), txn);
    client.tpcVote(txn);
    const tid = client.tpcFinish(txn);
    client.close();
    const printed = runPython(
      `
import sys
from ZEO.cache import ClientCache
from ZODB.utils import p64, u64
cache = ClientCache(sys.argv[1], 100000)
data, tid = cache.load(p64(int(sys.argv[2])))
print(data.hex(), u64(tid))
cache.close()
`,
      cachePath,
      String(oid),
    );
    const [hex, number] = printed.trim().split(' ');
    expect(textOf(Buffer.from(hex!, 'hex'))).toBe('kept');
    expect(BigInt(number!)).toBe(tid);
    await thread.close();
  });
}
