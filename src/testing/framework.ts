import { createRequire } from 'node:module';

/** What the suites need of a test runner: jest, vitest, mocha and node:test have it under these names. */
export interface TestFramework {
  describe(name: string, define: () => void): void;
  test(name: string, run: () => void | Promise<void>): void;
  beforeAll(run: () => void | Promise<void>): void;
  beforeEach(run: () => void | Promise<void>): void;
  afterEach(run: () => void | Promise<void>): void;
  afterAll(run: () => void | Promise<void>): void;
}

type Named = Partial<Record<string, unknown>>;

/** The runner of this process: its global functions (jest, vitest with globals, mocha), else node:test. */
export function currentFramework(): TestFramework {
  const globals = globalThis as Named;
  const source =
    typeof globals['describe'] === 'function' ? globals : (createRequire(__filename)('node:test') as Named);
  const pick = (...names: string[]): ((...args: unknown[]) => unknown) => {
    const found = names.map((name) => source[name]).find((candidate) => typeof candidate === 'function');
    return found as (...args: unknown[]) => unknown;
  };
  const [describe, test] = [pick('describe'), pick('test', 'it')];
  const hooks = {
    beforeAll: pick('beforeAll', 'before'),
    beforeEach: pick('beforeEach'),
    afterEach: pick('afterEach'),
    afterAll: pick('afterAll', 'after'),
  };
  return {
    describe: (name, define) => void describe(name, define),
    test: (name, run) => void test(name, run),
    beforeAll: (run) => void hooks.beforeAll(run),
    beforeEach: (run) => void hooks.beforeEach(run),
    afterEach: (run) => void hooks.afterEach(run),
    afterAll: (run) => void hooks.afterAll(run),
  };
}
