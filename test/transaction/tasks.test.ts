/** Many tasks on one database: synchronous and asynchronous transactions, some with a slow second resource. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DB, transaction } from '../../src/index';
import { Recorder } from './recorder';

const SCALE = Number(process.env.ZODB_SOAK ?? '1');

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'zodb-tasks-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

const POOL_SIZE = 7;

test.each(['memory', 'tasks.sqlite', 'tasks.fs'])(
  '100 tasks on %s count to 100, within the pool, and let other work go on',
  async (name) => {
    const tasks = Math.ceil(100 * SCALE);
    const db = new DB(name === 'memory' ? null : join(directory, name), {
      root: { counter: () => ({ value: 0 }) },
      poolSize: POOL_SIZE,
    });
    const log: string[] = [];
    const slow = (index: number): Recorder =>
      new Recorder(`slow ${index}`, log, { mode: 'async', result: () => sleep(1) });
    const connections = new Set<unknown>();

    // In the processor time of this process: what other programs on the machine take does not belong to it.
    const used = (): number => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1_000;
    };
    const gaps: number[] = [];
    const start = used();
    let last = start;
    const timer = setInterval(() => {
      const now = used();
      gaps.push(now - last);
      last = now;
    }, 1);

    const synchronous = async (): Promise<void> => {
      for (;;) {
        try {
          db.transaction(
            (root) => {
              root.counter.value += 1;
            },
            { attempts: 1 },
          );
          return;
        } catch (error) {
          // A conflict, or an asynchronous commit that has the lock: it must have the loop to go on.
          if ((error as { retryable?: boolean }).retryable !== true) throw error;
          await sleep(Math.random() * 5);
        }
      }
    };
    const asynchronous = (index: number): Promise<void> =>
      db.transaction(
        async (root, connection) => {
          connections.add(connection);
          await sleep(Math.random() * 5);
          if (index % 3 === 0) transaction.get().join(slow(index));
          root.counter.value += 1;
        },
        { attempts: 1000, backoff: { baseMs: 1, maxMs: 20 } },
      );
    await Promise.all(
      Array.from({ length: tasks }, async (_, index) => {
        await sleep(Math.random() * 20);
        await (index % 4 === 0 ? synchronous() : asynchronous(index));
      }),
    );
    clearInterval(timer);
    const total = used() - start;

    expect(db.transaction((root) => root.counter.value)).toBe(tasks);
    const finished = log.filter((event) => event.endsWith('tpcFinish')).length;
    expect(finished).toBe(
      Array.from({ length: tasks }, (_, i) => i).filter((i) => i % 4 && i % 3 === 0).length,
    );
    // A synchronous transaction can't wait for a connection, so one more than the pool's size may be made for it.
    expect(connections.size).toBeLessThanOrEqual(POOL_SIZE + 1);
    // What holds up the event loop does so all the time; what V8 compiles and collects, at times.
    gaps.sort((a, b) => a - b);
    expect(gaps[Math.floor(gaps.length * 0.9)]).toBeLessThan(Math.max(50, total / 4));
    db.close();
  },
);
