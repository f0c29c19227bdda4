import {
  InvalidSavepointRollbackError,
  SavepointsUnsupportedError,
  Transaction,
  TransactionFailedError,
  TransactionManager,
} from '../../src/transaction/index';
import { Fault, Recorder, SavepointRecorder, swallowedIn, thrownBy } from './recorder';

describe('a savepoint', () => {
  test('asks every data manager for its state in the order of joining, and goes back in that order', () => {
    const log: string[] = [];
    const transaction = new Transaction();
    for (const name of ['b', 'a']) transaction.join(new SavepointRecorder(name, log));
    const savepoint = transaction.savepoint();
    savepoint.rollback();
    savepoint.rollback();
    expect(log).toEqual([
      ...['b.savepoint', 'a.savepoint'],
      ...['b.rollback 1', 'a.rollback 1'],
      ...['b.rollback 1', 'a.rollback 1'],
    ]);
    expect(savepoint.valid).toBe(true);
  });

  test('of nothing is one', () => {
    const savepoint = new Transaction().savepoint();
    expect(savepoint.valid).toBe(true);
    savepoint.rollback();
  });

  test('ends with the rollback to an earlier one, but not with that to a later one', () => {
    const transaction = new Transaction();
    const [one, two, three] = [transaction.savepoint(), transaction.savepoint(), transaction.savepoint()];
    three.rollback();
    two.rollback();
    expect([one.valid, two.valid, three.valid]).toEqual([true, true, false]);
    const four = transaction.savepoint();
    one.rollback();
    expect([one.valid, two.valid, three.valid, four.valid]).toEqual([true, false, false, false]);
    expect(
      thrownBy(() => {
        four.rollback();
      }),
    ).toBeInstanceOf(InvalidSavepointRollbackError);
    expect(transaction.status).toBe('Active');
    const five = transaction.savepoint();
    expect([one.valid, four.valid, five.valid]).toEqual([true, false, true]);
  });

  test.each(['commit', 'abort'] as const)('ends with %s', (how) => {
    const transaction = new Transaction();
    const savepoint = transaction.savepoint();
    transaction[how]();
    expect(savepoint.valid).toBe(false);
    expect(() => {
      savepoint.rollback();
    }).toThrow(InvalidSavepointRollbackError);
  });

  test('ends with a commit that a hook stopped, and another can be made', () => {
    const transaction = new Transaction();
    const before = transaction.savepoint();
    transaction.addBeforeCommitHook(() => {
      throw new Fault('hook');
    });
    expect(() => {
      transaction.commit();
    }).toThrow(Fault);
    expect(before.valid).toBe(false);
    expect(transaction.savepoint().valid).toBe(true);
  });

  test('whose rollback fails fails the transaction', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    const earlier = manager.savepoint();
    manager.get().join(new SavepointRecorder('a', log, { fails: ['rollback'] }));
    manager.get().join(new SavepointRecorder('b', log));
    const savepoint = manager.savepoint();
    const error = thrownBy(() => {
      savepoint.rollback();
    });
    expect(error).toEqual(new Fault('a.rollback'));
    expect(log).toEqual(['a.savepoint', 'b.savepoint', 'a.rollback 1']);
    for (const action of [() => earlier.rollback(), () => manager.savepoint(), () => manager.commit()]) {
      expect(thrownBy(action)).toMatchObject({ code: 'TRANSACTION_FAILED', cause: error });
    }
    manager.abort();
  });

  test('that can not be made fails the transaction, with the clean-up of a commit that nobody voted in', async () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    manager.get().join(new SavepointRecorder('b', log, { fails: ['savepoint'] }));
    manager.get().join(new SavepointRecorder('a', log, { fails: ['tpcAbort'] }));
    const reported = await swallowedIn(() => {
      expect(() => manager.savepoint()).toThrow(new Fault('b.savepoint'));
    });
    expect(log).toEqual(['b.savepoint', 'b.abort', 'a.abort', 'b.tpcAbort', 'a.tpcAbort']);
    expect(reported).toEqual(['tpcAbort(): fault: a.tpcAbort']);
    expect(() => {
      manager.commit();
    }).toThrow(TransactionFailedError);
    manager.abort();
  });
});

describe('beforeSavepoint() of synchronizers', () => {
  test('is called before a savepoint is made or gone back to, and may let data managers join', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    let count = 0;
    const synchronizer = {
      newTransaction: () => undefined,
      beforeCompletion: () => undefined,
      afterCompletion: () => undefined,
      beforeSavepoint: (transaction: Transaction) => {
        log.push('beforeSavepoint');
        transaction.join(new SavepointRecorder(`found${(count += 1)}`, log));
      },
    };
    manager.registerSynch(synchronizer);
    const savepoint = manager.savepoint();
    savepoint.rollback();
    expect(log).toEqual([
      ...['beforeSavepoint', 'found1.savepoint'],
      ...['beforeSavepoint', 'found1.rollback 1', 'found2.abort'],
    ]);
  });
});

describe('a data manager without savepoints', () => {
  test('makes a savepoint impossible, by name', () => {
    const manager = new TransactionManager();
    const plain = new Recorder('a', []);
    manager.get().join(plain);
    const error = thrownBy(() => manager.savepoint()) as SavepointsUnsupportedError;
    expect(error).toBeInstanceOf(SavepointsUnsupportedError);
    expect(error.dataManager).toBe(plain);
    expect(error.message).toMatch(/^Recorder has no savepoints/);
    expect(manager.get().status).toBe('Commit failed');
  });

  test('fails an optimistic savepoint only when it is rolled back', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    manager.get().join(new SavepointRecorder('a', log));
    manager.get().join(new Recorder('b', log));
    const savepoint = manager.savepoint({ optimistic: true });
    expect(() => {
      savepoint.rollback();
    }).toThrow(SavepointsUnsupportedError);
    expect(log).toEqual(['a.savepoint', 'a.rollback 1']);
    expect(() => {
      manager.commit();
    }).toThrow(TransactionFailedError);
  });

  test('commits after an optimistic savepoint', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    manager.get().join(new Recorder('b', log));
    manager.savepoint({ optimistic: true });
    manager.commit();
    expect(log.at(-1)).toBe('b.tpcFinish');
  });
});

describe('a data manager that joins after a savepoint', () => {
  test('is aborted and leaves the transaction by the rollback, after those who were there', () => {
    const log: string[] = [];
    const transaction = new Transaction();
    transaction.join(new SavepointRecorder('first', log));
    const savepoint = transaction.savepoint();
    transaction.join(new Recorder('late', log));
    transaction.join(new Recorder('later', log));
    log.length = 0;
    savepoint.rollback();
    expect(log).toEqual(['first.rollback 1', 'late.abort', 'later.abort']);
    expect(transaction.dataManagers).toHaveLength(1);
    log.length = 0;
    transaction.commit();
    expect(log).toEqual(['first.tpcBegin', 'first.commit', 'first.tpcVote', 'first.tpcFinish']);
  });

  test('takes part in the commit when it joins again', () => {
    const log: string[] = [];
    const transaction = new Transaction();
    const savepoint = transaction.savepoint();
    const manager = new Recorder('late', log);
    transaction.join(manager);
    savepoint.rollback();
    transaction.join(manager);
    transaction.commit();
    expect(log).toEqual(['late.abort', 'late.tpcBegin', 'late.commit', 'late.tpcVote', 'late.tpcFinish']);
  });

  test('stays when the rollback goes to a savepoint made after it joined', () => {
    const log: string[] = [];
    const transaction = new Transaction();
    const before = transaction.savepoint();
    transaction.join(new SavepointRecorder('a', log));
    const after = transaction.savepoint();
    after.rollback();
    expect(log).toEqual(['a.savepoint', 'a.rollback 1']);
    before.rollback();
    expect(log.slice(2)).toEqual(['a.abort']);
    expect(transaction.dataManagers).toEqual([]);
  });

  test('fails the transaction when it can not be aborted', () => {
    const transaction = new Transaction();
    const savepoint = transaction.savepoint();
    transaction.join(new Recorder('late', [], { fails: ['abort'] }));
    expect(() => {
      savepoint.rollback();
    }).toThrow(new Fault('late.abort'));
    expect(transaction.status).toBe('Commit failed');
  });
});

test('savepoints that nobody holds are let go of with their states, while the transaction goes on', async () => {
  const transaction = new Transaction();
  const states: WeakRef<object>[] = [];
  transaction.join(
    Object.assign(new Recorder('a', []), {
      savepoint: () => {
        const state = { rollback: () => undefined };
        states.push(new WeakRef(state));
        return state;
      },
    }),
  );
  for (let index = 0; index < 100; index += 1) transaction.savepoint();
  const { setFlagsFromString } = await import('node:v8');
  const { runInNewContext } = await import('node:vm');
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const held = (): number => states.filter((state) => state.deref() !== undefined).length;
  for (let round = 0; round < 200 && held() > 1; round += 1) {
    // What was looked at is kept until the end of the job.
    await new Promise((resolve) => setTimeout(resolve, 5));
    gc();
  }
  expect(states.length).toBe(100);
  expect(held()).toBeLessThanOrEqual(1);
  transaction.commit();
});
