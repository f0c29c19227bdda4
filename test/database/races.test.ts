/**
 * The classic races (`ZODB/src/ZODB/tests/racetest.py`, `test_racetest.py`; ZODB#290, #313, #319, #50), each forced: while
 * one connection commits, another one does something at every point of the commit.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DB,
  LockError,
  oidOf,
  persistent,
  POSKeyError,
  ReadConflictError,
  TransactionManager,
  type Connection,
} from 'zodb';
import { FileStorage, MemoryStorage, SqliteStorage, type Storage } from '../../src/storage/index';
import { user } from './databases';
import { recordCalls } from './recording';

@persistent('test.races.Cell')
class Cell {
  value = 0;
  next: Cell | null = null;
}

const POINTS = ['tpcBegin', 'store', 'tpcVote', 'tpcFinish', 'poll'].flatMap((call) => [
  `before ${call}`,
  `after ${call}`,
]);

describe.each(['memory', 'sqlite', 'file'] as const)('while another connection commits (%s)', (kind) => {
  let directory: string;
  let db: DB;
  let hooks: Map<string, () => void>;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'zodb-races-'));
    const storage: Storage = {
      memory: () => new MemoryStorage(),
      sqlite: () => new SqliteStorage(join(directory, 'data.sqlite')),
      file: () => new FileStorage(join(directory, 'Data.fs')),
    }[kind]();
    const recorded = recordCalls(storage);
    hooks = recorded.hooks;
    db = new DB(recorded.storage) as unknown as DB;
    db.transaction((root) => {
      root.a = new Cell();
      root.b = new Cell();
    });
  });
  afterEach(() => {
    db.close();
    rmSync(directory, { recursive: true });
  });

  /** Commits `a` and `b` with the same new value, and does `work` at `point`. Says whether that point was reached. */
  function commitWith(point: string, work: () => void): boolean {
    const ann = user(db);
    const value = (ann.root.a as Cell).value + 1;
    (ann.root.a as Cell).value = value;
    (ann.root.b as Cell).value = value;
    let done = false;
    hooks.set(point, () => {
      work();
      done = true;
    });
    ann.commit();
    hooks.clear();
    ann.close();
    return done;
  }

  const values = ({ root }: Connection): [number, number] => [(root.a as Cell).value, (root.b as Cell).value];

  test.each(POINTS)(
    'race of load and invalidation, %s: a snapshot stays as it is, whatever it has loaded',
    (point) => {
      const ben = user(db);
      const before = (ben.root.a as Cell).value;
      expect(
        commitWith(point, () => {
          expect(values(ben)).toEqual([before, before]);
          ben.cacheMinimize();
          expect(values(ben)).toEqual([before, before]);
        }),
      ).toBe(true);
      expect(values(ben)).toEqual([before, before]);
      ben.sync();
      expect(values(ben)).toEqual([before + 1, before + 1]);
    },
  );

  test.each(POINTS)(
    'race of open and invalidation, %s: a new connection sees all of the commit, or nothing',
    (point) => {
      const before = db.transaction((root) => (root.a as Cell).value);
      let seen: [number, number] | undefined;
      let opened: Connection | undefined;
      expect(
        commitWith(point, () => {
          opened = user(db);
          seen = values(opened);
        }),
      ).toBe(true);
      expect(seen![0]).toBe(seen![1]);
      const committed = point.endsWith('poll') || point === 'after tpcFinish';
      expect(seen![0]).toBe(committed ? before + 1 : before);
      expect(values(opened!)).toEqual(seen);
      opened!.sync();
      expect(values(opened!)).toEqual([before + 1, before + 1]);
    },
  );

  test.each(POINTS)(
    'race of begin and invalidation, %s: the next transaction after it sees the commit',
    (point) => {
      const ben = user(db);
      const before = values(ben)[0];
      expect(
        commitWith(point, () => {
          ben.sync();
          const [a, b] = values(ben);
          expect(a).toBe(b);
        }),
      ).toBe(true);
      ben.sync();
      expect(values(ben)).toEqual([before + 1, before + 1]);
    },
  );

  test.each(POINTS)(
    'race of two commits, %s: the second one is refused at once or waits its turn, and none is lost',
    (point) => {
      const ben = user(db);
      ben.root.c = 1;
      expect(
        commitWith(point, () => {
          try {
            ben.commit();
          } catch (error) {
            expect(error).toBeInstanceOf(LockError);
            expect((error as LockError).retryable).toBe(true);
            ben.abort();
            ben.root.c = 1;
          }
        }),
      ).toBe(true);
      ben.commit();
      const seen = db.transaction((root) => [root.c, (root.a as Cell).value === (root.b as Cell).value]);
      expect(seen).toEqual([1, true]);
    },
  );

  test.each(POINTS)('race of lastTransaction, %s: all of what it names can be loaded', (point) => {
    expect(
      commitWith(point, () => {
        const last = db.lastTransaction();
        const at = db.open({
          at: last,
          transactionManager: new TransactionManager(),
        }) as unknown as Connection;
        const [a, b] = values(at);
        expect(a).toBe(b);
        expect(user(db).snapshot >= last).toBe(true);
        at.close();
      }),
    ).toBe(true);
  });

  test('race of pack and an old snapshot: what is gone is a ReadConflictError, and trying again helps', () => {
    const ben = user(db);
    commitWith('before store', () => undefined);
    db.pack();
    try {
      expect(values(ben)).toEqual([0, 0]);
    } catch (error) {
      expect(error).toBeInstanceOf(ReadConflictError);
      expect((error as ReadConflictError).retryable).toBe(true);
    }
    ben.abort();
    expect(values(ben)).toEqual([1, 1]);
  });

  test('race of pack and a commit that links what the pack removes: either it is kept, or the commit is refused', () => {
    db.transaction((root) => {
      root.lost = new Cell();
    });
    const ben = user(db);
    const lost = ben.root.lost as Cell;
    const oid = oidOf(lost)!;
    expect(lost.value).toBe(0);
    db.transaction((root) => {
      delete root.lost;
    });
    (ben.root.a as Cell).next = lost;
    let isPacked = false;
    hooks.set('before tpcBegin', () => {
      db.pack();
      isPacked = true;
    });
    expect(() => ben.commit()).toThrow('Cell.next');
    expect(isPacked).toBe(true);
    ben.abort();
    expect(() => ben.get(oid)).toThrow(POSKeyError);
    expect((ben.root.a as Cell).next).toBeNull();
  });
});
