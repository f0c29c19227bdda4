/**
 * What transactions cost by themselves, over data managers that do nothing.
 *
 *     npm run bench -- transaction
 */
import { type DataManager, transaction, TransactionManager } from '../src/transaction/index';

class Nothing implements DataManager {
  readonly #key: string;
  constructor(key: string) {
    this.#key = key;
  }
  abort(): void {}
  tpcBegin(): void {}
  commit(): void {}
  tpcVote(): void {}
  tpcFinish(): void {}
  tpcAbort(): void {}
  sortKey(): string {
    return this.#key;
  }
  savepoint(): { rollback(): void } {
    return state;
  }
}
const state = { rollback: (): void => undefined };

const managers = Array.from({ length: 10 }, (_, index) => new Nothing(`manager ${9 - index}`));
const [first] = managers as [Nothing, ...Nothing[]];
const tm = new TransactionManager();
const watched = new TransactionManager();
const synchronizer = { newTransaction() {}, beforeCompletion() {}, afterCompletion() {} };
watched.registerSynch(synchronizer);
const body = (): void => undefined;
const asyncBody = async (): Promise<void> => undefined;

async function main(): Promise<void> {
  // tinybench is an ES module only.
  const { Bench } = await import('tinybench');
  const bench = new Bench({ time: 300, warmupTime: 100 });
  bench
    .add('empty commit', () => {
      tm.begin();
      tm.commit();
    })
    .add('empty commit, 1 synchronizer', () => {
      watched.begin();
      watched.commit();
    })
    .add('empty commitAsync', async () => {
      tm.begin();
      await tm.commitAsync();
    })
    .add('commit of 1 data manager', () => {
      tm.begin().join(first);
      tm.commit();
    })
    .add('commit of 10 data managers', () => {
      const current = tm.begin();
      for (const manager of managers) current.join(manager);
      tm.commit();
    })
    .add('commitAsync of 1 data manager', async () => {
      tm.begin().join(first);
      await tm.commitAsync();
    })
    .add('1 data manager, savepoint and rollback', () => {
      tm.begin().join(first);
      tm.savepoint().rollback();
      tm.commit();
    })
    .add('manager.run(), empty', () => {
      tm.run(body);
    })
    .add('manager.run() in a run, empty', () => {
      tm.run(() => {
        tm.run(body);
      });
    })
    .add('transaction.run(), empty', () => {
      transaction.run(body);
    })
    .add('transaction.run() of an async function, empty', async () => {
      await transaction.run(asyncBody);
    });
  await bench.run();
  for (const { name, result } of bench.tasks) {
    if (result.state !== 'completed') throw new Error(`${name}: ${result.state}`);
    const microseconds = (result.latency.p50 * 1000).toFixed(2);
    process.stdout.write(`${name.padEnd(48)} ${microseconds.padStart(8)} µs (median)\n`);
  }
}

void main();
