/** What other processes and worker threads do in the tests: one task, its result a line of JSON. Bundled, so it imports the sources. */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { ConflictError, DB, LockError, persistent, type Connection } from '../../src/index';
import { Length } from '../../src/btrees/index';

@persistent('test.worker.Box')
export class Box {
  value = 0;
  next: Box | null = null;
}

export interface Task {
  readonly do: 'transfer' | 'count' | 'pairs' | 'compare' | 'note' | 'unlink-and-pack' | 'add-missing-keys';
  readonly path: string;
  readonly count: number;
  readonly seed: number;
}

export interface TaskResult {
  readonly done: number;
  readonly conflicts: number;
}

function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const many = { attempts: 10_000, backoff: { baseMs: 1, maxMs: 5 } };

const tasks: Record<Task['do'], (db: DB, task: Task) => TaskResult> = {
  /** Moves money between boxes of which the total must stay. */
  transfer(db, { count, seed }) {
    const next = random(seed);
    let runs = 0;
    for (let done = 0; done < count; done++) {
      db.transaction((root) => {
        runs++;
        const boxes = root.boxes as Box[];
        const from = boxes[Math.floor(next() * boxes.length)]!;
        const to = boxes[Math.floor(next() * boxes.length)]!;
        const amount = Math.floor(next() * 10);
        from.value -= amount;
        to.value += amount;
      }, many);
    }
    return { done: count, conflicts: runs - count };
  },
  count(db, { count }) {
    for (let done = 0; done < count; done++) {
      db.transaction((root) => {
        (root.length as Length).change(1);
      }, many);
    }
    return { done: count, conflicts: 0 };
  },
  /** Changes two objects together, always to the same value. */
  pairs(db, { count }) {
    for (let done = 0; done < count; done++) {
      db.transaction((root) => {
        const [a, b] = root.boxes as Box[];
        a!.value++;
        b!.value++;
      }, many);
    }
    return { done: count, conflicts: 0 };
  },
  /** Reads them, in new connections and in old ones. */
  compare(db, { count, seed }) {
    const next = random(seed);
    const conn = db.open() as unknown as Connection;
    let last = 0;
    for (let done = 0; done < count; done++) {
      const check = (root: Record<string, unknown>): void => {
        const [a, b] = root.boxes as Box[];
        if (a!.value !== b!.value) throw new Error(`torn: ${a!.value} and ${b!.value}`);
        if (a!.value < last) throw new Error(`back from ${last} to ${a!.value}`);
        last = a!.value;
      };
      if (next() < 0.3) conn.cacheMinimize();
      conn.sync();
      check(conn.root);
      db.transaction(check);
    }
    conn.close();
    return { done: count, conflicts: 0 };
  },
  note(db, { count }) {
    for (let done = 0; done < count; done++) {
      db.transaction(
        (root) => {
          (root.boxes as Box[])[0]!.value++;
        },
        { ...many, note: `note ${done}` },
      );
    }
    return { done: count, conflicts: 0 };
  },
  'unlink-and-pack'(db) {
    db.transaction((root) => {
      delete root.lost;
    }, many);
    db.pack();
    return { done: 1, conflicts: 0 };
  },
  'add-missing-keys'() {
    return { done: 1, conflicts: 0 };
  },
};

function main(task: Task): TaskResult {
  for (;;) {
    try {
      const root: Record<string, () => Box> =
        task.do === 'add-missing-keys' ? { first: () => new Box(), second: () => new Box() } : {};
      const db = new DB(task.path, { root }) as unknown as DB;
      try {
        return tasks[task.do](db, task);
      } finally {
        db.close();
      }
    } catch (error) {
      if (!(error instanceof LockError || error instanceof ConflictError)) throw error;
    }
  }
}

if (!isMainThread && (workerData as { task?: Task } | null)?.task) {
  parentPort!.postMessage(main((workerData as { task: Task }).task));
} else if (isMainThread && process.argv[2]?.startsWith('{')) {
  process.stdout.write(`${JSON.stringify(main(JSON.parse(process.argv[2]) as Task))}\n`);
}
