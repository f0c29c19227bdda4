import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT_OID, type Oid, type Tid } from '../../../src/ids';
import { SqliteStorage } from '../../../src/storage';
import { Harness } from '../../../src/testing/harness';
import { soak, temporaryDirectory } from './temporary';
import { balance, COUNTER } from './worker';
import { Worker } from './worker-process';

const directory = temporaryDirectory();
const accounts = Array.from({ length: 10 }, (_, place) => (100 + place) as Oid);
const COMMITS = 60 + Math.round(2_000 * soak);

function bank(history: 'all' | 'none'): Harness {
  const h = new Harness(new SqliteStorage(join(directory(), 'bank.sqlite'), { history }));
  h.commit(accounts.map((oid) => ({ oid, text: 'balance:100' })));
  return h;
}

function total(h: Harness): number {
  const instance = h.storage.newInstance();
  instance.poll();
  const sum = accounts.reduce((all, oid) => all + balance(instance.load(oid).data), 0);
  instance.release();
  return sum;
}

test('four processes that write and one that reads agree on exact totals', async () => {
  const h = bank('all');
  const seen = new Set<Tid>();
  let rounds = 0;
  // Until it was read between their commits: all of them may be made while this process waits for a processor.
  while (seen.size < 4) {
    rounds++;
    const writers = [1, 2, 3, 4].map(
      (seed) =>
        new Worker({ do: 'transfer', path: h.storage.name, seed: seed * 7_919 * rounds, commits: COMMITS }),
    );
    let running = true;
    const done = Promise.all(writers.map((writer) => writer.done())).finally(() => (running = false));
    while (running) {
      expect(total(h)).toBe(1_000);
      seen.add(h.storage.lastTransaction());
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await done;
  }
  expect(total(h)).toBe(1_000);
  expect([...h.storage.iterate!()]).toHaveLength(1 + rounds * 4 * COMMITS);
  h.storage.close();
});

test('counters of several processes are merged to the exact sum', async () => {
  const h = new Harness(new SqliteStorage(join(directory(), 'count.sqlite')));
  h.commit([{ oid: COUNTER, text: 'count:0' }]);
  const writers = [1, 2, 3].map(() => new Worker({ do: 'count', path: h.storage.name, commits: COMMITS }));
  await Promise.all(writers.map((writer) => writer.done()));
  expect(h.text(COUNTER)).toBe(`count:${3 * COMMITS}`);
  h.storage.close();
});

test.each(['all', 'none'] as const)(
  'a reader holds a snapshot through 1,000 foreign commits (history: %s), and the log stays bounded',
  async (history) => {
    const h = bank(history);
    const reader = new Worker({ do: 'hold', path: h.storage.name });
    await reader.line(1);
    for (let count = 0; count < 1_000; count++) {
      const [from, to] = [accounts[count % 10]!, accounts[(count * 7 + 1) % 10]!];
      if (from === to) continue;
      h.commit(
        [from, to].map((oid, place) => {
          const found = h.storage.load(oid);
          return { oid, serial: found.serial, text: `balance:${balance(found.data) + (place ? 3 : -3)}` };
        }),
      );
      if (count % 250 === 0) reader.process.stdin!.write('sum\n');
    }
    reader.process.stdin!.write('sum\n');
    expect(await reader.line(6)).toBe('1000');
    expect(reader.lines.slice(1)).toEqual(['1000', '1000', '1000', '1000', '1000']);
    expect(statSync(`${h.storage.name}-wal`).size).toBeLessThan(64 * 1024 * 1024);
    reader.process.stdin!.end();
    await reader.exited;
    expect(total(h)).toBe(1_000);
    h.storage.close();
    expect(existsSync(`${h.storage.name}-wal`)).toBe(false);
  },
);

test.each(['all', 'none'] as const)(
  'a snapshot that keeps too much of the log goes on by the history, or says so (history: %s)',
  (history) => {
    const path = join(directory(), 'stale.sqlite');
    const holder = new Harness(new SqliteStorage(path, { history, walLimit: 200_000 }));
    holder.commit(accounts.map((oid) => ({ oid, text: 'balance:100' })));
    const old = holder.storage.newInstance();
    old.poll();
    const untouched = holder.create('untouched');
    for (let count = 0; count < 400; count++)
      holder.change(accounts[count % 9]!, `balance:${count} ${'x'.repeat(3_000)}`);
    const read = (oid: Oid): unknown => {
      try {
        return balance(old.load(oid).data);
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const seen = accounts.map(read);
    if (history === 'all') expect(seen).toEqual(accounts.map(() => 100));
    else expect(seen).toEqual([...Array<string>(9).fill('READ_CONFLICT'), 100]);
    expect(['POS_KEY', 'READ_CONFLICT']).toContain(read(untouched.oid));
    expect(old.poll()).toContain(accounts[0]);
    expect(statSync(`${path}-wal`).size).toBeLessThan(6_000_000);
    holder.storage.close();
  },
);

test('processes that initialise one root at once all see the same one', async () => {
  const path = join(directory(), 'root.sqlite');
  const workers = Array.from({ length: 4 }, () => new Worker({ do: 'initialise', path }));
  const results = await Promise.all(
    workers.map(
      async (worker) => JSON.parse((await worker.done())[0]!) as { made: boolean; root: string; pid: number },
    ),
  );
  const makers = results.filter(({ made }) => made);
  expect(makers).toHaveLength(1);
  for (const { root } of results) expect(root).toBe(`made by ${makers[0]!.pid}`);
});

test('a lock that another process holds for long is a clear, retryable error, and reading goes on', async () => {
  const path = join(directory(), 'locked.sqlite');
  const h = new Harness(new SqliteStorage(path, { lockTimeout: 150 }));
  const { oid } = h.create('there');
  const holder = new Worker({ do: 'lock', path });
  await holder.line(1);
  const start = performance.now();
  expect(() => h.change(oid, 'late')).toThrow(
    expect.objectContaining({
      code: 'LOCK_TIMEOUT',
      retryable: true,
      message: expect.stringContaining('150 ms'),
    }),
  );
  // Longer than it was told to, but far from what is usual.
  expect(performance.now() - start).toBeGreaterThanOrEqual(150);
  expect(performance.now() - start).toBeLessThan(30_000);
  expect(h.text(oid)).toBe('there');
  await holder.kill();
  h.change(oid, 'now');
  expect(h.text(oid)).toBe('now');
  h.storage.close();
});

test('each acknowledged commit was synced before', async () => {
  if (spawnSync('strace', ['-V']).status !== 0) {
    console.info('strace is not installed: the order of syncs and acknowledgements is not traced.');
    return;
  }
  const path = join(directory(), 'traced.sqlite');
  const log = join(directory(), 'trace');
  const worker = new Worker({ do: 'churn', path }, [
    'strace',
    '-f',
    '-o',
    log,
    '-e',
    'trace=fsync,fdatasync,write,pwrite64',
  ]);
  await worker.line(30);
  await worker.kill();
  let synced = false;
  let acknowledged = 0;
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    // Told in two lines when another thread of the program called something meanwhile.
    if (/f(data)?sync(\(\d+| resumed>\s*)\)\s+= 0/.test(line)) synced = true;
    else if (/pwrite64\(/.test(line)) synced = false;
    else if (/write\(1, "\d+\\n"/.test(line)) {
      expect(synced).toBe(true);
      acknowledged++;
    }
  }
  expect(acknowledged).toBeGreaterThan(20);
});

test('a root oid is never given out', () => {
  const h = new Harness(new SqliteStorage(join(directory(), 'oids.sqlite')));
  expect(h.storage.newOid()).toBeGreaterThan(ROOT_OID);
  h.storage.close();
});
