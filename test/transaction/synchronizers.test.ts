import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { TransactionManager } from '../../src/transaction/index';
import { Fault, SynchronizerRecorder } from './recorder';

async function collectGarbage(until: () => boolean): Promise<void> {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  for (let round = 0; round < 50 && !until(); round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    gc();
  }
}

describe('synchronizers', () => {
  test('hear of begin, but not of a transaction that get() makes', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    const synchronizer = new SynchronizerRecorder('s', log);
    manager.registerSynch(synchronizer);
    manager.get();
    expect(log).toEqual([]);
    manager.begin();
    expect(log).toEqual(['s.beforeCompletion', 's.afterCompletion Active', 's.newTransaction']);
  });

  test('see the new transaction as the current one', () => {
    const manager = new TransactionManager();
    const log: string[] = [];
    const synchronizer = new SynchronizerRecorder('s', log);
    let current: unknown;
    synchronizer.newTransaction = () => {
      current = manager.current;
    };
    manager.registerSynch(synchronizer);
    expect(manager.begin()).toBe(current);
  });

  test('that are registered late hear of the transaction at once', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    const early = new SynchronizerRecorder('early', log);
    manager.registerSynch(early);
    expect(log).toEqual([]);
    manager.begin();
    const late = new SynchronizerRecorder('late', log);
    manager.registerSynch(late);
    manager.commit();
    expect(log).toEqual([
      ...['early.newTransaction', 'late.newTransaction'],
      ...['early.beforeCompletion', 'late.beforeCompletion'],
      ...['early.afterCompletion Committed', 'late.afterCompletion Committed'],
    ]);
  });

  test('are registered once, and can be taken away one by one or all together', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    const [one, two] = [new SynchronizerRecorder('one', log), new SynchronizerRecorder('two', log)];
    manager.registerSynch(one);
    manager.registerSynch(one);
    manager.registerSynch(two);
    expect(manager.registeredSynchs()).toBe(true);
    manager.begin();
    expect(log).toEqual(['one.newTransaction', 'two.newTransaction']);
    manager.abort();
    manager.unregisterSynch(one);
    manager.unregisterSynch(one);
    log.length = 0;
    manager.begin();
    expect(log).toEqual(['two.newTransaction']);
    manager.clearSynchs();
    expect(manager.registeredSynchs()).toBe(false);
    manager.commit();
    expect(log).toHaveLength(1);
  });

  test('may come and go while they are called, which counts from the next event on', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    const newcomer = new SynchronizerRecorder('new', log);
    const two = new SynchronizerRecorder('two', log);
    const one = new SynchronizerRecorder('one', log);
    one.newTransaction = () => {
      manager.unregisterSynch(one);
      manager.unregisterSynch(two);
    };
    two.newTransaction = () => {
      log.push('two.newTransaction');
      manager.registerSynch(newcomer);
    };
    manager.registerSynch(one);
    manager.registerSynch(two);
    manager.begin();
    // Registering during a transaction tells the newcomer by itself, once.
    expect(log).toEqual(['two.newTransaction', 'new.newTransaction']);
    manager.commit();
    expect(log.slice(2)).toEqual(['new.beforeCompletion', 'new.afterCompletion Committed']);
  });

  test('stop a begin or a commit by an error', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    const synchronizer = new SynchronizerRecorder('s', log, ['beforeCompletion']);
    manager.registerSynch(synchronizer);
    const transaction = manager.begin();
    expect(() => {
      manager.commit();
    }).toThrow(new Fault('s.beforeCompletion'));
    expect(transaction.status).toBe('Active');
    expect(manager.current).toBe(transaction);
  });

  test('of one manager hear nothing of another', () => {
    const log: string[] = [];
    const [one, two] = [new TransactionManager(), new TransactionManager()];
    const synchronizer = new SynchronizerRecorder('s', log);
    one.registerSynch(synchronizer);
    two.begin();
    two.commit();
    expect(log).toEqual([]);
    expect(one.registeredSynchs()).toBe(true);
  });

  test('are held weakly', async () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    (() => {
      manager.registerSynch(new SynchronizerRecorder('forgotten', log));
    })();
    const kept = new SynchronizerRecorder('kept', log);
    manager.registerSynch(kept);
    const forgotten = (): boolean => {
      log.length = 0;
      manager.begin();
      manager.abort();
      return !log.includes('forgotten.newTransaction');
    };
    await collectGarbage(forgotten);
    expect(forgotten()).toBe(true);
    expect(log).toEqual(['kept.newTransaction', 'kept.beforeCompletion', 'kept.afterCompletion Active']);
    manager.unregisterSynch(kept);
    expect(manager.registeredSynchs()).toBe(false);
  });
});
