/**
 * All runs in which a step has the parameter "thickness" with the value 2.0.
 *
 *     ts-node samples/process-runs/main.ts [FILE]
 */
import { DB } from 'zodb';
import { IOBTree } from 'zodb/btrees';
import { Operation, Parameter, ProcessRun } from './model';

const db = new DB(process.argv[2] ?? null, { root: { runs: () => new IOBTree<ProcessRun>() } });

db.transaction((root) => {
  for (let id = 1; id <= 20; id++) {
    const run = new ProcessRun(id, `lot ${id}`, id % 2 ? 'ann' : 'ben');
    for (const process of ['clean', 'oxide', 'etch']) {
      const step = new Operation(process);
      step.parameters.push(new Parameter('temperature', 300 + id));
      if (process === 'oxide') step.parameters.push(new Parameter('thickness', (id % 5) / 2));
      run.operations.push(step);
    }
    root.runs.set(id, run);
  }
});

db.transaction((root) => {
  const found = [...root.runs.values()].filter((run) => run.hasParameter('thickness', 2.0));
  console.log(`thickness 2.0: ${found.map((run) => `${run.title} (${run.owner})`).join(', ')}`);

  // A parameter of one step of one run, changed where it is.
  found[0]!.operations[1]!.parameters[1]!.value = 2.5;
});

db.transaction((root) => {
  const found = [...root.runs.values()].filter((run) => run.hasParameter('thickness', 2.0));
  console.log(`after one correction: ${found.map((run) => run.title).join(', ')}`);
});
db.close();
