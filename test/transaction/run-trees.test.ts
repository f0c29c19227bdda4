/**
 * Random trees of nested runs, some of which fail, several of them at the same time, with waits in all places: each
 * commits what a model of nested copies says, and nothing of another one.
 */
import fc from 'fast-check';
import {
  type DataManager,
  type DataManagerSavepoint,
  transaction,
  type TransactionManager,
} from '../../src/transaction/index';
import { Fault, swallowedIn, turn } from './recorder';

const SCALE = Number(process.env.ZODB_SOAK ?? '1');

type Node =
  | { kind: 'write'; key: string; value: number }
  | { kind: 'wait'; turns: number }
  | { kind: 'run'; asynchronous: boolean; fails: boolean; body: Node[] };

const { node } = fc.letrec<{ node: Node; leaf: Node; run: Node }>((tie) => ({
  leaf: fc.oneof(
    fc.record({
      kind: fc.constant('write' as const),
      key: fc.constantFrom('x', 'y', 'z'),
      value: fc.integer({ min: 1, max: 99 }),
    }),
    fc.record({ kind: fc.constant('wait' as const), turns: fc.integer({ min: 1, max: 3 }) }),
  ),
  run: fc.record({
    kind: fc.constant('run' as const),
    asynchronous: fc.boolean(),
    fails: fc.boolean(),
    body: fc.array(tie('node'), { maxLength: 5 }),
  }),
  node: fc.oneof({ maxDepth: 4, withCrossShrink: true }, tie('leaf'), tie('run')),
}));
const program = fc.record({
  kind: fc.constant('run' as const),
  asynchronous: fc.constant(true),
  fails: fc.boolean(),
  body: fc.array(node, { maxLength: 8 }),
});

type Values = Record<string, number>;

/** What a tree leaves of `values`, changed in place. */
function expected(body: readonly Node[], values: Values): void {
  for (const step of body) {
    if (step.kind === 'write') values[step.key] = step.value;
    if (step.kind === 'run') {
      const inner = { ...values };
      expected(step.body, inner);
      if (!step.fails) Object.assign(values, inner);
    }
  }
}

/** One transaction's values; all of them commit to `committed` under `name`. */
class Store implements DataManager {
  values: Values = {};
  readonly #name: string;
  readonly #committed: Map<string, Values>;

  constructor(name: string, committed: Map<string, Values>) {
    this.#name = name;
    this.#committed = committed;
  }
  abort(): void {
    this.values = {};
  }
  tpcBegin(): void {}
  commit(): void {}
  async tpcVoteAsync(): Promise<void> {
    await turn();
  }
  tpcVote(): void {}
  tpcFinish(): void {
    this.#committed.set(this.#name, { ...this.values });
  }
  tpcAbort(): void {}
  sortKey(): string {
    return this.#name;
  }
  savepoint(): DataManagerSavepoint {
    const saved = { ...this.values };
    return { rollback: () => void (this.values = { ...saved }) };
  }
}

async function playAll(programs: readonly (Node & { kind: 'run' })[]): Promise<Map<string, Values>> {
  const committed = new Map<string, Values>();
  const stores = new Map<TransactionManager, Store>();
  const store = (): Store => stores.get(transaction.manager)!;

  const playSync = (body: readonly Node[]): void => {
    for (const step of body) {
      if (step.kind === 'write') store().values[step.key] = step.value;
      if (step.kind !== 'run') continue;
      try {
        transaction.run(() => {
          playSync(step.body);
          if (step.fails) throw new Fault('run');
        });
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
      }
    }
  };
  const play = async (body: readonly Node[]): Promise<void> => {
    for (const step of body) {
      if (step.kind === 'write') store().values[step.key] = step.value;
      else if (step.kind === 'wait') for (let count = 0; count < step.turns; count += 1) await turn();
      else if (!step.asynchronous) playSync([step]);
      else {
        try {
          await transaction.run(async () => {
            await play(step.body);
            if (step.fails) throw new Fault('run');
          });
        } catch (error) {
          if (!(error instanceof Fault)) throw error;
        }
      }
    }
  };

  await Promise.all(
    programs.map(async (tree, index) => {
      try {
        await transaction.run(async (current) => {
          const own = new Store(`program ${index}`, committed);
          stores.set(transaction.manager, own);
          current.join(own);
          await play(tree.body);
          if (tree.fails) throw new Fault('program');
        });
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
      }
    }),
  );
  return committed;
}

test('trees of runs commit what is left of them, each by itself', async () => {
  const reported = await swallowedIn(() =>
    fc.assert(
      fc.asyncProperty(fc.array(program, { minLength: 1, maxLength: 4 }), async (programs) => {
        const model = new Map<string, Values>();
        programs.forEach((tree, index) => {
          const values: Values = {};
          expected(tree.body, values);
          if (!tree.fails) model.set(`program ${index}`, values);
        });
        const committed = await playAll(programs);
        expect(Object.fromEntries(committed)).toEqual(Object.fromEntries(model));
      }),
      { numRuns: Math.ceil(150 * SCALE) },
    ),
  );
  expect(reported).toEqual([]);
});
