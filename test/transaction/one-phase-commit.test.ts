import { TransactionManager, type StepResult, type Transaction } from '../../src/transaction/index';
import { Fault, Recorder, thrownBy } from './recorder';

/** A data manager that can vote and finish at once. */
class OnePhaseRecorder extends Recorder {
  tpcCommit(_transaction: Transaction): StepResult {
    this.log.push(`${this.name}.tpcCommit`);
    if (this.options.fails?.includes('tpcVote')) throw new Fault(`${this.name}.tpcCommit`);
  }
}

/** One that can also do so without blocking. */
class AsyncRecorder extends OnePhaseRecorder {
  async tpcCommitAsync(_transaction: Transaction): Promise<void> {
    this.log.push(`${this.name}.tpcCommitAsync`);
    await null;
    this.log.push(`${this.name} is done`);
  }
}

describe('a data manager that can vote and finish at once', () => {
  test('is asked to when it is alone', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    manager.get().join(new OnePhaseRecorder('a', log));
    manager.commit();
    expect(log).toEqual(['a.tpcBegin', 'a.commit', 'a.tpcCommit']);
  });

  test('votes and finishes in two steps beside another one', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    manager.get().join(new OnePhaseRecorder('a', log));
    manager.get().join(new Recorder('b', log));
    manager.commit();
    expect(log.slice(4)).toEqual(['a.tpcVote', 'b.tpcVote', 'a.tpcFinish', 'b.tpcFinish']);
  });

  test('is cleaned up as after a vote that refused', () => {
    const log: string[] = [];
    const manager = new TransactionManager();
    manager.get().join(new OnePhaseRecorder('a', log, { fails: ['tpcVote'] }));
    expect(thrownBy(() => manager.commit())).toEqual(new Fault('a.tpcCommit'));
    expect(log).toEqual(['a.tpcBegin', 'a.commit', 'a.tpcCommit', 'a.abort', 'a.tpcAbort']);
  });

  test.each([
    ['both', ['a.tpcBegin', 'a.commit', 'a.tpcCommitAsync', 'a is done', 'committed']],
    ['sync', ['a.tpcBegin', 'a.commit', 'a.tpcCommit', 'committed']],
  ] as const)('is driven by commitAsync in mode %s', async (mode, expected) => {
    const log: string[] = [];
    const manager = new TransactionManager();
    manager.get().join(new AsyncRecorder('a', log, { mode }));
    await manager.commitAsync();
    log.push('committed');
    expect(log).toEqual(expected);
  });
});
