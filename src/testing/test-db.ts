import { DB, type DBOptions, type RootFactories, type RootOf } from '../database/index';
import { DemoStorage, MemoryStorage, type Storage, type StorageOptions } from '../storage/index';
import { currentFramework, type TestFramework } from './framework';

/** Options of {@link withTestDb}, beside those of `DB`. */
export interface TestDbOptions<F extends RootFactories> extends DBOptions<F> {
  /** What every test begins with is added to this storage; default a new one in memory. It is closed at the end. */
  readonly base?: Storage;
  /** Makes what every test begins with; runs once, in one transaction. */
  readonly fill?: (root: RootOf<F>) => void;
}

/** A database for tests; see {@link withTestDb}. */
export interface TestDb<F extends RootFactories> {
  /** The database of the test that runs. */
  readonly db: DB<F>;
}

/**
 * Gives each test of the surrounding block a database with the same content: what a test commits goes to a layer above
 * the content, which is thrown away after the test. Works under jest and its kin, and under node:test.
 *
 *     const test = withTestDb({ root: { users: () => new OOBTree() }, fill: (root) => root.users.set('ann', new User()) });
 *     it('…', () => test.db.transaction((root) => …));
 */
export function withTestDb<F extends RootFactories = Record<string, never>>(
  { base, fill, ...options }: TestDbOptions<F> = {},
  framework: TestFramework = currentFramework(),
): TestDb<F> {
  let content: Storage;
  let db: DB<F> | undefined;
  const open = (): DB<F> =>
    new DB<F>(new DemoStorage({ base: content, closeBase: false }), options as DBOptions<F> & StorageOptions);

  framework.beforeAll(() => {
    content = base ?? new MemoryStorage({ name: 'test content' });
    const filled = new DB<F>(keptOpen(content), options as DBOptions<F> & StorageOptions);
    try {
      if (fill) filled.transaction((root) => fill(root));
    } finally {
      filled.close();
    }
  });
  framework.beforeEach(() => {
    db = open();
  });
  framework.afterEach(() => {
    db?.close();
    db = undefined;
  });
  framework.afterAll(() => content.close());
  return {
    get db() {
      if (db === undefined) throw new Error('withTestDb() has a database only while a test runs.');
      return db;
    },
  };
}

/** The same storage, which a DB may close without closing it. */
function keptOpen(storage: Storage): Storage {
  return new Proxy(storage, {
    get(target, name) {
      if (name === 'close') return () => undefined;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
