/*
 * Bundles the sources for programs that run outside of the test runner, once for each state of them. As a program it prints the
 * bundle's path.
 */
'use strict';
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..', '..');

/** The path of the bundle; what it was made from is in its name. */
function bundlePath() {
  const stamp = createHash('sha1');
  for (const name of fs.readdirSync(path.join(root, 'src'), { recursive: true })) {
    const file = path.join(root, 'src', name);
    if (name.endsWith('.ts')) stamp.update(`${name}:${fs.statSync(file).mtimeMs};`);
  }
  // Native packages are found from there.
  const directory = path.join(root, 'node_modules', '.cache');
  fs.mkdirSync(directory, { recursive: true });
  const out = path.join(directory, `zodb-zeo-${stamp.digest('hex').slice(0, 16)}.cjs`);
  if (fs.existsSync(out)) return out;
  const part = `${out}.${process.pid}`;
  require('esbuild').buildSync({
    stdin: {
      contents: `
        export * from './zeo/index';
        export * from './storage/index';
        export { ConflictError } from './errors';
        export { oidToBytes } from './ids';
        export { className } from './record/index';
        export { registry } from './persistence/index';
        export { mergeCounters, record, textOf } from './testing/records';`,
      resolveDir: path.join(root, 'src'),
    },
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    outfile: part,
    external: ['better-sqlite3'],
    logLevel: 'error',
  });
  fs.renameSync(part, out);
  return out;
}

module.exports = { bundlePath };
if (require.main === module) process.stdout.write(bundlePath());
