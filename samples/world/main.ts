/**
 * The main job: real data as decorated classes in one SQLite file, seen by three processes.
 *
 *     ts-node samples/world/main.ts [FILE]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask } from './ask';
import { load } from './load';
import { verify } from './verify';

const steps = { load, ask, verify };
const titles = {
  load: 'Process 1 stores the world',
  ask: 'Process 2 opens the file and answers',
  verify: 'Process 3 sees the change',
};

const say = (line: string) => console.log(line);
const [, , first, second] = process.argv;

if (first && first in steps) {
  steps[first as keyof typeof steps](second!, say);
} else {
  const directory = first ? undefined : mkdtempSync(join(tmpdir(), 'zodb-world-'));
  const file = first ?? join(directory!, 'world.sqlite');
  try {
    for (const step of Object.keys(steps) as (keyof typeof steps)[]) {
      say(`${titles[step]}:`);
      const child = spawnSync(process.execPath, [...process.execArgv, __filename, step, file], {
        stdio: 'inherit',
      });
      if (child.status !== 0) throw new Error(`The step "${step}" failed.`);
    }
  } finally {
    if (directory) rmSync(directory, { recursive: true });
  }
}
