/**
 * Runs the micro-benchmarks, each file in a process of its own, one after the other.
 *
 *     npm run bench            # all of them
 *     npm run bench -- pickle  # those whose name contains "pickle"; what follows is given to them
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const wanted = process.argv[2] ?? '';
const files = readdirSync(__dirname).filter(
  (name) => name.endsWith('.ts') && name !== 'main.ts' && name.includes(wanted),
);

for (const file of files) {
  console.log(`\n# ${file.replace(/\.ts$/, '')}`);
  const flags = ['--expose-gc', ...process.execArgv.filter((flag) => flag !== '--expose-gc')];
  const { status } = spawnSync(
    process.execPath,
    [...flags, join(__dirname, file), ...process.argv.slice(3)],
    { stdio: 'inherit' },
  );
  if (status !== 0) process.exitCode = 1;
}
