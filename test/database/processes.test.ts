/** Processes and worker threads at work on one SQLite database (`ZODB/src/ZODB/tests/racetest.py`). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DanglingReferenceError, DB, TransactionManager, type Connection } from 'zodb';
import { Length } from 'zodb/btrees';
import { user } from './databases';
import { Box } from './worker';
import { elsewhere, type Place } from './worker-run';

const scale = Number(process.env.ZODB_SOAK ?? 1);
const seed = Number(process.env.ZODB_SEED ?? Date.now() % 100_000);
const COUNT = Math.round(40 * scale);

let directory: string;
let path: string;
let db: DB;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'zodb-processes-'));
  path = join(directory, 'data.sqlite');
  db = new DB(path) as unknown as DB;
  db.transaction((root) => {
    root.boxes = Array.from({ length: 6 }, () => Object.assign(new Box(), { value: 0 }));
    root.length = new Length();
    root.lost = new Box();
  });
});
afterEach(() => {
  db.close();
  rmSync(directory, { recursive: true });
});

describe.each(['process', 'thread'] as const satisfies Place[])('in another %s', (place) => {
  test(`writers who meet conflicts run again: no money is lost (seed ${seed})`, async () => {
    const writers = [1, 2, 3].map((n) =>
      elsewhere(place, { do: 'transfer', path, count: COUNT, seed: seed + n }),
    );
    const conn = user(db);
    let running = true;
    const all = Promise.all(writers).finally(() => (running = false));
    while (running) {
      conn.sync();
      expect((conn.root.boxes as Box[]).reduce((sum, { value }) => sum + value, 0)).toBe(0);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect((await all).map(({ done }) => done)).toEqual([COUNT, COUNT, COUNT]);
  });

  test('counters are merged to the exact sum', async () => {
    await Promise.all([1, 2, 3].map((n) => elsewhere(place, { do: 'count', path, count: COUNT, seed: n })));
    expect(db.transaction((root) => (root.length as Length).value)).toBe(3 * COUNT);
  });

  test('race of load and open against foreign commits: two objects changed together are seen together', async () => {
    const done = await Promise.all([
      elsewhere(place, { do: 'pairs', path, count: COUNT, seed }),
      elsewhere(place, { do: 'pairs', path, count: COUNT, seed }),
      elsewhere(place, { do: 'compare', path, count: COUNT * 3, seed }),
    ]);
    expect(done).toHaveLength(3);
    expect(db.transaction((root) => (root.boxes as Box[])[0]!.value)).toBe(2 * COUNT);
  });

  test('changes() and onInvalidate() hear of commits made there, in order', async () => {
    const changes = db.changes({ interval: 5 });
    const notes: string[] = [];
    const conn = user(db);
    const [box] = conn.root.boxes as Box[];
    let heard = 0;
    conn.onInvalidate(box!, () => heard++);
    let heardOfClass = 0;
    conn.onInvalidate(Box, () => heardOfClass++);
    const first = changes.next();
    const work = elsewhere(place, { do: 'note', path, count: 10, seed });
    notes.push((await first).value!.description);
    for (let count = 1; count < 10; count++) notes.push((await changes.next()).value!.description);
    await changes.return();
    await work;
    expect(notes).toEqual(Array.from({ length: 10 }, (_, index) => `note ${index}`));
    expect(heard).toBe(0);
    conn.sync();
    expect([heard, heardOfClass, box!.value]).toEqual([1, 1, 10]);
  });

  test('an object that a pack there removed can not be linked here: the commit is refused with the path', async () => {
    const conn = user(db);
    const lost = conn.root.lost as Box;
    expect(lost.value).toBe(0);
    const [box] = conn.root.boxes as Box[];
    await elsewhere(place, { do: 'unlink-and-pack', path, count: 1, seed });
    box!.next = lost;
    expect(() => conn.commit()).toThrow(DanglingReferenceError);
    conn.abort();
    expect(box!.next).toBeNull();
    // In a later transaction, too, in which the object is still in memory.
    box!.next = lost;
    expect(() => conn.commit()).toThrow('Box.next');
    conn.abort();
  });

  test('the keys of the root are made once, whoever comes first', async () => {
    await Promise.all(
      [1, 2, 3, 4].map((n) => elsewhere(place, { do: 'add-missing-keys', path, count: 1, seed: n })),
    );
    const objects = db.objectCount();
    db.pack();
    expect(db.objectCount()).toBe(objects);
    const conn = db.open({ transactionManager: new TransactionManager() }) as unknown as Connection;
    expect([conn.root.first, conn.root.second]).toEqual([expect.any(Box), expect.any(Box)]);
  });
});
