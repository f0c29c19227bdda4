import { CommitLock, TransactionMetaData } from '../../src/storage/index';
import {
  AsyncRequiredError,
  type DataManager,
  type StepResult,
  Transaction,
  TransactionManager,
} from '../../src/transaction/index';
import {
  Fault,
  Recorder,
  type RecorderOptions,
  rejectionOf,
  type Step,
  swallowedIn,
  SynchronizerRecorder,
  thrownBy,
  turn,
} from './recorder';

/** Writes `name.step` when a step starts and `name.step.` when its promise is fulfilled, some turns later. */
function slow(name: string, log: string[], options: RecorderOptions = {}): Recorder {
  return new Recorder(name, log, {
    mode: 'async',
    result: async (step) => {
      await turn();
      log.push(`${name}.${step}.`);
    },
    ...options,
  });
}

/** A data manager with both kinds of steps; the asynchronous ones write `name.step~`. */
class Both extends Recorder {
  tpcBeginAsync(): StepResult {
    return this.#later('tpcBegin');
  }
  commitAsync(): StepResult {
    return this.#later('commit');
  }
  tpcVoteAsync(): StepResult {
    return this.#later('tpcVote');
  }
  tpcFinishAsync(): StepResult {
    return this.#later('tpcFinish');
  }
  tpcAbortAsync(): StepResult {
    return this.#later('tpcAbort');
  }
  abortAsync(): StepResult {
    return this.#later('abort');
  }
  async #later(step: Step): Promise<void> {
    this.log.push(`${this.name}.${step}~`);
    await turn();
    if (this.options.fails?.includes(step)) throw new Fault(`${this.name}.${step}`);
  }
}

const steps = (name: string, ...list: string[]): string[] => list.map((step) => `${name}.${step}`);

describe('commitAsync()', () => {
  test('of synchronous data managers has the order of commit(), and is done before it returns', async () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    for (const name of ['b', 'a']) manager.get().join(new Recorder(name, log));
    const promise = manager.commitAsync();
    expect(log).toEqual(
      ['tpcBegin', 'commit', 'tpcVote', 'tpcFinish'].flatMap((step) => [`a.${step}`, `b.${step}`]),
    );
    await promise;
    expect(manager.current).toBeNull();
  });

  test('waits for each step of each data manager before the next', async () => {
    const log: string[] = [];
    const transaction = new Transaction();
    for (const name of ['b', 'a']) transaction.join(slow(name, log));
    await transaction.commitAsync();
    expect(log).toEqual(
      ['tpcBegin', 'commit', 'tpcVote', 'tpcFinish'].flatMap((step) =>
        ['a', 'b'].flatMap((name) => [`${name}.${step}`, `${name}.${step}.`]),
      ),
    );
    expect(transaction.status).toBe('Committed');
  });

  test('lets asynchronous data managers vote first, and the synchronous ones never give up the loop', async () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    // Sort keys in the opposite order, to show that the groups come first.
    manager.get().join(new Recorder('a', log));
    manager.get().join(new Both('b', log));
    manager.get().join(slow('c', log));
    let waiting = true;
    const ticker = (async () => {
      while (waiting) {
        await turn();
        log.push('·');
      }
    })();
    await manager.commitAsync();
    waiting = false;
    await ticker;
    const events = log.join(' ').replace(/(· )+/g, '· ').split(' ');
    expect(events.filter((event) => event !== '·')).toEqual([
      ...['c.tpcBegin', 'c.tpcBegin.', 'c.commit', 'c.commit.', 'c.tpcVote', 'c.tpcVote.'],
      ...['b.tpcBegin~', 'b.commit~', 'b.tpcVote~'],
      ...['a.tpcBegin', 'a.commit', 'a.tpcVote', 'a.tpcFinish'],
      'b.tpcFinish~',
      ...['c.tpcFinish', 'c.tpcFinish.'],
    ]);
    const start = events.indexOf('a.tpcBegin');
    expect(events.slice(start, start + 4)).toEqual(steps('a', 'tpcBegin', 'commit', 'tpcVote', 'tpcFinish'));
  });

  test('uses the plain steps of a data manager that says it is synchronous right now', async () => {
    const log: string[] = [];
    const transaction = new Transaction();
    transaction.join(new Both('b', log, { mode: 'sync' }));
    await transaction.commitAsync();
    expect(log).toEqual(steps('b', 'tpcBegin', 'commit', 'tpcVote', 'tpcFinish'));
  });

  test('waits for a promise from any data manager, declared or not', async () => {
    const log: string[] = [];
    const transaction = new Transaction();
    transaction.join(
      new Recorder('a', log, {
        result: async (step) => {
          await turn();
          log.push(`${step} done`);
        },
      }),
    );
    await transaction.commitAsync();
    expect(log.at(-1)).toBe('tpcFinish done');
  });

  test('waits for hooks, in order, and resources that join in them take part', async () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    const synchronizer = new SynchronizerRecorder('s', log);
    manager.registerSynch(synchronizer);
    const transaction = manager.get();
    transaction.addBeforeCommitHook(async () => {
      log.push('before 1');
      await turn();
      log.push('before 1 done');
      transaction.join(new Recorder('late', log));
    });
    transaction.addBeforeCommitHook(() => log.push('before 2'));
    transaction.addAfterCommitHook(async (success) => {
      await turn();
      log.push(`after ${success} ${manager.current === transaction}`);
    });
    await manager.commitAsync();
    expect(log).toEqual([
      ...['before 1', 'before 1 done', 'before 2', 's.beforeCompletion'],
      ...steps('late', 'tpcBegin', 'commit', 'tpcVote', 'tpcFinish'),
      ...['s.afterCompletion Committed', 'after true true', 'late.abort'],
    ]);
    expect(manager.current).toBeNull();
  });

  test('is stopped by a before-commit hook whose promise is rejected', async () => {
    const log: string[] = [];
    const transaction = new Transaction();
    transaction.join(new Recorder('a', log));
    transaction.addBeforeCommitHook(() => Promise.reject(new Fault('hook')));
    expect(await rejectionOf(transaction.commitAsync())).toEqual(new Fault('hook'));
    expect([log, transaction.status, transaction.pending]).toEqual([[], 'Active', null]);
    await transaction.commitAsync();
  });

  test('reports the rejected promise of an after-commit hook', async () => {
    const transaction = new Transaction();
    transaction.addAfterCommitHook(() => Promise.reject(new Fault('hook')));
    expect(await swallowedIn(() => transaction.commitAsync())).toEqual(['after-commit hook: fault: hook']);
    expect(transaction.status).toBe('Committed');
  });

  test('is rejected, never throws, for what commit() refuses', async () => {
    const doomed = new Transaction();
    doomed.doom();
    expect(await rejectionOf(doomed.commitAsync())).toMatchObject({ code: 'DOOMED_TRANSACTION' });
    const ended = new Transaction();
    ended.commit();
    expect(await rejectionOf(ended.commitAsync())).toMatchObject({ code: 'TRANSACTION_STATE' });
    const explicit = new TransactionManager({ explicit: true });
    expect(await rejectionOf(explicit.commitAsync())).toMatchObject({ code: 'NO_TRANSACTION' });
  });
});

describe('commitAsync() that fails', () => {
  const all = (name: string, ...list: string[]): string[] =>
    list.flatMap((step) => [`${name}.${step}`, `${name}.${step}.`]);

  test.each<[Step, string[]]>([
    [
      'tpcBegin',
      [
        ...all('c', 'tpcBegin'),
        'd.tpcBegin',
        'a.abort',
        'a.tpcAbort',
        ...all('c', 'abort'),
        'd.abort',
        'd.abort.',
      ],
    ],
    ['tpcVote', [...all('c', 'tpcVote'), 'd.tpcVote', 'a.abort', 'a.tpcAbort', 'd.abort', 'd.abort.']],
  ])('in %s of an asynchronous data manager has not begun the synchronous ones', async (step, expected) => {
    const log: string[] = [];
    const transaction = new Transaction();
    transaction.join(new Recorder('a', log));
    transaction.join(slow('c', log));
    transaction.join(slow('d', log, { fails: [step] }));
    expect(await rejectionOf(transaction.commitAsync())).toEqual(new Fault(`d.${step}`));
    expect(log.slice(log.indexOf(expected[0]!))).toEqual([
      ...expected,
      ...all('c', 'tpcAbort'),
      ...all('d', 'tpcAbort'),
    ]);
    expect(log).not.toContain('a.tpcBegin');
    expect(transaction.status).toBe('Commit failed');
  });

  test('in a synchronous one undoes that one first, then those which have voted', async () => {
    const log: string[] = [];
    const transaction = new Transaction();
    transaction.join(new Recorder('a', log, { fails: ['tpcVote'] }));
    transaction.join(new Both('b', log));
    transaction.join(slow('c', log));
    expect(await rejectionOf(transaction.commitAsync())).toEqual(new Fault('a.tpcVote'));
    expect(log.slice(log.indexOf('a.tpcVote'))).toEqual([
      ...['a.tpcVote', 'a.abort', 'a.tpcAbort'],
      'b.tpcAbort~',
      ...['c.tpcAbort', 'c.tpcAbort.'],
    ]);
  });

  test('in finish tells every data manager to undo, which those that have finished must ignore', async () => {
    const log: string[] = [];
    const transaction = new Transaction();
    transaction.join(new Recorder('a', log));
    transaction.join(new Both('b', log, { fails: ['tpcFinish'] }));
    const reported = await swallowedIn(async () => {
      expect(await rejectionOf(transaction.commitAsync())).toEqual(new Fault('b.tpcFinish'));
    });
    expect(reported).toEqual(['tpcFinish(): resources may now disagree: fault: b.tpcFinish']);
    expect(log.slice(-4)).toEqual(['a.tpcFinish', 'b.tpcFinish~', 'a.tpcAbort', 'b.tpcAbort~']);
  });

  test('waits for its clean-up, whose failures are reported', async () => {
    const log: string[] = [];
    const transaction = new Transaction();
    transaction.join(new Both('b', log, { fails: ['commit', 'abort', 'tpcAbort'] }));
    const reported = await swallowedIn(async () => {
      expect(await rejectionOf(transaction.commitAsync())).toEqual(new Fault('b.commit'));
    });
    expect(reported).toEqual(['abort(): fault: b.abort', 'tpcAbort(): fault: b.tpcAbort']);
    expect(transaction.pending).toBeNull();
  });
});

describe('a synchronous commit', () => {
  test('refuses asynchronous data managers by name before anything happens, and the transaction goes on', async () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    manager.get().join(new Recorder('a', log));
    manager.get().join(slow('c', log));
    manager.get().addBeforeCommitHook(() => log.push('hook'));
    const error = thrownBy(() => {
      manager.commit();
    });
    expect(error).toBeInstanceOf(AsyncRequiredError);
    expect((error as Error).message).toMatch(/^Recorder works asynchronously only/);
    expect(log).toEqual([]);
    await manager.commitAsync();
    expect(log.at(-1)).toBe('c.tpcFinish.');
  });

  test('refuses one that joins in a before-commit hook before two-phase commit starts', () => {
    const log: string[] = [];
    const transaction = new Transaction();
    transaction.join(new Recorder('a', log));
    transaction.addBeforeCommitHook(() => {
      transaction.join(slow('c', log));
    });
    expect(() => {
      transaction.commit();
    }).toThrow(AsyncRequiredError);
    expect([log, transaction.status]).toEqual([[], 'Active']);
  });

  test('uses the plain steps of data managers that have both', () => {
    const log: string[] = [];
    const transaction = new Transaction();
    transaction.join(new Both('b', log));
    transaction.commit();
    expect(log).toEqual(steps('b', 'tpcBegin', 'commit', 'tpcVote', 'tpcFinish'));
  });

  test('fails and cleans up when a data manager returns a promise without having said so', () => {
    const log: string[] = [];
    const transaction = new Transaction();
    transaction.join(new Recorder('a', log));
    transaction.join(
      new Recorder('b', log, {
        result: (step) => (step === 'commit' ? Promise.reject(new Fault('nobody waits')) : undefined),
      }),
    );
    expect(() => {
      transaction.commit();
    }).toThrow(AsyncRequiredError);
    expect(log.slice(4)).toEqual(['a.abort', 'b.abort', 'a.tpcAbort', 'b.tpcAbort']);
    expect(transaction.status).toBe('Commit failed');
  });
});

describe('while a commitAsync() is under way', () => {
  test('the transaction refuses everything else, and says what to await', async () => {
    const manager = new TransactionManager();
    const transaction = manager.get();
    transaction.join(slow('c', []));
    const committing = transaction.commitAsync();
    expect(transaction.pending).toBeInstanceOf(Promise);
    for (const action of [
      () => transaction.commit(),
      () => transaction.abort(),
      () => transaction.doom(),
      () => transaction.savepoint(),
      () => transaction.join(new Recorder('x', [])),
      () => transaction[Symbol.dispose](),
      () => manager.begin(),
      () => manager.commit(),
      () => manager.abort(),
    ]) {
      expect(action).toThrow(/its commitAsync\(\) is still under way: await it/);
    }
    expect(await rejectionOf(transaction.commitAsync())).toMatchObject({ code: 'TRANSACTION_STATE' });
    expect(await rejectionOf(transaction.abortAsync())).toMatchObject({ code: 'TRANSACTION_STATE' });
    await committing;
    expect([transaction.status, transaction.pending]).toEqual(['Committed', null]);
    manager.begin();
  });

  test('further ones of the same manager wait for their turn', async () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    manager.get().join(slow('one', log));
    const first = manager.commitAsync();
    const second = manager.commitAsync();
    const third = (async () => {
      await first;
      manager.get().join(slow('two', log));
      await manager.commitAsync();
    })();
    await Promise.all([first, second, third]);
    const finished = log.filter((event) => event.endsWith('tpcFinish.'));
    expect(finished).toEqual(['one.tpcFinish.', 'two.tpcFinish.']);
    expect(log.indexOf('two.tpcBegin')).toBeGreaterThan(log.indexOf('one.tpcFinish.'));
  });

  test('a second one learns that the first has failed', async () => {
    const manager = new TransactionManager();
    manager.get().join(slow('one', [], { fails: ['tpcVote'] }));
    const [first, second] = await Promise.allSettled([manager.commitAsync(), manager.commitAsync()]);
    expect(first).toEqual({ status: 'rejected', reason: new Fault('one.tpcVote') });
    expect(second).toMatchObject({ status: 'rejected', reason: { code: 'TRANSACTION_FAILED' } });
    await manager.abortAsync();
  });

  test('an abortAsync() of the manager waits for it', async () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    manager.get().join(slow('one', log));
    await Promise.all([manager.commitAsync(), manager.abortAsync()]);
    expect(log.at(-1)).toBe('one.tpcFinish.');
  });

  test('await using waits for it', async () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    {
      await using transaction = manager.begin();
      transaction.join(slow('one', log));
      void transaction.commitAsync();
    }
    expect(log.at(-1)).toBe('one.tpcFinish.');
    {
      await using transaction = manager.begin();
      transaction.join(slow('two', log));
    }
    expect(log.slice(-2)).toEqual(['two.abort', 'two.abort.']);
  });
});

describe('abort of asynchronous data managers', () => {
  test('is waited for by abortAsync(), to the end, and the first error comes out', async () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    manager.get().join(new Both('b', log, { fails: ['abort'] }));
    manager.get().join(slow('c', log));
    manager.get().addBeforeAbortHook(() => turn().then(() => log.push('before')));
    const reported = await swallowedIn(async () => {
      expect(await rejectionOf(manager.abortAsync())).toEqual(new Fault('b.abort'));
    });
    expect(log).toEqual(['before', 'b.abort~', 'c.abort', 'c.abort.']);
    expect(reported).toEqual(['abort(): fault: b.abort']);
    expect(manager.current).toBeNull();
    await manager.abortAsync();
  });

  test('is started by abort(), and an error that comes later is reported', async () => {
    const log: string[] = [];
    const transaction = new Transaction();
    transaction.join(slow('c', log, { result: () => turn().then(() => Promise.reject(new Fault('later'))) }));
    const reported = await swallowedIn(async () => {
      transaction.abort();
      expect([log, transaction.ended]).toEqual([['c.abort'], true]);
      await turn();
      await turn();
    });
    expect(reported).toEqual(['abort(): fault: later']);
  });
});

/** A storage as others see it: a lock from tpcBegin to the end, and a number that nobody may count wrong. */
class Counter implements DataManager {
  static lock = new CommitLock('the counter');
  static value = 0;
  static inside = 0;
  readonly mode: 'sync' | 'both';
  readonly #read = Counter.value;
  readonly #meta = new TransactionMetaData();

  constructor(mode: 'sync' | 'both') {
    this.mode = mode;
  }
  abort(): void {}
  tpcBegin(): void {
    Counter.lock.acquire(this.#meta);
    this.#enter();
  }
  async tpcBeginAsync(): Promise<void> {
    await Counter.lock.acquireAsync(this.#meta);
    this.#enter();
    await turn();
  }
  commit(): void {
    if (this.#read !== Counter.value) throw Object.assign(new Fault('conflict'), { retryable: true });
  }
  tpcVote(): void {}
  tpcVoteAsync(): Promise<void> {
    return turn();
  }
  tpcFinish(): void {
    Counter.value += 1;
    this.#leave();
  }
  tpcAbort(): void {
    if (Counter.lock.holder === this.#meta) this.#leave();
  }
  sortKey(): string {
    return 'counter';
  }
  #enter(): void {
    Counter.inside += 1;
    if (Counter.inside !== 1) throw new Error('two commits are inside');
  }
  #leave(): void {
    Counter.inside -= 1;
    Counter.lock.release(this.#meta);
  }
}

test('commits of many contexts, with and without waiting, never meet inside a storage, and none is lost', async () => {
  Counter.value = 0;
  let turns = 0;
  let next = setImmediate(function again() {
    turns += 1;
    next = setImmediate(again);
  });
  const log: string[] = [];
  const tasks = Array.from({ length: 100 }, async (_, index) => {
    await new TransactionManager().run(
      async (transaction) => {
        await turn();
        if (index % 3 === 0) transaction.join(slow(`slow${index}`, log));
        transaction.join(new Counter(index % 2 === 0 ? 'both' : 'sync'));
        // A commit of this run's own, which can not wait: it is the retry that makes it succeed.
        if (index % 5 === 1 && index % 3 !== 0) transaction.commit();
      },
      { attempts: 1000, backoff: { baseMs: 1, maxMs: 8 } },
    );
  });
  await Promise.all(tasks);
  clearImmediate(next);
  expect(Counter.value).toBe(100);
  expect([Counter.lock.holder, Counter.inside]).toEqual([undefined, 0]);
  // How long others wait is measured in tasks.test.ts; here it is that they are not kept out.
  expect(turns).toBeGreaterThan(50);
});
