import {
  AsyncRequiredError,
  Transaction,
  TransactionManager,
  TransactionStateError,
} from '../../src/transaction/index';
import { Fault, Recorder, swallowedIn } from './recorder';

type Moment = 'BeforeCommit' | 'AfterCommit' | 'BeforeAbort' | 'AfterAbort';

const moments: Moment[] = ['BeforeCommit', 'AfterCommit', 'BeforeAbort', 'AfterAbort'];

function add(
  transaction: Transaction,
  moment: Moment,
  hook: (...args: unknown[]) => unknown,
  ...args: unknown[]
): void {
  transaction[`add${moment}Hook`](hook, ...args);
}

function end(transaction: Transaction, moment: Moment): void {
  if (moment.endsWith('Commit')) transaction.commit();
  else transaction.abort();
}

describe.each(moments)('hooks at the moment %s', (moment) => {
  const outcome = moment === 'AfterCommit' ? [true] : [];

  test('are listed with their arguments in the order of adding, and called so, once', () => {
    const transaction = new Transaction();
    const calls: unknown[][] = [];
    const first = (...args: unknown[]): void => void calls.push(['first', ...args]);
    const second = (...args: unknown[]): void => void calls.push(['second', ...args]);
    expect([...transaction[`get${moment}Hooks`]()]).toEqual([]);
    add(transaction, moment, first);
    add(transaction, moment, second, 1, { two: 2 });
    add(transaction, moment, first, 'again');
    expect([...transaction[`get${moment}Hooks`]()]).toEqual([
      { hook: first, args: [] },
      { hook: second, args: [1, { two: 2 }] },
      { hook: first, args: ['again'] },
    ]);
    end(transaction, moment);
    expect(calls).toEqual([
      ['first', ...outcome],
      ['second', ...outcome, 1, { two: 2 }],
      ['first', ...outcome, 'again'],
    ]);
    expect([...transaction[`get${moment}Hooks`]()]).toEqual([]);
  });

  test('may add hooks, which are called too', () => {
    const transaction = new Transaction();
    const calls: number[] = [];
    const recurse = (count: number): void => {
      calls.push(count);
      if (count < 3) add(transaction, moment, () => recurse(count + 1));
    };
    add(transaction, moment, () => recurse(1));
    end(transaction, moment);
    expect(calls).toEqual([1, 2, 3]);
  });

  test('are not called by the other way to end', () => {
    const transaction = new Transaction();
    let called = false;
    add(transaction, moment, () => {
      called = true;
    });
    end(transaction, moment.endsWith('Commit') ? 'BeforeAbort' : 'BeforeCommit');
    expect(called).toBe(false);
  });

  test('can not be added once the transaction has ended', () => {
    const transaction = new Transaction();
    end(transaction, moment);
    expect(() => {
      add(transaction, moment, () => undefined);
    }).toThrow(TransactionStateError);
  });
});

describe('a before-commit hook that fails', () => {
  test('stops the commit before it starts, keeps later hooks from being called, and leaves the transaction usable', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    const transaction = manager.get();
    transaction.join(new Recorder('a', log));
    transaction.addBeforeCommitHook(() => log.push('one'));
    transaction.addBeforeCommitHook(() => {
      throw new Fault('hook');
    });
    transaction.addBeforeCommitHook(() => log.push('three'));
    transaction.addAfterCommitHook(() => log.push('after'));
    expect(() => {
      manager.commit();
    }).toThrow(new Fault('hook'));
    expect(log).toEqual(['one']);
    expect([...transaction.getBeforeCommitHooks()]).toEqual([]);
    expect(transaction.status).toBe('Active');
    expect(manager.current).toBe(transaction);
    manager.abort();
    expect(log).toEqual(['one', 'a.abort']);
  });
});

describe.each<[Moment, string]>([
  ['AfterCommit', 'after-commit hook'],
  ['BeforeAbort', 'before-abort hook'],
  ['AfterAbort', 'after-abort hook'],
])('an error in a hook at the moment %s', (moment, kind) => {
  test('is reported, and neither keeps later hooks from being called nor comes out', async () => {
    const log: string[] = [];
    const transaction = new Transaction();
    add(transaction, moment, () => {
      throw new Fault('hook');
    });
    add(transaction, moment, () => log.push('second'));
    const reported = await swallowedIn(() => {
      end(transaction, moment);
    });
    expect(reported).toEqual([`${kind}: fault: hook`]);
    expect(log).toEqual(['second']);
    expect(transaction.ended).toBe(true);
  });

  test('is reported as well when it comes out of a promise that nobody waits for', async () => {
    const transaction = new Transaction();
    add(transaction, moment, () => Promise.reject(new Fault('later')));
    const reported = await swallowedIn(async () => {
      end(transaction, moment);
      await Promise.resolve();
    });
    expect(reported).toEqual([`${kind}: fault: later`]);
  });
});

describe('what hooks leave behind', () => {
  test('an after-commit hook hears of a failure, and resources are aborted after it', () => {
    const log: string[] = [];
    const transaction = new Transaction();
    transaction.join(new Recorder('a', log, { fails: ['commit'] }));
    transaction.addAfterCommitHook(
      (success, ...args: unknown[]) => log.push(`after ${success} ${args.join()}`),
      1,
      2,
    );
    expect(() => {
      transaction.commit();
    }).toThrow(Fault);
    expect(log.slice(-2)).toEqual(['after false 1,2', 'a.abort']);
  });

  test('errors of those aborts are reported', async () => {
    const transaction = new Transaction();
    transaction.join(new Recorder('a', [], { fails: ['abort'] }));
    transaction.addAfterCommitHook(() => undefined);
    expect(
      await swallowedIn(() => {
        transaction.commit();
      }),
    ).toEqual(['abort(): fault: a.abort']);
    expect(transaction.status).toBe('Committed');
  });

  test('resources that join in abort hooks are aborted', () => {
    const log: string[] = [];
    const transaction = new Transaction();
    transaction.addBeforeAbortHook(() => {
      transaction.join(new Recorder('before', log));
    });
    transaction.addAfterAbortHook(() => {
      transaction.join(new Recorder('after', log));
    });
    transaction.abort();
    expect(log).toEqual(['before.abort', 'before.abort', 'after.abort']);
  });

  test('nothing can be joined in an after-commit hook of a commit', async () => {
    const transaction = new Transaction();
    transaction.addAfterCommitHook(() => {
      transaction.join(new Recorder('late', []));
    });
    const reported = await swallowedIn(() => {
      transaction.commit();
    });
    expect(reported).toEqual([
      "after-commit hook: Can't join in this transaction: it was committed: begin a new one.",
    ]);
  });

  test('an after-commit hook may begin the next transaction', () => {
    const manager = new TransactionManager();
    let next: Transaction | undefined;
    manager.get().addAfterCommitHook(() => {
      next = manager.begin();
    });
    manager.commit();
    expect(manager.current).toBe(next);
  });

  test('an after-commit hook may abort the transaction that failed', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    manager.get().join(new Recorder('a', log, { fails: ['tpcVote'] }));
    manager.get().addAfterCommitHook((success) => {
      if (!success) manager.abort();
    });
    expect(() => {
      manager.commit();
    }).toThrow(Fault);
    expect(manager.current).toBeNull();
  });
});

describe('a hook that returns a promise', () => {
  test('before a synchronous commit is refused, and nothing is committed', () => {
    const log: string[] = [];
    const transaction = new Transaction();
    transaction.join(new Recorder('a', log));
    transaction.addBeforeCommitHook(() => Promise.reject(new Fault('nobody waits')));
    expect(() => {
      transaction.commit();
    }).toThrow(AsyncRequiredError);
    expect(log).toEqual([]);
    expect(transaction.status).toBe('Active');
  });
});
