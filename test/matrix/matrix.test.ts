/**
 * One source, every compiler: legacy and standard decorators, fields by definition and by assignment, with `reflect-metadata` loaded and without.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformSync as swc, type Options as SwcOptions } from '@swc/core';
import { transformSync as esbuild } from 'esbuild';
import * as ts from 'typescript';

const SOURCE = join(__dirname, 'model.ts');
const OUT = join(__dirname, 'out');

interface Cell {
  readonly legacy: boolean;
  readonly define: boolean;
}

const compilers: Record<string, (source: string, cell: Cell) => string> = {
  tsc: (source, { legacy, define }) =>
    ts.transpileModule(source, {
      fileName: 'model.ts',
      compilerOptions: {
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.CommonJS,
        experimentalDecorators: legacy,
        emitDecoratorMetadata: legacy,
        useDefineForClassFields: define,
      },
    }).outputText,
  swc: (source, { legacy, define }) => {
    const options: SwcOptions = {
      filename: 'model.ts',
      configFile: false,
      swcrc: false,
      jsc: {
        target: 'es2022',
        parser: { syntax: 'typescript', decorators: true },
        transform: legacy
          ? { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: define }
          : { decoratorVersion: '2022-03', useDefineForClassFields: define },
      },
      module: { type: 'commonjs' },
    };
    return swc(source, options).code;
  },
  esbuild: (source, { legacy, define }) =>
    esbuild(source, {
      loader: 'ts',
      format: 'cjs',
      target: 'es2022',
      tsconfigRaw: { compilerOptions: { experimentalDecorators: legacy, useDefineForClassFields: define } },
    }).code,
};

type Model = typeof import('./model');
type Zodb = typeof import('zodb');

function load(compiler: string, cell: Cell, metadata: boolean): { model: Model; zodb: Zodb } {
  const name = `${compiler}-${cell.legacy ? 'legacy' : 'standard'}-${cell.define ? 'define' : 'set'}-${String(metadata)}.js`;
  const file = join(OUT, name);
  writeFileSync(file, compilers[compiler]!(readFileSync(SOURCE, 'utf8'), cell));
  let loaded: { model: Model; zodb: Zodb } | undefined;
  const warnings: unknown[] = [];
  const emitWarning = jest
    .spyOn(process, 'emitWarning')
    .mockImplementation((message: unknown) => void warnings.push(message));
  jest.isolateModules(() => {
    // Each cell brings its classes anew, and is not told of the copies before it.
    Reflect.deleteProperty(globalThis, Symbol.for('zodb.copies'));
    if (metadata) jest.requireActual('reflect-metadata');
    const zodb = jest.requireActual<Zodb>('zodb');
    loaded = { model: jest.requireActual<Model>(file), zodb };
  });
  emitWarning.mockRestore();
  // What esbuild makes of private members can't be seen in a class.
  expect(warnings.map((text) => String(text).slice(0, 47))).toEqual(
    compiler === 'esbuild' ? [] : ['matrix.Account: #secret will not be saved, and '],
  );
  return loaded!;
}

beforeAll(() => {
  rmSync(OUT, { recursive: true, force: true });
  mkdirSync(OUT, { recursive: true });
});

afterAll(() => {
  rmSync(OUT, { recursive: true, force: true });
});

const cells = [false, true].flatMap((metadata) =>
  Object.keys(compilers).flatMap((compiler) =>
    [true, false].flatMap((legacy) =>
      [true, false].map((define) => ({ compiler, legacy, define, metadata })),
    ),
  ),
);

describe.each(cells)('$compiler, legacy $legacy, define $define, reflect-metadata $metadata', (cell) => {
  test('the model works, stored and loaded', () => {
    const { model, zodb } = load(cell.compiler, cell, cell.metadata);
    const db = new zodb.DB();
    const manager = new zodb.TransactionManager();
    const conn = db.open({ transactionManager: manager });
    const root = conn.root as Record<string, unknown>;
    const account = new model.Account('ada');
    account.deposit(5);
    expect(account.hasSecret()).toBe(true);
    // Compilers differ in which fields an assignment-only class has, and in which order; what counts is that saving changes nothing.
    const expected = Object.keys(account).filter((name) => !['cache', 'scratch'].includes(name));
    Object.assign(root, {
      account,
      savings: new model.Savings('bob'),
      bare: new model.Bare(),
      called: new model.Called(),
    });
    root['index'] = new model.Index([['ada', account]]);
    manager.commit();
    const made = model.Account.made;

    expect(Object.keys(account).filter((name) => !['cache', 'scratch'].includes(name))).toEqual(expected);
    account.deposit(1);
    expect(zodb.statusOf(account)).toBe('changed');
    manager.commit();
    conn.close();

    const again = db.open({ transactionManager: new zodb.TransactionManager() });
    again.cacheMinimize();
    const loaded = (again.root as Record<string, unknown>)['account'] as InstanceType<Model['Account']>;
    expect(loaded).toBeInstanceOf(model.Account);
    expect({ ...loaded }).toMatchObject({
      owner: 'ada',
      balance: 6,
      history: ['+5', '+1'],
      rate: 2,
      big: 5n,
    });
    expect(loaded.limit).toBeInstanceOf(model.Money);
    expect(loaded.limit!.amount).toBe(5);
    expect(loaded.label).toBe('ada: 6');
    const fresh = db.open({ transactionManager: new zodb.TransactionManager() });
    const other = fresh.get(zodb.oidOf(loaded)!) as InstanceType<Model['Account']>;
    expect(other).not.toBe(loaded);
    expect(Object.keys(other)).toEqual(expected);
    expect(other.declared).toBe(
      cell.metadata && cell.legacy && cell.compiler !== 'esbuild' ? 7n : other.declared,
    );
    expect(BigInt(other.declared)).toBe(7n);
    expect(other.cache).toBe('cache of ada');
    expect(other.scratch).toBe(undefined);
    expect(model.Account.made).toBe(made);
    other.history.push('mine');
    (other as { nick?: string }).nick = 'n';
    fresh.transactionManager.commit();
    again.transactionManager.abort();
    expect(loaded.history).toEqual(['+5', '+1', 'mine']);

    const savings = (fresh.root as Record<string, unknown>)['savings'] as InstanceType<Model['Savings']>;
    savings.deposit(2);
    expect([savings.balance, savings.interest, savings instanceof model.Account]).toEqual([3, 0.5, true]);
    const called = (fresh.root as Record<string, unknown>)['called'] as InstanceType<Model['Called']>;
    expect([called.a, called._p_status]).toEqual(['Called', 'saved']);
    const index = (fresh.root as Record<string, unknown>)['index'] as InstanceType<Model['Index']>;
    expect([index.title, index.get('ada'), index.size]).toEqual(['index', other, 1]);
    index.title = 'changed';
    expect(zodb.statusOf(index)).toBe('changed');
    fresh.transactionManager.commit();
    fresh.close();
    again.close();
    db.close();
    Reflect.deleteProperty(Reflect, 'getMetadata');
  });
});

test('the model type-checks with both kinds of decorators', () => {
  for (const legacy of [true, false]) {
    const program = ts.createProgram([SOURCE], {
      target: ts.ScriptTarget.ES2022,
      lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
      module: ts.ModuleKind.Node16,
      moduleResolution: ts.ModuleResolutionKind.Node16,
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      esModuleInterop: true,
      experimentalDecorators: legacy,
      types: ['node'],
      paths: { zodb: [join(__dirname, '../../src/index.ts')] },
    });
    const file = program.getSourceFile(SOURCE);
    const problems = [...program.getSemanticDiagnostics(file), ...program.getSyntacticDiagnostics(file)];
    expect(problems.map((problem) => ts.flattenDiagnosticMessageText(problem.messageText, '\n'))).toEqual([]);
  }
}, 600_000);
