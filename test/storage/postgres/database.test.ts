/** The whole of it over PostgreSQL: objects, their past, their blobs, and the command. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Blob, DB, registry, transaction, type Change } from '../../../src';
import { OOBTree } from '../../../src/btrees';
import { openStorage, TransactionMetaData } from '../../../src/storage';
import { record } from '../../../src/testing';
import { ensureBuilt } from '../../built';
import { PostgresServer } from './server';

class Account {
  balance = 0;
  history: string[] = [];
}

if (!PostgresServer.isHere) test('PostgreSQL is not here', () => expect(PostgresServer.isHere).toBe(false));
else {
  const server = new PostgresServer();
  registry.register('bank', 'Account', Account);
  const directory = mkdtempSync(join(tmpdir(), 'zodb-postgres-'));
  const opened: DB[] = [];
  beforeAll(() => ensureBuilt());
  afterEach(() => {
    for (const db of opened.splice(0)) db.close();
  });
  afterAll(() => {
    server.remove();
    rmSync(directory, { recursive: true });
  });

  function open(url: string): DB {
    const db = new DB(url);
    opened.push(db);
    return db;
  }

  function zodb(...args: string[]): string {
    const main = join(__dirname, '../../../dist/cli/main.js');
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return stdout;
  }

  it('keeps objects, what changes inside them, their past and their blobs', () => {
    const url = server.newUrl();
    const db = open(url);
    db.transaction((root) => {
      root.accounts = new OOBTree<string, Account>();
      for (let i = 0; i < 500; i++) (root.accounts as OOBTree<string, Account>).set(`a${i}`, new Account());
      root.picture = new Blob(Buffer.alloc(3_000_000, 'picture'));
    });
    const before = db.lastTransaction();
    db.transaction((root) => {
      const account = (root.accounts as OOBTree<string, Account>).get('a77')!;
      account.balance = 100;
      account.history.push('+100');
    });
    const other = open(url);
    other.transaction((root) => {
      const accounts = root.accounts as OOBTree<string, Account>;
      expect(accounts.get('a77')).toEqual({ balance: 100, history: ['+100'] });
      expect([...accounts.values()].reduce((sum, { balance }) => sum + balance, 0)).toBe(100);
      expect((root.picture as Blob).read().equals(Buffer.alloc(3_000_000, 'picture'))).toBe(true);
    });
    const past = other.open({ at: before });
    expect((past.root.accounts as OOBTree<string, Account>).get('a77')!.balance).toBe(0);
    past.close();
    db.undo(db.undoLog()[0]!.id);
    transaction.commit();
    other.transaction((root) => {
      expect((root.accounts as OOBTree<string, Account>).get('a77')!.history).toEqual([]);
    });
    expect(db.pack().revisions).toBeGreaterThan(0);
  });

  it('tells listeners what others commit, without being asked', async () => {
    const url = server.newUrl();
    const [db, other] = [open(url), open(url)];
    db.transaction((root) => void (root.count = 0));
    const stop = new AbortController();
    const told = (async (): Promise<Change | undefined> => {
      for await (const change of other.changes({ signal: stop.signal })) return change;
      return undefined;
    })();
    // It listens from its first statement on.
    other.transaction((root) => root.count);
    db.transaction((root) => void (root.count = 1), { note: 'from afar' });
    expect((await told)?.tid).toBe(db.lastTransaction());
    stop.abort();
  });

  it('an asynchronous commit that waits for another program leaves the event loop free', async () => {
    const url = server.newUrl();
    const db = open(url);
    db.transaction((root) => void (root.count = 0));
    const holder = openStorage(url);
    const txn = new TransactionMetaData();
    holder.tpcBegin(txn);
    holder.store(holder.newOid(), 0n as never, record('held'), txn);
    holder.tpcVote(txn);
    let turns = 0;
    const commit = db.transaction(async (root) => {
      root.count = await Promise.resolve(1);
    });
    while (turns < 20) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      turns++;
    }
    holder.tpcFinish(txn);
    await commit;
    expect(db.transaction((root) => root.count)).toBe(1);
    holder.close();
  });

  it('is a database to the command: copied into and out of, packed, looked at', () => {
    const [url, file] = [server.newUrl(), join(directory, 'bank.sqlite')];
    const db = open(file);
    db.transaction((root) => void (root.text = 'one'));
    db.transaction((root) => {
      root.text = 'two';
      root.blob = new Blob(Buffer.from('content'));
    });
    db.close();
    zodb('copy', file, url);
    expect(zodb('dump', '--transactions', url)).toBe(zodb('dump', '--transactions', file));
    const again = join(directory, 'again.fs');
    zodb('copy', url, again);
    expect(zodb('dump', '--transactions', again)).toBe(zodb('dump', '--transactions', file));
    expect(JSON.parse(zodb('--json', 'info', url))).toMatchObject({ objects: 2 });
    expect(JSON.parse(zodb('--json', 'pack', url))).toMatchObject({ revisions: 2 });
    expect(zodb('dump', url)).toBe(zodb('dump', file));
    const main = join(__dirname, '../../../dist/cli/main.js');
    const { status, stderr } = spawnSync(process.execPath, [main, 'check', url], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining('zodb refs') });
  });
}
