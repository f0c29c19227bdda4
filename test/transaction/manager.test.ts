import { Worker } from 'node:worker_threads';
import { InvalidArgumentError } from '../../src/errors';
import {
  AlreadyInTransaction,
  NoTransaction,
  Transaction,
  TransactionManager,
  transaction,
} from '../../src/transaction/index';
import { Fault, Recorder, SavepointRecorder } from './recorder';

describe('an implicit transaction manager', () => {
  test('makes a transaction on demand and keeps it until it ends', () => {
    const manager = new TransactionManager();
    expect(manager.current).toBeNull();
    const first = manager.get();
    expect(first).toBeInstanceOf(Transaction);
    expect(manager.get()).toBe(first);
    manager.commit();
    expect(manager.current).toBeNull();
    const second = manager.get();
    expect(second).not.toBe(first);
    manager.abort();
    expect(manager.current).toBeNull();
  });

  test('aborts the current transaction by begin()', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    const first = manager.begin();
    first.join(new Recorder('a', log));
    const second = manager.begin();
    expect(log).toEqual(['a.abort']);
    expect(first.ended).toBe(true);
    expect(manager.current).toBe(second);
  });

  test('has begun nothing when that abort fails, and begins with the next call', () => {
    const manager = new TransactionManager();
    manager.get().join(new Recorder('a', [], { fails: ['abort'] }));
    const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    expect(() => manager.begin()).toThrow(Fault);
    emitWarning.mockRestore();
    expect(manager.current).toBeNull();
    expect(manager.begin().status).toBe('Active');
  });

  test('hands doom, isDoomed and savepoint to the current transaction', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    expect(manager.isDoomed()).toBe(false);
    manager.get().join(new SavepointRecorder('a', log));
    manager.savepoint().rollback();
    expect(log).toEqual(['a.savepoint', 'a.rollback 1']);
    manager.doom();
    expect(manager.isDoomed()).toBe(true);
    expect(manager.get().isDoomed()).toBe(true);
  });
});

describe('free()', () => {
  test('forgets the current transaction and refuses any other', () => {
    const manager = new TransactionManager();
    const current = manager.begin();
    expect(() => {
      manager.free(new Transaction());
    }).toThrow(InvalidArgumentError);
    manager.free(current);
    expect(manager.current).toBeNull();
    expect(() => {
      manager.free(current);
    }).toThrow(InvalidArgumentError);
  });
});

describe('an explicit transaction manager', () => {
  test('refuses everything but begin() when there is no transaction', () => {
    const manager = new TransactionManager({ explicit: true });
    for (const action of ['get', 'commit', 'abort', 'doom', 'isDoomed', 'savepoint'] as const) {
      expect(() => {
        manager[action]();
      }).toThrow(NoTransaction);
    }
  });

  test('refuses to begin when there is one', () => {
    const manager = new TransactionManager({ explicit: true });
    const current = manager.begin();
    expect(() => manager.begin()).toThrow(AlreadyInTransaction);
    expect(manager.get()).toBe(current);
    manager.commit();
    manager.begin();
    manager.abort();
    expect(() => manager.get()).toThrow(NoTransaction);
  });

  test('can become one at any time', () => {
    const manager = new TransactionManager();
    manager.get();
    manager.explicit = true;
    expect(() => manager.begin()).toThrow(AlreadyInTransaction);
  });

  test('runs functions, with a transaction each', () => {
    const manager = new TransactionManager({ explicit: true });
    expect(manager.run((current) => current === manager.get())).toBe(true);
    expect(manager.current).toBeNull();
  });
});

describe('the ambient transaction', () => {
  afterEach(() => {
    transaction.abort();
  });

  test('is that of one manager for the whole process', () => {
    const log: string[] = [];
    const begun = transaction.begin();
    expect(transaction.get()).toBe(begun);
    expect(transaction.manager.get()).toBe(begun);
    begun.join(new SavepointRecorder('a', log));
    transaction.savepoint().rollback();
    expect(transaction.isDoomed()).toBe(false);
    transaction.commit();
    expect(log.at(-1)).toBe('a.tpcFinish');
    transaction.doom();
    expect(transaction.isDoomed()).toBe(true);
    transaction.abort();
    expect(transaction.manager.current).toBeNull();
  });

  test('takes synchronizers', () => {
    const events: string[] = [];
    const synchronizer = {
      newTransaction: () => void events.push('new'),
      beforeCompletion: () => void events.push('before'),
      afterCompletion: () => void events.push('after'),
    };
    transaction.registerSynch(synchronizer);
    expect(transaction.registeredSynchs()).toBe(true);
    transaction.begin();
    transaction.commit();
    transaction.unregisterSynch(synchronizer);
    transaction.clearSynchs();
    expect(transaction.registeredSynchs()).toBe(false);
    expect(events).toEqual(['new', 'before', 'after']);
  });

  test('can be explicit', () => {
    transaction.manager.explicit = true;
    try {
      expect(() => transaction.get()).toThrow(NoTransaction);
      transaction.begin();
    } finally {
      transaction.manager.explicit = false;
    }
  });

  test('is the same one for a second copy of this package', () => {
    const mine = transaction.manager;
    let other: unknown;
    jest.isolateModules(() => {
      const copy = jest.requireActual<typeof import('../../src/transaction/index')>(
        '../../src/transaction/index',
      );
      expect(copy.transaction).not.toBe(transaction);
      other = copy.transaction.manager;
    });
    expect(other).toBe(mine);
  });

  test('is another one in each worker thread', async () => {
    // The thread shares no memory with this one, so its manager can only be its own; it is shown here that it works.
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads');
       const ts = require('typescript');
       require.extensions['.ts'] = (module, file) => module._compile(
         ts.transpileModule(require('node:fs').readFileSync(file, 'utf8'),
           { compilerOptions: { module: 'CommonJS', target: 'ES2022' } }).outputText, file);
       const { transaction } = require(${JSON.stringify(require.resolve('../../src/transaction/index'))});
       const log = [];
       transaction.get().addAfterCommitHook((success) => log.push(success));
       transaction.commit();
       parentPort.postMessage(log);`,
      { eval: true },
    );
    const before = transaction.get();
    const [message] = await new Promise<unknown[]>((resolve, reject) => {
      worker.once('message', (value) => resolve(value as unknown[]));
      worker.once('error', reject);
    });
    await worker.terminate();
    expect(message).toBe(true);
    expect(transaction.get()).toBe(before);
  });
});
