/** That nothing is left behind: connections, storage instances, handles, listeners. */
import { channel } from 'node:diagnostics_channel';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ClosedError,
  ConflictError,
  ConnectionStateError,
  DB,
  persistent,
  PoolTimeoutError,
  transaction,
  TransactionManager,
  type Connection,
} from 'zodb';
import { MemoryStorage } from '../../src/storage/index';
import { onEveryDatabase, user } from './databases';
import { recordCalls } from './recording';

@persistent('test.leaks.Counter')
class Counter {
  value = 0;
}

const scale = Number(process.env.ZODB_SOAK ?? 1);
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function openFiles(): number {
  return process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0;
}

/** What `process.emitWarning` is called with meanwhile. */
async function warningsDuring(work: () => unknown): Promise<string[]> {
  const spy = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  try {
    await work();
    return spy.mock.calls.map(([message]) => String(message));
  } finally {
    spy.mockRestore();
  }
}

const veto = {
  abort() {},
  tpcBegin() {},
  commit() {},
  tpcVote() {
    throw new Error('veto');
  },
  tpcFinish() {},
  tpcAbort() {},
  sortKey: () => '~veto',
};

onEveryDatabase('a commit that fails', (open) => {
  test('thousands of times, in each of four ways, leaves no connection, file or listener', async () => {
    const db = open();
    const times = Math.round((db.storage.supports.persistent ? 150 : 2_500) * scale);
    db.transaction((root) => {
      root.counter = new Counter();
    });
    const other = user(db);
    const conflict = () =>
      db.transaction(
        (root) => {
          (root.counter as Counter).value++;
          other.sync();
          (other.root.counter as Counter).value++;
          other.commit();
        },
        { attempts: 1 },
      );
    const refused = () =>
      db.transaction((root) => {
        (root.counter as Counter).value++;
        transaction.get().join(veto);
      });
    const thrown = () =>
      db.transaction((root) => {
        (root.counter as Counter).value++;
        throw new Error('thrown');
      });
    const rejected = () =>
      db.transaction(async (root) => {
        await Promise.resolve();
        (root.counter as Counter).value++;
        transaction.get().join(veto);
      });
    db.transaction(() => 1);
    const files = openFiles();
    const warnings = await warningsDuring(async () => {
      for (let time = 0; time < times; time++) {
        expect(conflict).toThrow(ConflictError);
        expect(refused).toThrow('veto');
        expect(thrown).toThrow('thrown');
        await expect(rejected()).rejects.toThrow('veto');
      }
    });
    expect(warnings).toEqual([]);
    expect(db.openConnections).toEqual([other]);
    expect(openFiles()).toBe(files);
    expect(other.transactionManager.registeredSynchs()).toBe(true);
    expect(channel('zodb:commit').hasSubscribers).toBe(false);
    expect(process.listenerCount('exit')).toBeLessThan(10);
  });
});

onEveryDatabase('a connection', (open) => {
  test('lent within a transaction.run() lives until that run ends, and is one for all calls', () => {
    const db = open();
    let lent: Connection | undefined;
    transaction.run(() => {
      db.transaction((root, connection) => {
        lent = connection;
        root.x = 1;
      });
      db.transaction((root, connection) => {
        expect(connection).toBe(lent);
        expect(root.x).toBe(1);
      });
      expect(() =>
        db.transaction((root) => {
          root.x = 2;
          throw new Error('undone');
        }),
      ).toThrow('undone');
      expect(db.openConnections).toEqual([lent]);
    });
    expect(db.openConnections).toEqual([]);
    expect(db.transaction((root) => root.x)).toBe(1);
    expect(() =>
      transaction.run(() => {
        db.transaction((root) => {
          root.x = 3;
        });
        throw new Error('outer');
      }),
    ).toThrow('outer');
    expect(db.openConnections).toEqual([]);
    expect(db.transaction((root) => root.x)).toBe(1);
  });

  test('that could not take its snapshot is not counted as open', () => {
    const { storage, faults } = recordCalls(new MemoryStorage());
    const db = new DB(storage) as unknown as DB;
    for (let time = 0; time < 20; time++) {
      faults.set('poll', new Error('no snapshot'));
      expect(() => db.open()).toThrow('no snapshot');
      expect(() => db.transaction(() => 1)).toThrow('no snapshot');
      faults.clear();
      expect(db.openConnections).toEqual([]);
    }
    expect(db.transaction(() => 1)).toBe(1);
    db.close();
  });

  test('is warm in the next attempt of a transaction', () => {
    const db = open();
    db.transaction((root) => {
      root.counter = new Counter();
    });
    const other = user(db);
    const used: Connection[] = [];
    db.transaction(
      (root, connection) => {
        used.push(connection);
        (root.counter as Counter).value++;
        if (used.length === 3) return;
        other.sync();
        (other.root.counter as Counter).value += 10;
        other.commit();
      },
      { backoff: false },
    );
    expect(used).toEqual([used[0], used[0], used[0]]);
    expect(db.transaction((root) => (root.counter as Counter).value)).toBe(21);
  });

  test('of db.transaction() refuses sync(), which would end it', () => {
    const db = open();
    expect(() =>
      db.transaction((_root, connection) => {
        connection.sync();
      }),
    ).toThrow(ConnectionStateError);
    expect(db.openConnections).toEqual([]);
  });

  test('waited for by a transaction that ended meanwhile goes back to the pool', async () => {
    const db = open({ poolSize: 1 });
    const holder = user(db);
    let inner!: Promise<unknown>;
    await expect(
      transaction.run(async function outer() {
        inner = db.transaction(async (root) => {
          root.x = await Promise.resolve(1);
        });
        inner.catch(() => undefined);
        await Promise.resolve();
      }),
    ).rejects.toThrow('await it');
    holder.close();
    await expect(inner).rejects.toThrow(ClosedError);
    expect(db.openConnections).toEqual([]);
    expect(await db.transaction(async (root) => Promise.resolve(root.x))).toBeUndefined();
  });

  test('that the program forgot is found, and makes room for those who wait', async () => {
    const db = open({ poolSize: 2, traceConnections: true, poolWait: 600_000 });
    const warnings = await warningsDuring(async () => {
      (() => {
        for (let time = 0; time < 2; time++) {
          const conn = db.open({ transactionManager: new TransactionManager() });
          void conn.root.x;
        }
      })();
      expect(db.connectionDebugInfo().map(({ openedAt }) => openedAt)).toEqual([
        expect.stringContaining('leaks.test.ts'),
        expect.stringContaining('leaks.test.ts'),
      ]);
      let served: unknown;
      const waiting = db.transaction(async () => Promise.resolve('served')).then((value) => (served = value));
      // As often as it takes: a slow machine needs seconds for each.
      while (served === undefined) {
        collectGarbage();
        await Promise.race([waiting, sleep(10)]);
      }
      expect(served).toBe('served');
    });
    expect(warnings[0]).toMatch(
      /^A connection opened at 20.* was never closed, and is lost: at .*leaks\.test\.ts/,
    );
  });

  test('with changes in the process-wide transaction is not lost, though nobody holds it', async () => {
    const db = open();
    (() => {
      db.open().root.kept = 1;
    })();
    for (let time = 0; time < 3; time++) {
      await new Promise((resolve) => setImmediate(resolve));
      collectGarbage();
    }
    transaction.commit();
    expect(db.transaction((root) => root.kept)).toBe(1);
  });

  test('that is never free: who waits is told since when and where the oldest is open', async () => {
    const db = open({ poolSize: 1, poolWait: 5, traceConnections: true });
    const holder = user(db);
    const error = await db
      .transaction(async () => Promise.resolve(1), { attempts: 1 })
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(PoolTimeoutError);
    expect((error as Error).message).toMatch(
      new RegExp(`open since ${holder.opened!.toISOString()}, at .*databases\\.ts`),
    );
  });

  test('is not charged with what was changed inside plain values after it had been closed: a warning says so', async () => {
    const db = open();
    db.transaction((root) => {
      root.counter = Object.assign(new Counter(), { tags: [] as string[] });
    });
    const tags = db.transaction((root) => (root.counter as { tags: string[] }).tags as unknown);
    const before = db.lastTransaction();
    const warnings = await warningsDuring(() => {
      (tags as string[]).push('escaped');
      expect(db.transaction((root) => [...(root.counter as unknown as { tags: string[] }).tags])).toEqual([]);
    });
    expect(warnings).toEqual([
      'A value inside of a Counter was changed after its connection had been closed. The change is lost. ' +
        'Keep what leaves a transaction as a copy.',
    ]);
    expect(db.lastTransaction()).toBe(before);
  });

  test('drops what was changed inside plain values before an explicit begin(), as other changes', () => {
    const db = open();
    const ann = user(db);
    ann.root.counter = Object.assign(new Counter(), { tags: [] as string[] });
    ann.commit();
    const counter = ann.root.counter as Counter & { tags: string[] };
    counter.tags.push('lost');
    ann.sync();
    expect(counter.tags).toEqual([]);
    counter.tags.push('kept');
    ann.commit();
    expect((user(db).root.counter as { tags: string[] }).tags).toEqual(['kept']);
  });
});
