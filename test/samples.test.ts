/** The samples are whole programs: they run as a user would run them, in processes of their own. */
import { execFileSync } from 'node:child_process';
import { ensureBuilt } from './built';

function run(...args: string[]): string[] {
  const output = execFileSync(process.execPath, ['node_modules/ts-node/dist/bin.js', ...args], {
    encoding: 'utf8',
  });
  return output.trimEnd().split('\n');
}

beforeAll(ensureBuilt, 900_000);

test('bank: a transfer is committed, an overdraft leaves no trace', () => {
  expect(run('samples/bank/main.ts')).toEqual([
    'after a transfer of 30: ann 70 (+100 -30), ben 30 (+30)',
    'refused: overdraft of 430',
    'after a refused transfer of 500: ann 70 (+100 -30), ben 30 (+30)',
  ]);
});

test('process-runs: finds the runs with a parameter, and sees a correction deep inside', () => {
  expect(run('samples/process-runs/main.ts')).toEqual([
    'thickness 2.0: lot 4 (ben), lot 9 (ann), lot 14 (ben), lot 19 (ann)',
    'after one correction: lot 9, lot 14, lot 19',
  ]);
});

test('world: three processes, one file, a cyclic graph and every city', () => {
  const output = run('samples/world/main.ts').join('\n');
  expect(output).toMatch(/250 countries, \d{6} cities/);
  expect(output).toContain('Portugal → Spain → France');
  expect(output).toMatch(/→ Vietnam/);
  expect(output).toContain('São Paulo');
  expect(output).toContain('Portugal (Lisbon): Visited by the second process.');
}, 600_000);
