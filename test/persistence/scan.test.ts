import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';

const SCALE = Number(process.env['ZODB_SOAK'] ?? 0);
const count = SCALE > 0 ? Math.ceil(3_000_000 * Math.min(SCALE, 1)) : 150_000;
const heap = SCALE > 0 ? 128 : 48;

test(`a synchronous scan of ${count} objects stays within a heap of ${heap} MB`, () => {
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
    const output = execFileSync(process.execPath, [`--max-old-space-size=${heap}`, program, String(count)], {
      encoding: 'utf8',
      maxBuffer: 1e8,
    });
    const result = JSON.parse(output) as { seen: number; sum: number; loaded: number };
    expect(result.seen).toBe(count);
    expect(result.sum).toBe((count * (count + 1)) / 2);
    expect(result.loaded).toBeLessThan(12_000);
  } finally {
    rmSync(directory, { recursive: true });
  }
}, 3_600_000);
