/** Programs that share a database, and are killed. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DB, registry } from '../../../src';
import { ensureBuilt } from '../../built';
import { PostgresServer } from './server';

const soak = Number(process.env.ZODB_SOAK ?? 0);
const ROUNDS = 2 + Math.round(soak * 5);
const WRITERS = 3;
const ACCOUNTS = 5;

class Account {
  balance = 0;
}

const PROGRAM = `
  const { DB, registry } = require(process.argv[1]);
  class Account { balance = 0; }
  registry.register('bank', 'Account', Account);
  const [url, me] = process.argv.slice(2);
  const db = new DB(url);
  let state = Number(me) + 1;
  const random = (below) => (state = (state * 48271) % 0x7fffffff) % below;
  for (;;) {
    db.transaction((root) => {
      const from = random(${ACCOUNTS});
      const to = (from + 1 + random(${ACCOUNTS} - 1)) % ${ACCOUNTS};
      root.accounts[from].balance -= 3;
      root.accounts[to].balance += 3;
      root.writers[me].balance += 1;
    }, { attempts: 1000 });
    console.log('committed');
  }`;

if (!PostgresServer.isHere) test('PostgreSQL is not here', () => expect(PostgresServer.isHere).toBe(false));
else {
  const server = new PostgresServer();
  beforeAll(() => ensureBuilt());
  beforeAll(() => registry.register('bank', 'Account', Account));
  afterAll(() => server.remove());

  interface Writer {
    readonly process: ChildProcess;
    acknowledged: number;
  }

  function start(url: string, me: number): Writer {
    const dist = join(__dirname, '../../../dist/index.js');
    const child = spawn(process.execPath, ['-e', PROGRAM, dist, url, String(me)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const writer: Writer = { process: child, acknowledged: 0 };
    createInterface({ input: child.stdout }).on('line', () => writer.acknowledged++);
    return writer;
  }

  it(
    'killed at any moment: what they were told of is there, at most one more, and sums are exact',
    async () => {
      const url = server.newUrl();
      const db = new DB(url);
      db.transaction((root) => {
        root.accounts = Array.from({ length: ACCOUNTS }, () => new Account());
        root.writers = Array.from({ length: WRITERS }, () => new Account());
      });
      const counts = (): number[] =>
        db.transaction((root) => (root.writers as Account[]).map(({ balance }) => balance));
      const sum = (): number =>
        db.transaction((root) =>
          (root.accounts as Account[]).reduce((total, { balance }) => total + balance, 0),
        );
      for (let round = 0; round < ROUNDS; round++) {
        const before = counts();
        const writers = Array.from({ length: WRITERS }, (_, me) => start(url, me));
        // Until each has committed, and the totals were read in between.
        while (writers.some(({ acknowledged }) => acknowledged < 5)) {
          expect(sum()).toBe(0);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        const ended = writers.map(({ process: child }) => once(child, 'close'));
        for (const { process: child } of writers) child.kill('SIGKILL');
        await Promise.all(ended);
        const after = counts();
        for (const [me, { acknowledged }] of writers.entries()) {
          const done = after[me]! - before[me]!;
          expect(done - acknowledged).toBeGreaterThanOrEqual(0);
          expect(done - acknowledged).toBeLessThanOrEqual(1);
        }
        expect(sum()).toBe(0);
      }
      db.close();
    },
    600_000 * Math.max(1, soak),
  );
}
