/** Asynchronous transactions and commits: totals, stalls, connections, details of errors. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ConflictError,
  ForeignContextError,
  LockError,
  oidOf,
  persistent,
  transaction,
  TransactionManager,
  type Connection,
} from 'zodb';
import { Length, OOBTree } from 'zodb/btrees';
import type { DataManager } from '../../src/transaction/index';
import { onEveryDatabase, user } from './databases';

@persistent('test.async.Account')
class Account {
  balance = 0;
  note = '';
}

const scale = Number(process.env.ZODB_SOAK ?? 1);

/** A second resource that answers after some milliseconds, as one across a network. */
class SlowResource implements DataManager {
  readonly mode = 'async';
  static voted = 0;
  async tpcBegin() {
    await sleep(1);
  }
  async commit() {
    await sleep(2);
  }
  async tpcVote() {
    await sleep(3);
    SlowResource.voted++;
  }
  async tpcFinish() {
    await sleep(2);
  }
  async tpcAbort() {
    await sleep(1);
  }
  async abort() {
    await sleep(1);
  }
  sortKey() {
    return 'slow';
  }
}

/**
 * The longest time in ms in which the event loop did nothing else, while `work` ran, as a share of the most that it may be: 50 ms, or a
 * quarter of the whole work on a slow machine. Counted in the processor time of this process: what other programs on the machine take
 * does not belong to it.
 */
async function longestStall(work: () => Promise<void>): Promise<number> {
  const used = (): number => {
    const { user: inUser, system } = process.cpuUsage();
    return (inUser + system) / 1_000;
  };
  let longest = 0;
  const start = used();
  let last = start;
  const timer = setInterval(() => {
    const now = used();
    longest = Math.max(longest, now - last);
    last = now;
  }, 1);
  await work();
  clearInterval(timer);
  return longest / Math.max(50, (used() - start) / 4);
}

onEveryDatabase('asynchronous work', (open) => {
  test('100 tasks mix commit() and commitAsync() with a slow second resource: exact total, bounded connections', async () => {
    const db = open({ poolSize: 10, attempts: 1_000 });
    db.transaction((root) => {
      root.total = new Length();
      root.accounts = new OOBTree<string, Account>();
      for (let id = 0; id < 10; id++) {
        (root.accounts as OOBTree<string, Account>).set(`a${id}`, new Account());
      }
    });
    let most = 0;
    const synchronous = user(db);
    // What holds up the event loop does so in every round; what V8 compiles and collects, in some.
    const rounds = 4 * Math.max(1, Math.round(scale));
    const task = async (index: number): Promise<void> => {
      await db.transaction(
        async (root) => {
          most = Math.max(most, db.openConnections.length);
          await sleep(index % 3);
          (root.total as Length).change(1);
          const account = (root.accounts as OOBTree<string, Account>).get(`a${index % 10}`)!;
          account.balance += 1;
          if (index % 4 === 0) transaction.get().join(new SlowResource());
        },
        { backoff: { baseMs: 1, maxMs: 20 } },
      );
      // A synchronous one between the asynchronous ones, repeated when it meets one that holds the lock.
      for (let done = index % 5 !== 0; !done;) {
        try {
          (synchronous.root.total as Length).change(1);
          synchronous.commit();
          done = true;
        } catch (error) {
          if (!(error instanceof LockError)) throw error;
          synchronous.abort();
          await sleep(1);
        }
      }
    };
    let stall = Infinity;
    for (let round = 0; round < rounds; round++) {
      const tasks = async () =>
        void (await Promise.all(Array.from({ length: 100 }, (_, index) => task(index))));
      stall = Math.min(stall, await longestStall(tasks));
    }
    db.transaction((root) => {
      expect((root.total as Length).value).toBe(120 * rounds);
      const balances = [...(root.accounts as OOBTree<string, Account>).values()].map(
        ({ balance }) => balance,
      );
      expect(balances).toEqual(Array.from({ length: 10 }, () => 10 * rounds));
    });
    expect(most).toBeLessThanOrEqual(10);
    expect(db.openConnections).toEqual([synchronous]);
    expect(SlowResource.voted).toBeGreaterThan(0);
    expect(stall).toBeLessThan(1);
  });

  test('commitAsync() that meets a conflict says as much as commit() does', async () => {
    const db = open();
    const [ann, ben] = [user(db), user(db)];
    ann.root.account = new Account();
    ann.commit();
    ben.sync();
    (ann.root.account as Account).balance = 1;
    ann.commit();
    const account = ben.root.account as Account;
    account.note = 'mine';
    const error = await ben.transactionManager.commitAsync().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConflictError);
    expect(error).toMatchObject({
      code: 'CONFLICT',
      retryable: true,
      oid: oidOf(account),
      className: 'test.async.Account',
      fields: ['balance'],
    });
    expect((error as ConflictError).serials).toHaveLength(2);
    await ben.transactionManager.abortAsync();
    expect([account.balance, account.note]).toEqual([1, '']);
  });

  test('commitAsync() that another resource refuses takes everything back, and the storage is free at once', async () => {
    const db = open();
    const ann = user(db);
    ann.root.x = 1;
    ann.transactionManager.get().join({
      abort() {},
      tpcBegin() {},
      commit() {},
      async tpcVote() {
        await sleep(1);
        throw new Error('veto');
      },
      tpcFinish() {},
      tpcAbort() {},
      sortKey: () => '~veto',
      mode: 'async',
    });
    await expect(ann.transactionManager.commitAsync()).rejects.toThrow('veto');
    db.transaction((root) => {
      root.y = 2;
    });
    ann.abort();
    expect({ ...ann.root }).toEqual({ y: 2 });
  });

  test('commits under way at the same time queue in order, and all are there', async () => {
    const db = open();
    const users = Array.from({ length: 6 }, () => user(db));
    users[0]!.root.tree = new OOBTree<string, number>();
    for (let id = 0; id < 60; id++) (users[0]!.root.tree as OOBTree<string, number>).set(`k${id}`, 0);
    users[0]!.commit();
    for (const one of users) one.sync();
    users.forEach((one, index) => {
      one.root[`own${index}`] = new Account();
      one.abort();
      one.add(new Account());
    });
    await Promise.all(users.map((one) => one.transactionManager.commitAsync()));
    expect(db.objectCount()).toBeGreaterThanOrEqual(2 + 6);
    for (const one of users) expect(one.cacheStatistics.changed).toBe(0);
  });

  test('an object returned from one task and written in another is refused, and says what to do', async () => {
    const db = open();
    db.transaction((root) => {
      root.account = new Account();
    });
    const escaped = await db.transaction(async (root) => {
      await Promise.resolve();
      return root.account as Account;
    });
    expect(() => {
      escaped.balance = 1;
    }).toThrow('after its connection was closed');
    let seen!: Account;
    let end!: () => void;
    const first = db.transaction(async (root) => {
      seen = root.account as Account;
      void seen.balance;
      await new Promise<void>((resolve) => (end = resolve));
    });
    await db.transaction(async (root) => {
      void root;
      await Promise.resolve();
      expect(() => {
        seen.balance = 2;
      }).toThrow(ForeignContextError);
    });
    end();
    await first;
    expect(db.transaction((root) => (root.account as Account).balance)).toBe(0);
  });

  test('an async function inside of a transaction.run() of the same context joins it', async () => {
    const db = open();
    let inside: Connection | undefined;
    await transaction.run(async () => {
      await db.transaction(async (root, connection) => {
        inside = connection;
        await Promise.resolve();
        root.x = 1;
      });
      expect(inside!.isOpen).toBe(true);
      await db.transaction(async (root, connection) => {
        expect(connection).toBe(inside);
        await Promise.resolve();
        root.y = root.x;
      });
      expect(user(db).root.x).toBeUndefined();
    });
    expect(db.transaction((root) => ({ ...root }))).toEqual({ x: 1, y: 1 });
  });

  test('closing the database under transactions that wait or commit ends them with errors', async () => {
    const warnings = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const db = open({ poolSize: 1 });
    const conn = db.open({ transactionManager: new TransactionManager() }) as unknown as Connection;
    conn.root.x = 1;
    const reason = (error: unknown): unknown => error;
    const waiting = db.transaction(async () => Promise.resolve(1), { attempts: 1 }).catch(reason);
    const committing = conn.transactionManager.commitAsync().catch(reason);
    db.close();
    expect(await waiting).toMatchObject({ code: 'CLOSED' });
    expect((await committing) ?? { code: 'CLOSED' }).toMatchObject({ code: 'CLOSED' });
    expect(conn.isOpen).toBe(false);
    warnings.mockRestore();
  });
});
