/**
 * Random sequences of writes, savepoints, rollbacks, commits and aborts, with faults, over resources that hold one
 * number each, against a model that copies those numbers about.
 */
import fc from 'fast-check';
import {
  type DataManager,
  type DataManagerMode,
  type DataManagerSavepoint,
  type Savepoint,
  type StepResult,
  type Transaction,
  TransactionError,
  TransactionManager,
} from '../../src/transaction/index';
import { Fault, swallowedIn, turn } from './recorder';

const SCALE = Number(process.env.ZODB_SOAK ?? '1');

const names = ['a', 'b', 'plain', 'slow'] as const;
type Name = (typeof names)[number];
const faultySteps = ['tpcBegin', 'commit', 'tpcVote'] as const;
type FaultyStep = (typeof faultySteps)[number];

/** A number under transactional control. */
class Resource implements DataManager {
  readonly mode: DataManagerMode;
  committed = 0;
  working = 0;
  /** The step that fails next. */
  fault: FaultyStep | undefined;
  savepoint?: () => DataManagerSavepoint;
  readonly #name: Name;
  readonly #manager: TransactionManager;
  #transaction: Transaction | undefined;

  constructor(name: Name, manager: TransactionManager) {
    this.#name = name;
    this.#manager = manager;
    this.mode = name === 'slow' ? 'async' : 'sync';
    if (name !== 'plain') {
      this.savepoint = () => {
        const { working } = this;
        return { rollback: () => void (this.working = working) };
      };
    }
  }

  write(value: number): void {
    if (this.#transaction === undefined) {
      this.#manager.get().join(this);
      this.#transaction = this.#manager.get();
    }
    this.working = value;
  }
  sortKey(): string {
    return this.#name;
  }
  abort(): StepResult {
    return this.#reset();
  }
  tpcBegin(): StepResult {
    return this.#step('tpcBegin');
  }
  commit(): StepResult {
    return this.#step('commit');
  }
  tpcVote(): StepResult {
    return this.#step('tpcVote');
  }
  tpcFinish(): StepResult {
    this.committed = this.working;
    return this.#reset();
  }
  tpcAbort(): StepResult {
    return this.#reset();
  }

  #reset(): StepResult {
    this.working = this.committed;
    this.#transaction = undefined;
    return this.#later();
  }
  #step(step: FaultyStep): StepResult {
    if (this.fault === step) throw new Fault(step);
    return this.#later();
  }
  #later(): StepResult {
    return this.mode === 'async' ? turn() : undefined;
  }
}

type Values = Record<Name, number>;

class Model {
  committed: Values = { a: 0, b: 0, plain: 0, slow: 0 };
  working: Values = { ...this.committed };
  joined: Name[] = [];
  status = 'Active';
  savepoints: { valid: boolean; working: Values; joined: Name[] }[] = [];

  write(name: Name, value: number): string {
    if (!this.joined.includes(name)) {
      if (this.status === 'Commit failed') return 'TRANSACTION_FAILED';
      this.joined.push(name);
    }
    this.working[name] = value;
    return 'ok';
  }
  savepoint(optimistic: boolean): string {
    if (this.status === 'Commit failed') return 'TRANSACTION_FAILED';
    if (!optimistic && this.joined.includes('plain')) {
      this.#fail();
      return 'SAVEPOINTS_UNSUPPORTED';
    }
    this.savepoints.push({ valid: true, working: { ...this.working }, joined: [...this.joined] });
    return 'ok';
  }
  rollback(index: number): string {
    const savepoint = this.savepoints[index];
    if (!savepoint) return 'none';
    if (!savepoint.valid) return 'INVALID_SAVEPOINT_ROLLBACK';
    if (this.status === 'Commit failed') return 'TRANSACTION_FAILED';
    for (const later of this.savepoints.slice(index + 1)) later.valid = false;
    for (const name of savepoint.joined) {
      if (name === 'plain') {
        this.status = 'Commit failed';
        return 'SAVEPOINTS_UNSUPPORTED';
      }
      this.working[name] = savepoint.working[name];
    }
    for (const name of this.joined) {
      if (!savepoint.joined.includes(name)) this.working[name] = this.committed[name];
    }
    this.joined = [...savepoint.joined];
    return 'ok';
  }
  commit(faults: Partial<Record<Name, FaultyStep>>, asynchronous: boolean): string {
    if (this.status === 'Doomed') return 'DOOMED_TRANSACTION';
    this.#endSavepoints();
    if (this.status === 'Commit failed') return 'TRANSACTION_FAILED';
    if (!asynchronous && this.joined.includes('slow')) return 'ASYNC_REQUIRED';
    if (this.joined.some((name) => faults[name])) {
      this.#fail();
      return 'fault';
    }
    for (const name of this.joined) this.committed[name] = this.working[name];
    this.#end();
    return 'ok';
  }
  abort(): string {
    this.#endSavepoints();
    this.working = { ...this.committed };
    this.#end();
    return 'ok';
  }
  doom(): string {
    if (this.status === 'Commit failed') return 'TRANSACTION_FAILED';
    this.status = 'Doomed';
    return 'ok';
  }

  /** What a failure leaves: everything is given up, and the data managers are out. */
  #fail(): void {
    this.status = 'Commit failed';
    this.working = { ...this.committed };
    this.joined = [];
  }
  #end(): void {
    this.#endSavepoints();
    this.status = 'Active';
    this.joined = [];
  }
  #endSavepoints(): void {
    for (const savepoint of this.savepoints) savepoint.valid = false;
  }
}

type Operation =
  | { do: 'write'; name: Name; value: number }
  | { do: 'savepoint'; optimistic: boolean }
  | { do: 'rollback'; index: number }
  | { do: 'commit' | 'commitAsync'; faults: Partial<Record<Name, FaultyStep>> }
  | { do: 'abort' | 'abortAsync' | 'begin' | 'doom' };

const faults = fc.dictionary(fc.constantFrom(...names), fc.constantFrom(...faultySteps), {
  maxKeys: 1,
  noNullPrototype: true,
}) as fc.Arbitrary<Partial<Record<Name, FaultyStep>>>;

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      name: fc.constantFrom(...names),
      value: fc.integer({ min: 1, max: 99 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('savepoint' as const), optimistic: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('rollback' as const), index: fc.nat(8) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('commit' as const, 'commitAsync' as const), faults }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('abort' as const, 'abortAsync' as const, 'begin' as const, 'doom' as const),
    }),
  },
);

async function outcomeOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'ok';
  } catch (error) {
    if (error instanceof Fault) return 'fault';
    if (error instanceof TransactionError) return error.code;
    throw error;
  }
}

async function check(operations: readonly Operation[]): Promise<void> {
  const model = new Model();
  const manager = new TransactionManager();
  const resources = Object.fromEntries(names.map((name) => [name, new Resource(name, manager)])) as Record<
    Name,
    Resource
  >;
  const savepoints: Savepoint[] = [];
  const both = (part: 'committed' | 'working'): Values =>
    Object.fromEntries(names.map((name) => [name, resources[name][part]])) as Values;

  for (const step of operations) {
    let expected: string;
    let actual: string;
    switch (step.do) {
      case 'write':
        expected = model.write(step.name, step.value);
        actual = await outcomeOf(() => {
          resources[step.name].write(step.value);
        });
        break;
      case 'savepoint':
        expected = model.savepoint(step.optimistic);
        actual = await outcomeOf(() => savepoints.push(manager.savepoint({ optimistic: step.optimistic })));
        break;
      case 'rollback':
        expected = model.rollback(step.index);
        actual = savepoints[step.index]
          ? await outcomeOf(() => {
              savepoints[step.index]!.rollback();
            })
          : 'none';
        break;
      case 'commit':
      case 'commitAsync':
        expected = model.commit(step.faults, step.do === 'commitAsync');
        for (const name of names) resources[name].fault = step.faults[name];
        actual = await outcomeOf(() => manager[step.do]());
        break;
      case 'begin':
      case 'abort':
      case 'abortAsync':
        expected = model.abort();
        actual = await outcomeOf(() => manager[step.do]());
        // An abort that nobody waited for ends soon.
        await turn();
        break;
      case 'doom':
        expected = model.doom();
        actual = await outcomeOf(() => {
          manager.doom();
        });
    }
    expect({
      outcome: actual,
      status: manager.get().status,
      committed: both('committed'),
      working: both('working'),
      valid: savepoints.map(({ valid }) => valid),
    }).toEqual({
      outcome: expected,
      status: model.status,
      committed: model.committed,
      working: model.working,
      valid: model.savepoints.map(({ valid }) => valid),
    });
  }
}

test('any sequence of operations, with faults, leaves what the model leaves', async () => {
  const reported = await swallowedIn(() =>
    fc.assert(fc.asyncProperty(fc.array(operation, { maxLength: 40, size: 'max' }), check), {
      numRuns: Math.ceil(400 * SCALE),
    }),
  );
  expect(reported).toEqual([]);
});
