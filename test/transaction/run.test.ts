import { InvalidArgumentError, LockError } from '../../src/errors';
import {
  DoomedTransaction,
  retry,
  type RunOptions,
  transact,
  transaction,
  TransactionManager,
  TransientError,
} from '../../src/transaction/index';
import { Fault, Recorder, rejectionOf, SavepointRecorder, swallowedIn, thrownBy } from './recorder';

const noWait: RunOptions = { backoff: false };

describe('run()', () => {
  test('begins, calls with the transaction, commits, and returns the result', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    const result = manager.run((current) => {
      expect(manager.get()).toBe(current);
      current.join(new Recorder('a', log));
      return 42;
    });
    expect(result).toBe(42);
    expect(log.at(-1)).toBe('a.tpcFinish');
    expect(manager.current).toBeNull();
  });

  test('aborts the transaction that was open', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    manager.get().join(new Recorder('before', log));
    manager.run(() => undefined);
    expect(log).toEqual(['before.abort']);
  });

  test('notes the name of the function, or what it is told to note', () => {
    const manager = new TransactionManager();
    const descriptions: string[] = [];
    const deposit = (): void => void descriptions.push(manager.get().description);
    const _ = (): void => void descriptions.push(manager.get().description);
    manager.run(deposit);
    manager.run(_);
    manager.run(() => descriptions.push(manager.get().description));
    manager.run(deposit, { note: ' monthly interest ' });
    expect(descriptions).toEqual(['deposit', '', '', 'monthly interest']);
  });

  test('aborts and throws what is not retryable, at once', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    let calls = 0;
    const error = thrownBy(() =>
      manager.run((current) => {
        calls += 1;
        current.join(new Recorder('a', log));
        throw new Fault('body');
      }),
    );
    expect(error).toEqual(new Fault('body'));
    expect([calls, log, manager.current]).toEqual([1, ['a.abort'], null]);
  });

  test.each([0, -1, 1.5, NaN])('refuses %d tries', (tries) => {
    const manager = new TransactionManager();
    expect(() => manager.run(() => undefined, { attempts: tries })).toThrow(InvalidArgumentError);
    expect(() => manager.attempts(tries)).toThrow(InvalidArgumentError);
  });

  test.each([
    [undefined, 3],
    [1, 1],
    [5, 5],
  ])('gives up after the tries asked for (%s)', (tries, expected) => {
    const manager = new TransactionManager();
    let calls = 0;
    expect(() =>
      manager.run(
        () => {
          calls += 1;
          throw new TransientError(`try ${calls}`);
        },
        { ...noWait, ...(tries === undefined ? {} : { attempts: tries }) },
      ),
    ).toThrow(`try ${expected}`);
    expect(calls).toBe(expected);
    expect(manager.current).toBeNull();
  });

  test('runs again in a new transaction when the body, or the commit, fails with an error that may pass', () => {
    const manager = new TransactionManager();
    const log: string[] = [];
    const seen = new Set<unknown>();
    const retries: unknown[] = [];
    const result = manager.run(
      (current) => {
        seen.add(current);
        current.join(
          new Recorder(`t${seen.size}`, log, {
            shouldRetry: (error) => error instanceof Fault,
            fails: seen.size === 2 ? ['tpcVote'] : [],
          }),
        );
        if (seen.size === 1) throw new TransientError('body');
        return seen.size;
      },
      { ...noWait, onRetry: (error, attempt) => retries.push([attempt, (error as Error).message]) },
    );
    expect(result).toBe(3);
    expect(log).toEqual([
      't1.abort',
      ...['t2.tpcBegin', 't2.commit', 't2.tpcVote', 't2.abort', 't2.tpcAbort', 't2.abort'],
      ...['t3.tpcBegin', 't3.commit', 't3.tpcVote', 't3.tpcFinish'],
    ]);
    expect(retries).toEqual([
      [1, 'body'],
      [2, 'fault: t2.tpcVote'],
    ]);
  });

  test('throws the first error when the abort fails as well', async () => {
    const manager = new TransactionManager();
    const reported = await swallowedIn(() => {
      expect(() =>
        manager.run((current) => {
          current.join(new Recorder('a', [], { fails: ['abort'] }));
          throw new Fault('body');
        }),
      ).toThrow(new Fault('body'));
    });
    expect(reported).toContain('abort(): fault: a.abort');
    expect(manager.current).toBeNull();
  });

  test('ends what is current at the end, when the function has committed in between', () => {
    const log: string[] = [];
    for (const explicit of [false, true]) {
      const manager = new TransactionManager({ explicit });
      manager.run((current) => {
        current.join(new Recorder('one', log));
        manager.commit();
        if (!explicit) manager.get().join(new Recorder('two', log));
      });
      expect(manager.current).toBeNull();
    }
    expect(log.filter((event) => event.endsWith('Finish'))).toEqual([
      'one.tpcFinish',
      'two.tpcFinish',
      'one.tpcFinish',
    ]);
  });

  test('throws DoomedTransaction when the function doomed it', () => {
    const manager = new TransactionManager();
    expect(() =>
      manager.run((current) => {
        current.doom();
      }),
    ).toThrow(DoomedTransaction);
    expect(manager.current).toBeNull();
  });

  test('does not try again what a held lock of this thread makes hopeless', () => {
    const manager = new TransactionManager();
    let calls = 0;
    expect(() =>
      manager.run(() => {
        calls += 1;
        throw new LockError('an asynchronous commit has it', { code: 'COMMIT_BUSY', retryable: true });
      }),
    ).toThrow(LockError);
    expect(calls).toBe(1);
  });

  test('waits between tries, within its bounds', () => {
    const manager = new TransactionManager();
    const waits = jest.spyOn(Atomics, 'wait');
    const started = performance.now();
    expect(() =>
      manager.run(
        () => {
          throw new TransientError('always');
        },
        { attempts: 4, backoff: { baseMs: 4, maxMs: 10, random: () => 0.5 } },
      ),
    ).toThrow(TransientError);
    expect(performance.now() - started).toBeGreaterThanOrEqual(10);
    // Half of 4, then 8, then 10 (not 16) milliseconds.
    expect(waits.mock.calls.map(([, , , milliseconds]) => milliseconds)).toEqual([2, 4, 5]);
    waits.mockRestore();
  });
});

describe('run() of an asynchronous function', () => {
  test('commits when its promise is fulfilled, and gives its value', async () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    const promise = manager.run(async (current) => {
      await Promise.resolve();
      current.join(new Recorder('a', log));
      return 42;
    });
    expect(log).toEqual([]);
    expect(await promise).toBe(42);
    expect(log.at(-1)).toBe('a.tpcFinish');
    expect(manager.current).toBeNull();
  });

  test('aborts when it is rejected, and waits for an asynchronous abort', async () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    const slow = new Recorder('slow', log, {
      mode: 'async',
      result: async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        log.push('done');
      },
    });
    const error = await rejectionOf(
      manager.run(async (current) => {
        current.join(slow);
        await Promise.resolve();
        throw new Fault('body');
      }),
    );
    expect(error).toEqual(new Fault('body'));
    expect(log).toEqual(['slow.abort', 'done']);
    expect(manager.current).toBeNull();
  });

  test('runs again after errors that may pass, of the body and of the commit', async () => {
    const manager = new TransactionManager();
    const log: string[] = [];
    let calls = 0;
    const result = await manager.run(async (current) => {
      calls += 1;
      await Promise.resolve();
      current.join(
        new Recorder(`t${calls}`, log, { shouldRetry: () => true, fails: calls === 2 ? ['commit'] : [] }),
      );
      if (calls === 1) throw new TransientError('body');
      return calls;
    }, noWait);
    expect(result).toBe(3);
    expect(log.filter((event) => event.endsWith('tpcFinish'))).toEqual(['t3.tpcFinish']);
  });

  test('backs off by doubling, jittered waits without blocking', async () => {
    const manager = new TransactionManager();
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), 1);
    const started = performance.now();
    const error = await rejectionOf(
      manager.run(() => Promise.reject(new TransientError('always')), {
        attempts: 3,
        backoff: { baseMs: 11, random: () => 0.99 },
      }),
    );
    clearInterval(timer);
    expect(error).toEqual(new TransientError('always'));
    // 10.9 and 21.8 ms; Node's timers cut off fractions, and each may be a millisecond early.
    expect(performance.now() - started).toBeGreaterThanOrEqual(28);
    expect(ticks).toBeGreaterThan(1);
  });

  test('gives up with the last error', async () => {
    const manager = new TransactionManager();
    let calls = 0;
    const error = await rejectionOf(
      manager.run(() => Promise.reject(new TransientError(`try ${(calls += 1)}`)), noWait),
    );
    expect((error as Error).message).toBe('try 3');
    expect(manager.current).toBeNull();
    expect(manager.run(() => 'free again')).toBe('free again');
  });

  test('goes on asynchronously when only the second try returns a promise', async () => {
    const manager = new TransactionManager();
    let calls = 0;
    const result = manager.run((): number | Promise<number> => {
      calls += 1;
      if (calls === 1) throw new TransientError('first');
      if (calls === 2) return Promise.reject(new TransientError('second'));
      return 3;
    }, noWait);
    expect(await result).toBe(3);
  });
});

describe('attempts()', () => {
  function loop(manager: TransactionManager, body: (number: number) => void, number?: number): number[] {
    const begun: number[] = [];
    for (const attempt of manager.attempts(number, noWait)) {
      begun.push(attempt.number);
      attempt.run(() => {
        body(attempt.number);
      });
    }
    return begun;
  }

  test('stops at the first success', () => {
    expect(loop(new TransactionManager(), () => undefined)).toEqual([1]);
  });

  test('swallows errors that may pass, until the last attempt', () => {
    const manager = new TransactionManager();
    const flaky = (until: number) => (number: number) => {
      if (number < until) throw new TransientError(`attempt ${number}`);
    };
    expect(loop(manager, flaky(3))).toEqual([1, 2, 3]);
    expect(() => loop(manager, flaky(9))).toThrow('attempt 3');
    expect(() => loop(manager, flaky(9), 5)).toThrow('attempt 5');
    expect(manager.current).toBeNull();
  });

  test('lets other errors out at once, and asks data managers', () => {
    const manager = new TransactionManager();
    const failing = (shouldRetry: boolean) => () => {
      manager.get().join(new Recorder('a', [], { shouldRetry: () => shouldRetry }));
      throw new Fault('body');
    };
    let calls = 0;
    expect(() => loop(manager, () => ((calls += 1), failing(false)()))).toThrow(Fault);
    expect(calls).toBe(1);
    expect(() => loop(manager, () => ((calls += 1), failing(true)()))).toThrow(Fault);
    expect(calls).toBe(4);
  });

  test('swallows the error of a commit as well, and aborts', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    loop(manager, (number) => {
      manager
        .get()
        .join(
          new Recorder(`t${number}`, log, { shouldRetry: () => true, fails: number === 1 ? ['commit'] : [] }),
        );
    });
    expect(log).toEqual([
      ...['t1.tpcBegin', 't1.commit', 't1.abort', 't1.tpcAbort', 't1.abort'],
      ...['t2.tpcBegin', 't2.commit', 't2.tpcVote', 't2.tpcFinish'],
    ]);
  });

  test('gives the result of the attempt that succeeded', () => {
    const results: unknown[] = [];
    for (const attempt of new TransactionManager().attempts(3, noWait)) {
      results.push(
        attempt.run(() => {
          if (attempt.number < 2) throw new TransientError('first');
          return 'done';
        }),
      );
    }
    expect(results).toEqual([undefined, 'done']);
  });

  test('takes asynchronous functions', async () => {
    const manager = new TransactionManager();
    const results: unknown[] = [];
    for (const attempt of manager.attempts(3, noWait)) {
      results.push(
        await attempt.run(async () => {
          await Promise.resolve();
          if (!attempt.isLast) throw new TransientError('not yet');
          return attempt.number;
        }),
      );
    }
    expect(results).toEqual([undefined, undefined, 3]);
  });

  test('finds a forgotten await', async () => {
    const manager = new TransactionManager();
    const started: unknown[] = [];
    const work = (): void => {
      for (const attempt of manager.attempts(3, noWait)) {
        started.push(attempt.run(() => new Promise<void>((resolve) => setImmediate(resolve))));
      }
    };
    expect(work).toThrow(expect.objectContaining({ code: 'FORGOTTEN_AWAIT' }));
    await Promise.all(started);
  });
});

describe('transact()', () => {
  test('makes a function that runs in a transaction, with its this and its arguments', () => {
    const descriptions: string[] = [];
    const account = {
      balance: 1,
      deposit: transact(function deposit(this: { balance: number }, amount: number) {
        descriptions.push(transaction.get().description);
        this.balance += amount;
        return this.balance;
      }),
    };
    expect(account.deposit(2)).toBe(3);
    expect(descriptions).toEqual(['deposit']);
  });
});

describe('retry()', () => {
  test('repeats any attempt that fails with a retryable error', () => {
    const numbers: number[] = [];
    const result = retry(
      (number) => {
        numbers.push(number);
        if (number < 3) throw new TransientError('again');
        return 'done';
      },
      { backoff: false },
    );
    expect([result, numbers]).toEqual(['done', [1, 2, 3]]);
  });

  test('asks whether to go on', async () => {
    const asked: unknown[] = [];
    const error = await rejectionOf(
      retry((number) => Promise.reject(new Fault(`${number}`)), {
        attempts: 5,
        backoff: false,
        isRetryable: (failure) => asked.push(failure) < 2,
      }),
    );
    expect(error).toEqual(new Fault('2'));
    expect(asked).toHaveLength(2);
  });
});

describe('a run inside a run of the same manager', () => {
  test('is a savepoint: its failure undoes only what it did', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    manager.run((outer) => {
      outer.join(new SavepointRecorder('a', log));
      expect(() =>
        manager.run((inner) => {
          expect(inner).toBe(outer);
          inner.join(new Recorder('b', log));
          throw new Fault('inner');
        }),
      ).toThrow(new Fault('inner'));
      expect(manager.run(() => 'inner result')).toBe('inner result');
    });
    expect(log).toEqual([
      ...['a.savepoint', 'a.rollback 1', 'b.abort', 'a.savepoint'],
      ...['a.tpcBegin', 'a.commit', 'a.tpcVote', 'a.tpcFinish'],
    ]);
  });

  test('leaves retrying to the outermost', () => {
    const manager = new TransactionManager();
    const calls = { outer: 0, inner: 0 };
    manager.run(() => {
      calls.outer += 1;
      manager.run(
        () => {
          calls.inner += 1;
          if (calls.inner < 3) throw new TransientError('again');
        },
        { attempts: 10 },
      );
    }, noWait);
    expect(calls).toEqual({ outer: 3, inner: 3 });
  });

  test('also as attempts, which do not swallow anything then', () => {
    const manager = new TransactionManager();
    let calls = 0;
    expect(() =>
      manager.run(
        () => {
          for (const attempt of manager.attempts(3, noWait)) {
            attempt.run(() => {
              calls += 1;
              throw new TransientError('inner');
            });
          }
        },
        { attempts: 1 },
      ),
    ).toThrow('inner');
    expect(calls).toBe(1);
  });

  test('that can not be undone fails the whole transaction', async () => {
    const manager = new TransactionManager();
    await swallowedIn(() => {
      expect(() =>
        manager.run((outer) => {
          outer.join(new Recorder('plain', []));
          expect(() =>
            manager.run(() => {
              throw new Fault('inner');
            }),
          ).toThrow(new Fault('inner'));
        }),
      ).toThrow(expect.objectContaining({ code: 'TRANSACTION_FAILED' }));
    });
    expect(manager.current).toBeNull();
  });

  test('nests to any depth, and asynchronously', async () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    await manager.run(async (current) => {
      current.join(new SavepointRecorder('a', log));
      await manager.run(async () => {
        await Promise.resolve();
        const inner = manager.run(async () => {
          await Promise.resolve();
          throw new Fault('innermost');
        });
        await expect(inner).rejects.toThrow('innermost');
      });
      await manager.run(() => Promise.resolve());
    });
    expect(log).toEqual([
      ...['a.savepoint', 'a.savepoint', 'a.rollback 2', 'a.savepoint'],
      ...['a.tpcBegin', 'a.commit', 'a.tpcVote', 'a.tpcFinish'],
    ]);
  });

  test('can not end the transaction', () => {
    const manager = new TransactionManager();
    manager.run(() => {
      for (const action of ['begin', 'commit', 'abort'] as const) {
        expect(() => manager.run(() => void manager[action]())).toThrow(
          expect.objectContaining({ code: 'CROSSING_TRANSACTIONS' }),
        );
      }
    });
  });
});
