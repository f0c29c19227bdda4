import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';

const SCALE = Number(process.env['ZODB_SOAK'] ?? 0);
const count = SCALE > 0 ? Math.ceil(3_000_000 * Math.min(SCALE, 1)) : 150_000;
const heap = SCALE > 0 ? 128 : 48;

/** Bundles the program, as a deployment would, and runs it. */
function scan(flags: readonly string[], length: number): { seen: number; sum: number; loaded: number } {
  const directory = mkdtempSync(join(tmpdir(), 'zodb-scan-'));
  try {
    const program = join(directory, 'scan.js');
    buildSync({
      entryPoints: [join(__dirname, 'programs', 'scan.ts')],
      outfile: program,
      bundle: true,
      platform: 'node',
      target: 'node20',
      external: ['better-sqlite3'],
      logLevel: 'error',
    });
    const output = execFileSync(process.execPath, [...flags, program, String(length)], { encoding: 'utf8' });
    return JSON.parse(output) as { seen: number; sum: number; loaded: number };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test(`a synchronous scan of ${count} objects stays within a heap of ${heap} MB`, () => {
  const { seen, sum, loaded } = scan([`--max-old-space-size=${heap}`], count);
  expect(seen).toBe(count);
  expect(sum).toBe((count * (count + 1)) / 2);
  expect(loaded).toBeLessThan(12_000);
}, 3_600_000);

test('everything works where code may not be generated from strings', () => {
  expect(scan(['--disallow-code-generation-from-strings'], 1000).sum).toBe(500_500);
});
