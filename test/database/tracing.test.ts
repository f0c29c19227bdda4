/** What can be seen from outside: diagnostics channels, warnings, counters. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import {
  ActivityMonitor,
  ConflictError,
  DB,
  InvalidArgumentError,
  oidOf,
  persistent,
  type CommitMessage,
  type ConflictMessage,
  type LoadMessage,
  type PackMessage,
  type StoreMessage,
} from 'zodb';
import { Length } from 'zodb/btrees';
import { user } from './databases';

@persistent('test.tracing.Person')
class Person {
  home: Place | null = null;
  constructor(public name = '') {}
}

@persistent('test.tracing.Place')
class Place {
  constructor(public town = '') {}
}

interface Message {
  load: LoadMessage;
  store: StoreMessage;
  commit: CommitMessage;
  conflict: ConflictMessage;
  pack: PackMessage;
}

/** Messages of a channel while `work` runs. */
async function messages<K extends keyof Message>(name: K, work: () => unknown): Promise<Message[K][]> {
  const heard: Message[K][] = [];
  const listener = (message: unknown): void => {
    heard.push(message as Message[K]);
  };
  subscribe(`zodb:${name}`, listener);
  try {
    await work();
  } finally {
    unsubscribe(`zodb:${name}`, listener);
  }
  return heard;
}

function warningsDuring(work: () => void): string[] {
  const spy = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  try {
    work();
    return spy.mock.calls.map(([message]) => String(message));
  } finally {
    spy.mockRestore();
  }
}

let db: DB;
beforeEach(() => {
  db = new DB(null, { databaseName: 'traced', singleLoadWarning: 20 }) as unknown as DB;
});
afterEach(() => {
  db.close();
});

test('zodb:load, zodb:store and zodb:commit tell of objects, sizes and times', async () => {
  const person = new Person('Ann');
  const stores = await messages('store', () => {
    db.transaction((root) => {
      root.person = person;
    });
  });
  expect(stores.map(({ database, className }) => [database, className])).toEqual([
    ['traced', 'persistent.mapping.PersistentMapping'],
    ['traced', 'test.tracing.Person'],
  ]);
  expect(stores.every(({ size }) => size > 20)).toBe(true);
  db.cacheMinimize();
  const loads = await messages('load', () => {
    const ann = user(db);
    void (ann.root.person as Person).name;
    ann.close();
  });
  expect(loads.map(({ oid }) => oid)).toEqual([0, 1]);
  const commits = await messages('commit', () => {
    db.transaction((root) => {
      (root.person as Person).name = 'Ben';
    });
  });
  expect(commits).toEqual([
    { database: 'traced', tid: db.lastTransaction(), oids: [1], milliseconds: expect.any(Number) as number },
  ]);
});

test('zodb:conflict tells of conflicts, merged or not', async () => {
  const [ann, ben] = [user(db), user(db)];
  ann.root.total = new Length();
  ann.root.person = new Person();
  ann.commit();
  ben.sync();
  (ann.root.total as Length).change(1);
  ann.commit();
  (ben.root.total as Length).change(1);
  const merged = await messages('conflict', () => {
    ben.commit();
  });
  expect(merged).toEqual([
    { database: 'traced', oid: oidOf(ann.root.total as Length), className: undefined, resolved: true },
  ]);
  ann.sync();
  (ann.root.person as Person).name = 'a';
  (ben.root.person as Person).name = 'b';
  ann.commit();
  const refused = await messages('conflict', () => {
    expect(() => ben.commit()).toThrow(ConflictError);
  });
  expect(refused).toMatchObject([{ className: 'test.tracing.Person', resolved: false }]);
  ben.abort();
});

test('zodb:pack tells of begin and end, of packs that fail, too', async () => {
  const phases = async (work: () => unknown) => (await messages('pack', work)).map(({ phase }) => phase);
  expect(await phases(() => db.pack())).toEqual(['begin', 'end']);
  expect(await phases(() => db.packAsync())).toEqual(['begin', 'end']);
  const aborted = AbortSignal.abort(new Error('stop'));
  expect(
    await phases(() => {
      expect(() => db.pack({ signal: aborted })).toThrow('stop');
    }),
  ).toEqual(['begin', 'end']);
  expect(await phases(() => db.packAsync({ signal: aborted }).catch(() => undefined))).toEqual([
    'begin',
    'end',
  ]);
});

describe('references followed one by one', () => {
  beforeEach(() => {
    db.transaction((root) => {
      root.people = Array.from({ length: 50 }, (_, index) =>
        Object.assign(new Person(`p${index}`), { home: new Place(`t${index}`) }),
      );
    });
    db.cacheMinimize();
  });
  const walk = (prefetch: boolean): void => {
    db.transaction((root, connection) => {
      const people = root.people as Person[];
      if (prefetch) expect(connection.prefetchReferences(people, 'home')).toBe(50);
      for (const { home } of people) void home!.town;
    });
  };

  test('are warned of once, by class and field', () => {
    expect(
      warningsDuring(() => {
        walk(false);
        db.cacheMinimize();
        walk(false);
      }),
    ).toEqual([
      'Person.home was followed 20 times in one transaction, each time with a load of its own (N+1). ' +
        'connection.prefetchReferences(objects, "home") loads them together.',
    ]);
  });

  test('are not when they were prefetched, or few in each transaction', () => {
    expect(
      warningsDuring(() => {
        walk(true);
        for (let at = 0; at < 50; at++) {
          db.cacheMinimize();
          db.transaction((root) => void (root.people as Person[])[at]!.home!.town);
        }
      }),
    ).toEqual([]);
  });
});

describe('prefetchReferences()', () => {
  test('loads what fields refer to in one storage call, inside of plain values, too', () => {
    db.transaction((root) => {
      root.people = Array.from({ length: 30 }, (_, index) =>
        Object.assign(new Person(`p${index}`), { home: new Place('a'), more: { places: [new Place('b')] } }),
      );
    });
    const ann = user(db);
    ann.cacheMinimize();
    const people = ann.root.people as (Person & { more: { places: Place[] } })[];
    ann.getTransferCounts({ clear: true });
    expect(ann.prefetchReferences(people)).toBe(60);
    expect(ann.getTransferCounts({ clear: true }).loads).toBe(60);
    for (const { home, more } of people) expect([home!.town, more.places[0]!.town]).toEqual(['a', 'b']);
    expect(ann.getTransferCounts().loads).toBe(0);
    expect(ann.prefetchReferences(people, 'home')).toBe(0);
    expect(ann.prefetchReferences([new Person()], 'home', 'nothing')).toBe(0);
    expect(() => ann.prefetchReferences([5 as never])).toThrow(InvalidArgumentError);
    ann.close();
    expect(() => ann.prefetchReferences(people)).toThrow('closed');
  });
});

describe('an activity monitor', () => {
  test('counts loads, stores and connections; the intervals sum up to the totals', () => {
    const monitor = (db.activityMonitor = new ActivityMonitor());
    for (let round = 0; round < 3; round++) {
      db.transaction((root) => {
        root.person = new Person();
      });
    }
    const intervals = monitor.analysis({ divisions: 7 });
    const sum = (key: 'loads' | 'stores' | 'connections') =>
      intervals.reduce((total, interval) => total + interval[key], 0);
    expect(intervals).toHaveLength(7);
    expect([sum('stores'), sum('connections')]).toEqual([6, 3]);
    expect(sum('loads')).toBeGreaterThanOrEqual(0);
    for (let at = 1; at < 7; at++) expect(intervals[at]!.start).toEqual(intervals[at - 1]!.end);
    expect(() => monitor.analysis({ divisions: 0 })).toThrow(InvalidArgumentError);
  });

  test('forgets what is older than its history', () => {
    const monitor = new ActivityMonitor(60);
    const clock = jest.spyOn(Date, 'now').mockReturnValue(1_000_000);
    monitor.closedConnection(5, 5);
    clock.mockReturnValue(1_050_000);
    monitor.closedConnection(1, 2);
    expect(monitor.analysis({ divisions: 1 })).toMatchObject([{ loads: 6, stores: 7, connections: 2 }]);
    clock.mockReturnValue(1_070_000);
    monitor.closedConnection(0, 0);
    expect(monitor.analysis({ divisions: 1 })).toMatchObject([{ loads: 1, stores: 2, connections: 2 }]);
    monitor.historyLength = 1;
    expect(monitor.analysis({ divisions: 1 })).toMatchObject([{ connections: 1 }]);
    clock.mockRestore();
  });
});
