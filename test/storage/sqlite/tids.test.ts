import { join } from 'node:path';
import { DB } from '../../../src/database/index';
import { SqliteStorage } from '../../../src/storage';
import { TransactionManager } from '../../../src/transaction/index';
import { persistent } from '../../../src/persistence/index';
import { temporaryDirectory } from './temporary';

const directory = temporaryDirectory();

@persistent('test.sqlite.tids.Item')
class Item {
  n = 0;
}

interface Root {
  old: Item;
  busy: Item;
}

test.each(['all', 'none'] as const)(
  'a snapshot shows objects of commits that another program has packed away since, with history %j',
  (history) => {
    const path = join(directory(), 'test.sqlite');
    const root = { old: () => new Item(), busy: () => new Item() };
    const writer = new DB(new SqliteStorage(path, { history, durability: 'normal' }), { root });
    writer.transaction(({ old }) => void (old.n = 1));
    const written = writer.lastTransaction();
    // Numbers and tids of commits are read in pages: that of `old` is none of the newest.
    for (let n = 1; n <= 600; n++) writer.transaction(({ busy }) => void (busy.n = n));
    const reader = new DB(new SqliteStorage(path), {});
    const connection = reader.open({ transactionManager: new TransactionManager() });
    const seen = connection.root as unknown as Root;
    expect(seen.busy.n).toBe(600);

    writer.transaction((now) => {
      now.old.n = 2;
      now.busy.n = 601;
    });
    writer.pack({ days: 0 });
    expect(seen.old.n).toBe(1);
    expect((seen.old as { _p_serial?: bigint })._p_serial).toBe(written);
    connection.sync();
    expect([seen.old.n, seen.busy.n]).toEqual([2, 601]);
    connection.close();
    reader.close();
    writer.close();
  },
);
