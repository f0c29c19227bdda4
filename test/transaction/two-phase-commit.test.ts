import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import {
  DoomedTransaction,
  Transaction,
  type TransactionEvent,
  TransactionFailedError,
  TransactionManager,
  TransactionStateError,
  TransactionStatus,
} from '../../src/transaction/index';
import { Fault, Recorder, type Step, swallowedIn, SynchronizerRecorder, thrownBy } from './recorder';

function joined(log: string[], fails: Partial<Record<'a' | 'b' | 'c', Step[]>> = {}): TransactionManager {
  const manager = new TransactionManager();
  for (const name of ['c', 'a', 'b'] as const) {
    manager.get().join(new Recorder(name, log, { fails: fails[name] ?? [] }));
  }
  return manager;
}

describe('a commit', () => {
  test('begins, writes, votes and finishes all data managers, each phase in the order of sort keys', () => {
    const log: string[] = [];
    joined(log).commit();
    expect(log).toEqual([
      ...['a.tpcBegin', 'b.tpcBegin', 'c.tpcBegin'],
      ...['a.commit', 'b.commit', 'c.commit'],
      ...['a.tpcVote', 'b.tpcVote', 'c.tpcVote'],
      ...['a.tpcFinish', 'b.tpcFinish', 'c.tpcFinish'],
    ]);
  });

  test('keeps the order of joining for equal sort keys', () => {
    const log: string[] = [];
    const transaction = new Transaction();
    for (const name of ['z', 'y', 'x']) transaction.join(new Recorder(name, log, { sortKey: 'same' }));
    transaction.commit();
    expect(log.slice(0, 3)).toEqual(['z.tpcBegin', 'y.tpcBegin', 'x.tpcBegin']);
  });

  test('goes through hooks, synchronizers and two-phase commit in the documented order and is current to the end', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    const synchronizer = new SynchronizerRecorder('s', log);
    manager.registerSynch(synchronizer);
    const transaction = manager.begin();
    const where = (what: string) => (): void => {
      log.push(`${what} ${transaction.status} ${manager.current === transaction ? 'current' : 'free'}`);
    };
    transaction.addBeforeCommitHook(where('before'));
    transaction.addAfterCommitHook(where('after'));
    transaction.addBeforeAbortHook(where('before abort'));
    transaction.addAfterAbortHook(where('after abort'));
    transaction.join(new Recorder('a', log));
    manager.commit();
    expect(log).toEqual([
      's.newTransaction',
      'before Active current',
      's.beforeCompletion',
      'a.tpcBegin',
      'a.commit',
      'a.tpcVote',
      'a.tpcFinish',
      's.afterCompletion Committed',
      'after Committed current',
      'a.abort',
    ]);
    expect(manager.current).toBeNull();
    expect(transaction).toMatchObject({ status: TransactionStatus.COMMITTED, ended: true });
  });

  test('shows its status to data managers as Committing, and refuses everything in them', () => {
    const manager = new TransactionManager();
    const seen: unknown[] = [];
    const attempts = (transaction: Transaction) => {
      seen.push(transaction.status);
      for (const action of [
        () => transaction.join(new Recorder('x', [])),
        () => transaction.commit(),
        () => transaction.abort(),
        () => transaction.doom(),
        () => transaction.savepoint(),
      ]) {
        seen.push((thrownBy(action) as TransactionStateError).code);
      }
    };
    const recorder = new Recorder('a', []);
    recorder.tpcVote = (transaction) => {
      attempts(transaction);
    };
    manager.get().join(recorder);
    manager.commit();
    expect(seen).toEqual(['Committing', ...Array<string>(5).fill('TRANSACTION_STATE')]);
  });

  test('lets data managers join in before-commit hooks and in beforeCompletion', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    const synchronizer = new SynchronizerRecorder('s', log);
    synchronizer.beforeCompletion = () => {
      manager.get().join(new Recorder('late', log));
    };
    manager.registerSynch(synchronizer);
    const transaction = manager.begin();
    transaction.addBeforeCommitHook(() => {
      transaction.join(new Recorder('hooked', log));
    });
    log.length = 0;
    manager.commit();
    expect(log.filter((event) => event.endsWith('tpcFinish'))).toEqual([
      'hooked.tpcFinish',
      'late.tpcFinish',
    ]);
  });

  test('lets go of data managers, hooks and data', () => {
    const transaction = new Transaction();
    transaction.join(new Recorder('a', []));
    transaction.setData('key', 1);
    transaction.addAfterAbortHook(() => undefined);
    transaction.commit();
    expect(transaction.dataManagers).toEqual([]);
    expect(transaction.hasData('key')).toBe(false);
    expect([...transaction.getAfterAbortHooks()]).toEqual([]);
  });

  test('of a transaction that has ended is refused', () => {
    const committed = new Transaction();
    committed.commit();
    expect(() => {
      committed.commit();
    }).toThrow("Can't commit in this transaction: it was committed: begin a new one.");
    const aborted = new Transaction();
    aborted.abort();
    expect(() => {
      aborted.commit();
    }).toThrow("Can't commit in this transaction: it was aborted: begin a new one.");
    expect(aborted.status).toBe('Active');
    expect(() => {
      aborted.join(new Recorder('a', []));
    }).toThrow(TransactionStateError);
  });
});

describe('a commit that fails', () => {
  const begins = ['a.tpcBegin', 'b.tpcBegin', 'c.tpcBegin'];
  const commits = ['a.commit', 'b.commit', 'c.commit'];
  const votes = ['a.tpcVote', 'b.tpcVote', 'c.tpcVote'];
  const aborts = ['a.abort', 'b.abort', 'c.abort'];
  const tpcAborts = ['a.tpcAbort', 'b.tpcAbort', 'c.tpcAbort'];

  test.each<[Step, string[]]>([
    ['tpcBegin', ['a.tpcBegin', 'b.tpcBegin', ...aborts, ...tpcAborts]],
    ['commit', [...begins, 'a.commit', 'b.commit', ...aborts, ...tpcAborts]],
    ['tpcVote', [...begins, ...commits, 'a.tpcVote', 'b.tpcVote', 'b.abort', 'c.abort', ...tpcAborts]],
    ['tpcFinish', [...begins, ...commits, ...votes, 'a.tpcFinish', 'b.tpcFinish', ...tpcAborts]],
  ])('in %s cleans up with exactly these calls', async (step, expected) => {
    const log: string[] = [];
    const manager = joined(log, { b: [step] });
    const transaction = manager.get();
    const reported = await swallowedIn(() => {
      expect(() => {
        manager.commit();
      }).toThrow(new Fault(`b.${step}`));
    });
    expect(log).toEqual(expected);
    expect(transaction.status).toBe(TransactionStatus.COMMIT_FAILED);
    expect(manager.current).toBe(transaction);
    expect(reported).toEqual(
      step === 'tpcFinish' ? ['tpcFinish(): resources may now disagree: fault: b.tpcFinish'] : [],
    );
  });

  test('goes on cleaning up when that fails too, reports it, and throws the first error', async () => {
    const log: string[] = [];
    const manager = joined(log, { a: ['tpcVote', 'abort', 'tpcAbort'], c: ['abort', 'tpcAbort'] });
    const reported = await swallowedIn(() => {
      expect(() => {
        manager.commit();
      }).toThrow(new Fault('a.tpcVote'));
    });
    expect(log.slice(7)).toEqual([...aborts, ...tpcAborts]);
    expect(reported).toEqual([
      'abort(): fault: a.abort',
      'abort(): fault: c.abort',
      'tpcAbort(): fault: a.tpcAbort',
      'tpcAbort(): fault: c.tpcAbort',
    ]);
  });

  test('in sortKey fails before anything has begun', () => {
    const log: string[] = [];
    const manager = joined(log);
    const odd = new Recorder('odd', log);
    odd.sortKey = () => {
      throw new Fault('odd.sortKey');
    };
    manager.get().join(odd);
    expect(() => {
      manager.commit();
    }).toThrow(new Fault('odd.sortKey'));
    expect(log).toEqual([]);
    expect(manager.get().status).toBe('Commit failed');
    manager.abort();
    expect(log).toEqual(['c.abort', 'a.abort', 'b.abort', 'odd.abort']);
  });

  test('tells synchronizers and after-commit hooks, then refuses all but an abort, with the first failure as cause', () => {
    const log: string[] = [];
    const manager = joined(log, { a: ['commit'] });
    const synchronizer = new SynchronizerRecorder('s', log);
    manager.registerSynch(synchronizer);
    const transaction = manager.get();
    transaction.addAfterCommitHook((success) => log.push(`after ${success}`));
    const savepoint = transaction.savepoint({ optimistic: true });
    log.length = 0;
    const first = thrownBy(() => {
      manager.commit();
    });
    expect(log.slice(-6)).toEqual([
      'c.tpcAbort',
      's.afterCompletion Commit failed',
      'after false',
      'c.abort',
      'a.abort',
      'b.abort',
    ]);
    expect(transaction.failure).toBe(first);
    for (const action of [
      () => manager.commit(),
      () => transaction.join(new Recorder('x', log)),
      () => transaction.savepoint(),
      () => transaction.doom(),
    ]) {
      const error = thrownBy(action) as TransactionFailedError;
      expect(error).toBeInstanceOf(TransactionFailedError);
      expect(error.cause).toBe(first);
    }
    expect(savepoint.valid).toBe(false);
    manager.abort();
    expect(manager.current).toBeNull();
    manager.commit();
  });

  test('is over with the next begin()', () => {
    const manager = joined([], { a: ['tpcVote'] });
    expect(() => {
      manager.commit();
    }).toThrow(Fault);
    const next = manager.begin();
    expect(next.status).toBe('Active');
    manager.commit();
  });

  test('reports errors of afterCompletion without letting them hide the outcome', async () => {
    const manager = new TransactionManager();
    const log: string[] = [];
    const first = new SynchronizerRecorder('s', log, ['afterCompletion']);
    const second = new SynchronizerRecorder('t', log);
    manager.registerSynch(first);
    manager.registerSynch(second);
    const reported = await swallowedIn(() => {
      manager.commit();
    });
    expect(reported).toEqual(['afterCompletion(): fault: s.afterCompletion']);
    expect(log.slice(-2)).toEqual(['s.afterCompletion Committed', 't.afterCompletion Committed']);
    expect(manager.current).toBeNull();
  });

  test('is a process warning where nobody listens for what was passed over', () => {
    // Jest gives tests a process object of their own, on which warnings never arrive.
    const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    try {
      const manager = joined([], { a: ['tpcVote', 'tpcAbort'] });
      expect(() => {
        manager.commit();
      }).toThrow(Fault);
      expect(emitWarning.mock.calls).toEqual([
        [
          'An error in tpcAbort() was passed over: Fault: fault: a.tpcAbort',
          expect.objectContaining({ type: 'ZodbTransactionWarning', code: 'ZODB_TRANSACTION_ERROR' }),
        ],
      ]);
    } finally {
      emitWarning.mockRestore();
    }
  });
});

describe('an abort', () => {
  test('aborts data managers in the order of joining, and is no longer current when synchronizers hear of the end', () => {
    const log: string[] = [];
    const manager = joined(log);
    const transaction = manager.get();
    const synchronizer = new SynchronizerRecorder('s', log);
    manager.registerSynch(synchronizer);
    const where = (what: string) => (): void => {
      log.push(`${what} ${manager.current === transaction ? 'current' : 'free'}`);
    };
    const after = synchronizer.afterCompletion.bind(synchronizer);
    synchronizer.afterCompletion = (txn: Transaction) => {
      after(txn);
      where('afterCompletion')();
    };
    transaction.addBeforeAbortHook(where('before'));
    transaction.addAfterAbortHook(where('after'));
    transaction.addBeforeCommitHook(where('before commit'));
    transaction.addAfterCommitHook(where('after commit'));
    log.length = 0;
    manager.abort();
    expect(log).toEqual([
      'before current',
      's.beforeCompletion',
      ...['c.abort', 'a.abort', 'b.abort'],
      'after current',
      ...['c.abort', 'a.abort', 'b.abort'],
      's.afterCompletion Active',
      'afterCompletion free',
    ]);
    expect(transaction).toMatchObject({ status: 'Active', ended: true });
  });

  test('runs to its end when data managers fail, and throws the first error', async () => {
    const log: string[] = [];
    const manager = joined(log, { a: ['abort'], b: ['abort'] });
    const reported = await swallowedIn(() => {
      expect(() => {
        manager.abort();
      }).toThrow(new Fault('a.abort'));
    });
    expect(log).toEqual(['c.abort', 'a.abort', 'b.abort']);
    expect(reported).toEqual(['abort(): fault: a.abort', 'abort(): fault: b.abort']);
    expect(manager.current).toBeNull();
  });

  test('runs to its end when synchronizers fail, and throws the first error', async () => {
    const log: string[] = [];
    const manager = joined(log);
    const synchronizers = [
      new SynchronizerRecorder('s', log, ['beforeCompletion', 'afterCompletion']),
      new SynchronizerRecorder('t', log),
    ];
    for (const synchronizer of synchronizers) manager.registerSynch(synchronizer);
    log.length = 0;
    await swallowedIn(() => {
      expect(() => {
        manager.abort();
      }).toThrow(new Fault('s.beforeCompletion'));
    });
    expect(log).toEqual([
      ...['s.beforeCompletion', 't.beforeCompletion'],
      ...['c.abort', 'a.abort', 'b.abort'],
      ...['s.afterCompletion Active', 't.afterCompletion Active'],
    ]);
    expect(manager.current).toBeNull();
  });

  test('twice, or after a commit, does nothing', () => {
    const log: string[] = [];
    const manager = joined(log);
    const transaction = manager.get();
    transaction.abort();
    log.length = 0;
    transaction.abort();
    const committed = manager.begin();
    committed.join(new Recorder('x', log));
    committed.commit();
    log.length = 0;
    committed.abort();
    expect(log).toEqual([]);
    expect(committed.status).toBe('Committed');
  });
});

describe('a doomed transaction', () => {
  test('takes data managers and savepoints, refuses to commit, and can be aborted', () => {
    const log: string[] = [];
    const manager = joined(log);
    manager.doom();
    manager.doom();
    expect(manager.isDoomed()).toBe(true);
    expect(manager.get().status).toBe('Doomed');
    manager.get().join(new Recorder('x', log));
    manager.savepoint({ optimistic: true });
    expect(() => {
      manager.commit();
    }).toThrow(DoomedTransaction);
    expect(log).toEqual([]);
    manager.abort();
    expect(log).toEqual(['c.abort', 'a.abort', 'b.abort', 'x.abort']);
    expect(manager.isDoomed()).toBe(false);
  });

  test('stays uncommitted when a before-commit hook dooms it', () => {
    const log: string[] = [];
    const manager = joined(log);
    manager.get().addBeforeCommitHook(() => {
      manager.doom();
    });
    expect(() => {
      manager.commit();
    }).toThrow(DoomedTransaction);
    expect(log).toEqual([]);
    manager.abort();
  });

  test('can not be made of one that was committed or has failed', () => {
    const committed = new Transaction();
    committed.commit();
    expect(() => {
      committed.doom();
    }).toThrow(TransactionStateError);
    const manager = joined([], { a: ['commit'] });
    expect(() => {
      manager.commit();
    }).toThrow(Fault);
    expect(() => {
      manager.doom();
    }).toThrow(TransactionFailedError);
  });
});

describe('using', () => {
  test('aborts what was not committed at the end of the block', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    {
      using transaction = manager.begin();
      transaction.join(new Recorder('a', log));
    }
    expect(log).toEqual(['a.abort']);
    log.length = 0;
    {
      using transaction = manager.begin();
      transaction.join(new Recorder('a', log));
      transaction.commit();
    }
    expect(log).toEqual(['a.tpcBegin', 'a.commit', 'a.tpcVote', 'a.tpcFinish']);
  });

  test('aborts when the block is left by an error', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    expect(() => {
      using transaction = manager.begin();
      transaction.join(new Recorder('a', log));
      throw new Fault('block');
    }).toThrow('fault: block');
    expect(log).toEqual(['a.abort']);
  });
});

test('begins, ends and failures are published on the channel zodb:transaction', () => {
  const seen: string[] = [];
  const listener = (message: unknown): void => {
    const { event, transaction } = message as TransactionEvent;
    seen.push(`${event} ${transaction.description}`);
  };
  subscribe('zodb:transaction', listener);
  try {
    const manager = joined([], { a: ['commit'] });
    manager.get().note('failing');
    expect(() => {
      manager.commit();
    }).toThrow(Fault);
    manager.begin().note('fine');
    manager.commit();
  } finally {
    unsubscribe('zodb:transaction', listener);
  }
  expect(seen).toEqual(['begin ', 'fail failing', 'abort failing', 'begin ', 'commit fine']);
});
