import { spawn } from 'node:child_process';
import { buildSync } from 'esbuild';
import { once } from 'node:events';
import * as path from 'node:path';
import { type Oid } from '../../../src/ids';
import { FileStorage, runSteps } from '../../../src/storage';
import { TemporaryDirectory } from './directory';
import { plainHost } from './records';

const directory = new TemporaryDirectory();
afterAll(() => directory.remove());
const kills = Math.ceil(4 * Number(process.env.ZODB_SOAK ?? 1));

const program = directory.file('writer.js');
beforeAll(() => {
  buildSync({
    entryPoints: [path.join(__dirname, 'killed-writer.ts')],
    bundle: true,
    platform: 'node',
    target: 'node20',
    outfile: program,
    external: ['better-sqlite3', '@bokuweb/zstd-wasm', 'reflect-metadata'],
    tsconfigRaw: { compilerOptions: { experimentalDecorators: true } },
    logLevel: 'error',
  });
});

it.each(['commits', 'pack'])(
  'a writer killed at any moment loses nothing it acknowledged: %s',
  async (mode) => {
    const file = directory.file();
    let last = 0n;
    for (let round = 0; round < kills; round++) {
      const child = spawn(process.execPath, [program, file, mode], { stdio: ['ignore', 'pipe', 'inherit'] });
      let output = '';
      child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
      await once(child.stdout, 'data');
      await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 300));
      child.kill('SIGKILL');
      await once(child, 'close');
      const acknowledged = output.split('\n').filter(Boolean).map(BigInt);
      last = acknowledged.at(-1) ?? last;

      const storage = new FileStorage(file, { onWarning: () => undefined });
      storage.registerDB(plainHost);
      const found = storage.lastTransaction();
      expect(found >= last).toBe(true);
      // Besides what was acknowledged, the one that was under way may be there.
      const later = Array.from(storage.iterate(), ({ tid }) => tid).filter((tid) => tid > last);
      expect(later.length).toBeLessThanOrEqual(1);
      expect(runSteps(storage.check()).problems).toEqual([]);
      expect(storage.load(0 as Oid).data.length).toBeGreaterThan(0);
      last = found;
      storage.close();
    }
  },
);
