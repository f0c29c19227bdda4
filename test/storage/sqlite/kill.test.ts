import { join } from 'node:path';
import { ROOT_OID } from '../../../src/ids';
import { runSteps, SqliteStorage } from '../../../src/storage';
import { Harness } from '../../../src/testing/harness';
import { soak, temporaryDirectory } from './temporary';
import { BLOB, blobContent, COUNTER, TWIN, type Task } from './worker';
import { Worker } from './worker-process';

const directory = temporaryDirectory();
const ROUNDS = Math.max(4, Math.round(200 * soak));

const cases: [string, Task['with']][] = [
  ['under load', []],
  ['during pack', ['pack']],
  ['during blob upload', ['blobs']],
  ['during pack and blob upload', ['pack', 'blobs']],
];

test.each(cases)(
  'a process killed %s leaves exactly what was acknowledged, and at most the one in flight',
  async (_name, tasks) => {
    const path = join(directory(), 'killed.sqlite');
    let reached = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const worker = new Worker({ do: 'churn', path, with: tasks });
      // The first round is killed after a commit, however slow the machine is; the others at any moment, perhaps before their first.
      await worker.line(round === 0 ? 2 : 1);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
      await worker.kill();
      reached = Math.max(reached, Number(worker.lines.at(-1)) || 0);
      reached = verify(path, reached, tasks!.includes('blobs'));
    }
    expect(reached).toBeGreaterThan(0);
  },
  600_000 + ROUNDS * 2_000,
);

function verify(path: string, acknowledged: number, withBlobs: boolean): number {
  const h = new Harness(new SqliteStorage(path));
  try {
    h.storage.load(ROOT_OID);
    const counted = numberOf(h, COUNTER);
    expect([acknowledged, acknowledged + 1]).toContain(counted);
    expect(numberOf(h, TWIN)).toBe(counted);
    if (withBlobs && counted > 0) {
      const reader = h.storage.openBlob!(BLOB, h.storage.load(BLOB).serial);
      const found = Buffer.alloc(reader.size);
      reader.read(found, 0, found.length, 0);
      reader.close();
      expect(found.equals(blobContent(counted))).toBe(true);
    }
    const { problems } = runSteps(h.storage.check!());
    expect(problems.filter((problem) => !problem.includes('does not exist'))).toEqual([]);
    return counted;
  } finally {
    h.storage.close();
  }
}

function numberOf(h: Harness, oid: typeof COUNTER): number {
  try {
    return Number(h.text(oid).slice('count:'.length));
  } catch {
    return 0;
  }
}
