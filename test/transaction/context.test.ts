import { AsyncLocalStorage } from 'node:async_hooks';
import { DB } from '../../src/index';
import {
  CrossingTransactionsError,
  currentManager,
  detached,
  ForgottenAwaitError,
  NoTransaction,
  StaleContextError,
  transaction,
  type Transaction,
  TransactionManager,
  TransientError,
  withManager,
} from '../../src/transaction/index';
import { currentFrame } from '../../src/transaction/context';
import { Fault, Recorder, rejectionOf, SavepointRecorder, swallowedIn, thrownBy, turn } from './recorder';

const processManager = transaction.manager;

afterEach(() => {
  processManager.abort();
  expect(currentManager()).toBe(processManager);
});

describe('transaction.run()', () => {
  test('has a transaction manager of its own, which the ambient transaction is in it', () => {
    const outside = transaction.get();
    const inside = transaction.run((current) => {
      expect(transaction.get()).toBe(current);
      expect(current).not.toBe(outside);
      return transaction.manager;
    });
    expect(inside).not.toBe(processManager);
    expect(transaction.get()).toBe(outside);
    expect(outside.status).toBe('Active');
  });

  test('keeps concurrent runs apart, through every await', async () => {
    const log: string[] = [];
    const task = async (name: string, fails: boolean): Promise<void> => {
      await transaction.run(async (current) => {
        await turn();
        transaction.get().join(new Recorder(name, log));
        await turn();
        expect(transaction.get()).toBe(current);
        if (fails) throw new Fault(name);
      });
    };
    const results = await Promise.allSettled([task('a', false), task('b', true), task('c', false)]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(log.filter((event) => /tpcFinish|abort/.test(event)).sort()).toEqual([
      'a.tpcFinish',
      'b.abort',
      'c.tpcFinish',
    ]);
  });

  test('gives hooks of the commit the same context', async () => {
    const seen: unknown[] = [];
    const body = (current: Transaction): void => {
      const manager = transaction.manager;
      current.addBeforeCommitHook(() => seen.push(transaction.manager === manager));
      current.addAfterCommitHook(() => seen.push(transaction.get() === current));
    };
    transaction.run(body);
    await transaction.run(async (current) => {
      await turn();
      body(current);
    });
    expect(seen).toEqual([true, true, true, true]);
  });

  test('in an after-commit hook is a transaction of its own, also after a failure', async () => {
    const log: string[] = [];
    const followUp = (success: boolean): void => {
      transaction.run((current) => {
        current.join(new Recorder(success ? 'done' : 'failed', log));
      });
    };
    const body = (fails: boolean) => (current: Transaction) => {
      current.join(new Recorder('a', [], { fails: fails ? ['tpcVote'] : [] }));
      current.addAfterCommitHook(followUp);
    };
    transaction.run(body(false));
    await transaction.run(async (current) => {
      await turn();
      body(false)(current);
    });
    expect(() => {
      transaction.run(body(true));
    }).toThrow(Fault);
    expect(log.filter((event) => event.endsWith('tpcFinish'))).toEqual([
      'done.tpcFinish',
      'done.tpcFinish',
      'failed.tpcFinish',
    ]);
  });

  test('shows its transaction to abort hooks', async () => {
    const seen: unknown[] = [];
    const body = (current: Transaction): never => {
      current.addBeforeAbortHook(() => seen.push(transaction.get() === current));
      current.addAfterAbortHook(() => seen.push(transaction.get() === current));
      throw new Fault('body');
    };
    expect(() => transaction.run(body)).toThrow(Fault);
    await rejectionOf(
      transaction.run(async (current) => {
        await turn();
        body(current);
      }),
    );
    expect(seen).toEqual([true, true, true, true]);
  });

  test('leaves a manager that starts no more transactions', async () => {
    const sync = transaction.run(() => transaction.manager);
    const async_ = await transaction.run(async () => Promise.resolve(transaction.manager));
    for (const manager of [sync, async_]) {
      for (const action of [() => manager.get(), () => manager.begin(), () => manager.run(() => undefined)]) {
        expect(action).toThrow(NoTransaction);
      }
      expect(() => manager.get()).toThrow(/The run that this transaction manager was made for has ended/);
    }
  });

  test('inside another one is a savepoint of it', () => {
    const log: string[] = [];
    const work = (outer: Transaction): void => {
      outer.join(new SavepointRecorder('a', log));
      transaction.run((inner) => {
        expect(inner).toBe(outer);
      });
      transaction.doom();
      expect(transaction.isDoomed()).toBe(true);
      expect(() => {
        transaction.run(() => {
          throw new Fault('inner');
        });
      }).toThrow(new Fault('inner'));
      expect(log).toEqual(['a.savepoint', 'a.savepoint', 'a.rollback 2']);
      expect(transaction.savepoint({ optimistic: true }).valid).toBe(true);
    };
    expect(() => {
      transaction.run(work);
    }).toThrow(expect.objectContaining({ code: 'DOOMED_TRANSACTION' }));
  });
});

describe('withManager()', () => {
  test('names the ambient manager in everything that it calls or awaits', async () => {
    const manager = new TransactionManager();
    const result = await withManager(manager, async () => {
      expect(transaction.manager).toBe(manager);
      await turn();
      const current = transaction.begin();
      transaction.commit();
      return [current.status, transaction.run(() => transaction.manager === manager)];
    });
    expect(result).toEqual(['Committed', true]);
    expect(transaction.manager).toBe(processManager);
  });

  test('may be used inside a run, for an independent transaction', () => {
    const other = new TransactionManager();
    transaction.run((outer) => {
      const manager = transaction.manager;
      withManager(other, () => {
        expect(transaction.run((current) => current)).not.toBe(outer);
        // And back: the run around is found through the frame between.
        expect(manager.run((current) => current)).toBe(outer);
      });
      expect(outer.ended).toBe(false);
    });
  });
});

describe('runs that cross', () => {
  test('under Promise.all are refused, and the transaction is aborted', async () => {
    const log: string[] = [];
    const step = async (name: string): Promise<void> => {
      await transaction.run(async function child() {
        log.push(`${name} starts`);
        await turn();
        await turn();
        log.push(`${name} ends`);
        transaction.get().join(new Recorder(name, log));
      });
    };
    const error = await rejectionOf(
      transaction.run(async (current) => {
        current.join(new SavepointRecorder('outer', log));
        await Promise.all([step('one'), step('two')]);
      }),
    );
    expect(error).toBeInstanceOf(CrossingTransactionsError);
    expect((error as Error).message).toBe(
      "Can't start run(child) while run(child) is under way in the same transaction: going back to the " +
        'start of the one would undo the other. Await one after the other, or start both outside of the transaction.',
    );
    await turn();
    await turn();
    // What was left alone ran into a clear error as soon as it touched the transaction.
    expect(log).toEqual(['outer.savepoint', 'one starts', 'outer.abort', 'one ends']);
  });

  test('are fine when they are awaited one after the other', async () => {
    const order: number[] = [];
    await transaction.run(async () => {
      for (const number of [1, 2, 3]) {
        await transaction.run(async () => {
          await turn();
          order.push(number);
        });
      }
    });
    expect(order).toEqual([1, 2, 3]);
  });

  test('of one manager in two contexts are refused, and so is ending the transaction from outside', async () => {
    const manager = new TransactionManager();
    const running = manager.run(async (current) => {
      await turn();
      expect(manager.get()).toBe(current);
    });
    for (const action of [
      () => manager.run(() => undefined),
      () => manager.commit(),
      () => manager.abort(),
      () => manager.begin(),
    ]) {
      expect(action).toThrow(CrossingTransactionsError);
    }
    expect(await rejectionOf(manager.commitAsync())).toBeInstanceOf(CrossingTransactionsError);
    expect(await rejectionOf(manager.abortAsync())).toBeInstanceOf(CrossingTransactionsError);
    await running;
    expect(manager.run(() => 'free')).toBe('free');
  });

  test('keep a manager reserved while it waits between tries', async () => {
    const manager = new TransactionManager();
    let calls = 0;
    const running = manager.run(
      async () => {
        await Promise.resolve();
        if ((calls += 1) < 2) throw new TransientError('again');
      },
      { backoff: { baseMs: 20, random: () => 0.9 } },
    );
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(() => manager.run(() => undefined)).toThrow(CrossingTransactionsError);
    await running;
  });

  test('with a commit in between are refused', async () => {
    await transaction.run(async () => {
      const nested = transaction.run(async () => {
        await turn();
      });
      expect(() => {
        transaction.commit();
      }).toThrow(CrossingTransactionsError);
      await nested;
      transaction.commit();
    });
  });
});

describe('a forgotten await', () => {
  test.each(['sync', 'async'] as const)(
    'of a nested run is found when the outer one ends (%s)',
    async (how) => {
      const log: string[] = [];
      const nested: { error?: unknown } = {};
      const body = (current: Transaction): void => {
        current.join(new SavepointRecorder('a', log));
        transaction
          .run(async function inner() {
            await turn();
            transaction.get();
          })
          .catch((error: unknown) => (nested.error = error));
      };
      const outer = (): unknown =>
        transaction.run(
          how === 'sync'
            ? body
            : async (current) => {
                await turn();
                body(current);
              },
        );
      const error = how === 'sync' ? thrownBy(outer) : await rejectionOf(outer() as Promise<unknown>);
      expect(error).toBeInstanceOf(ForgottenAwaitError);
      expect((error as Error).message).toMatch(/ended while run\(inner\), nested in it, was still under way/);
      expect(log).toEqual(['a.savepoint', 'a.abort']);
      await turn();
      await turn();
      expect(nested.error).toBeInstanceOf(StaleContextError);
    },
  );

  test('of a nested run does not end the process when nobody holds its promise', async () => {
    const unhandled: unknown[] = [];
    const listener = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', listener);
    expect(() => {
      transaction.run(() => {
        void transaction.run(async () => {
          await turn();
          throw new Fault('late');
        });
      });
    }).toThrow(ForgottenAwaitError);
    await turn();
    await turn();
    process.off('unhandledRejection', listener);
    expect(unhandled).toEqual([]);
  });

  test.each(['sync', 'async'] as const)('of a commitAsync() is found (%s)', async (how) => {
    const log: string[] = [];
    const body = (current: Transaction): void => {
      current.join(
        new Recorder('a', log, {
          mode: 'async',
          result: () => turn(),
        }),
      );
      void transaction.commitAsync();
    };
    const outer = (): unknown =>
      transaction.run(
        how === 'sync'
          ? body
          : async (current) => {
              await turn();
              body(current);
            },
      );
    await swallowedIn(async () => {
      const error = how === 'sync' ? thrownBy(outer) : await rejectionOf(outer() as Promise<unknown>);
      expect(error).toBeInstanceOf(ForgottenAwaitError);
      expect((error as Error).message).toMatch(/commitAsync\(\) or abortAsync\(\) in it was still under way/);
      for (let count = 0; count < 10; count += 1) await turn();
    });
    // It went on by itself, as the message says.
    expect(log).toEqual(['a.tpcBegin', 'a.commit', 'a.tpcVote', 'a.tpcFinish']);
  });

  test('of anything else is found when it touches the transaction after the end', async () => {
    const late: unknown[] = [];
    let manager: TransactionManager | undefined;
    const forgotten = async (): Promise<void> => {
      await turn();
      for (const action of [
        () => transaction.get(),
        () => transaction.manager,
        () => transaction.run(() => undefined),
        () => manager?.get(),
      ]) {
        late.push((thrownBy(action) as { code: string }).code);
      }
    };
    await transaction.run(async function handler() {
      manager = transaction.manager;
      await Promise.resolve();
      void forgotten();
    });
    await turn();
    await turn();
    expect(late).toEqual(['STALE_CONTEXT', 'STALE_CONTEXT', 'STALE_CONTEXT', 'NO_TRANSACTION']);
  });

  test('of a first try does not reach into the second', async () => {
    const manager = new TransactionManager();
    const late: unknown[] = [];
    let tries = 0;
    await manager.run(
      async () => {
        tries += 1;
        if (tries === 1) {
          void (async () => {
            await turn();
            late.push(
              thrownBy(() => manager.get()),
              thrownBy(() => manager.run(() => undefined)),
            );
          })();
          throw new TransientError('again');
        }
        for (let count = 0; count < 5; count += 1) await turn();
      },
      { backoff: false },
    );
    expect(late).toEqual([expect.any(StaleContextError), expect.any(StaleContextError)]);
  });
});

describe('a change of something of the process-wide transaction', () => {
  test('is refused inside a run of another manager, which would not commit it', () => {
    const db = new DB();
    const conn = db.open();
    expect(() => {
      transaction.run(function batch() {
        conn.root.lost = true;
      });
    }).toThrow(/^Something of the process-wide transaction was changed in run\(batch\)/);
    expect(Object.keys(conn.root)).toEqual([]);
    conn.root.kept = 1;
    transaction.commit();
    // The process-wide manager's own run is another matter.
    processManager.run(() => {
      conn.root.kept = 2;
    });
    expect(conn.root.kept).toBe(2);
    conn.close();
    db.close();
  });

  test('is fine in a withManager() of another one', () => {
    const db = new DB();
    const conn = db.open();
    withManager(new TransactionManager(), () => {
      conn.root.kept = 1;
    });
    transaction.commit();
    expect(conn.root.kept).toBe(1);
    conn.close();
    db.close();
  });
});

test('attempts outside of any run have a manager of their own', () => {
  const managers = new Set<TransactionManager>();
  for (const attempt of transaction.attempts(2, { backoff: false })) {
    attempt.run(() => {
      managers.add(transaction.manager);
      if (!attempt.isLast) throw new TransientError('again');
    });
  }
  expect(managers.size).toBe(1);
  expect(managers.has(processManager)).toBe(false);
  expect(() => [...managers][0]!.get()).toThrow(NoTransaction);
});

describe('code that outlives its run', () => {
  test('may start transactions of its own outside of every run, or with a manager it names', async () => {
    const results: unknown[] = [];
    const own = new TransactionManager();
    const finished: Promise<void>[] = [];
    const later = (work: () => unknown): void => {
      finished.push(
        new Promise<void>((resolve) => {
          setTimeout(() => {
            results.push(work());
            resolve();
          }, 1);
        }),
      );
    };
    transaction.run(() => {
      const manager = transaction.manager;
      detached(() => {
        expect(transaction.manager).toBe(processManager);
        later(() => transaction.run(() => transaction.manager !== manager));
      });
      later(() => withManager(own, () => transaction.run(() => transaction.manager === own)));
    });
    await Promise.all(finished);
    expect(results).toEqual([true, true]);
  });

  test('may use again a manager that outlives runs, by naming it', async () => {
    const manager = new TransactionManager();
    let late: unknown;
    await manager.run(async () => {
      await Promise.resolve();
      void turn().then(() => {
        late = withManager(manager, () => manager.run(() => 'again'));
      });
    });
    await turn();
    await turn();
    expect(late).toBe('again');
  });
});

test('timers that start one another in frames of their own make no growing chain of them', async () => {
  const manager = new TransactionManager();
  let depth = 0;
  await new Promise<void>((resolve) => {
    const tick = (count: number): void => {
      withManager(manager, () => {
        transaction.run(() => {
          depth = 0;
          for (let frame = currentFrame(); frame !== undefined; frame = frame.outer) depth += 1;
          if (count > 0) setImmediate(tick, count - 1);
          else resolve();
        });
      });
    };
    tick(50);
  });
  expect(depth).toBeLessThanOrEqual(2);
});

test('the context of other libraries is left alone', async () => {
  const other = new AsyncLocalStorage<string>();
  await other.run('request 7', () =>
    transaction.run(async () => {
      await turn();
      expect(other.getStore()).toBe('request 7');
    }),
  );
});
