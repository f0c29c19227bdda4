/** What is changed while a commit is under way (an asynchronous one waits) belongs to the next transaction: it is neither lost nor torn. */
import { ConflictError, DB, TransactionManager, type DataManager } from 'zodb';
import { oidOf, persistent, PersistentList, PersistentMapping, statusOf } from '../../src/persistence/index';
import { MapJar, Records } from './map-jar';
import { atItsVote } from './at-its-vote';

@persistent('during.Item')
class Item {
  n = 0;
  tags: string[] = [];
  next: Item | null = null;
  [extra: `x${number}`]: number;
}

@persistent('during.Nosy')
class Nosy {
  seen = 0;
  constructor(readonly other: Item) {}

  __getstate__(): unknown {
    this.other.n += 1;
    return { seen: this.seen, other: this.other };
  }
}

@persistent('during.Box')
class Box {
  item = new Item();
  other = new Item();
  list = new PersistentList<number>();
  map = new PersistentMapping<string, number[]>();
}

function setup(): { box: Box; jar: MapJar; records: Records; again: () => Box } {
  const records = new Records();
  const first = new MapJar(records);
  const oid = first.cache.add(new Box());
  first.commit();
  const jar = new MapJar(records);
  return {
    box: jar.cache.get(oid) as Box,
    jar,
    records,
    again: () => new MapJar(records).cache.get(oid) as Box,
  };
}

const changes: [name: string, change: (box: Box) => void, look: (box: Box) => unknown, value: unknown][] = [
  ['a field that was written', (box) => (box.item.n = 2), (box) => box.item.n, 2],
  ['a field of an object that is no part of it', (box) => (box.other.n = 2), (box) => box.other.n, 2],
  ['a plain value that was written', (box) => box.item.tags.push('b'), (box) => box.item.tags, ['a', 'b']],
  ['a plain value elsewhere', (box) => box.other.tags.push('b'), (box) => box.other.tags, ['b']],
  ['another plain value', (box) => (box.item.tags = ['c']), (box) => box.item.tags, ['c']],
  ['a new field', (box) => (box.item.x1 = 1), (box) => box.item.x1, 1],
  ['a new object', (box) => (box.item.next = new Item()), (box) => box.item.next, new Item()],
  ['a list', (box) => box.list.push(2), (box) => [...box.list], [1, 2]],
  ['a mapping', (box) => box.map.set('b', []), (box) => [...box.map], [['a', [1]], ['b', []]]], // prettier-ignore
  ['a value in a mapping', (box) => box.map.get('a')!.push(2), (box) => box.map.get('a'), [1, 2]],
];

describe.each(changes)('%s, changed during a commit', (_name, change, look, value) => {
  function begun(): ReturnType<typeof setup> {
    const made = setup();
    made.box.item.n = 1;
    made.box.item.tags.push('a');
    made.box.list.push(1);
    made.box.map.set('a', [1]);
    return made;
  }

  test('is saved by the next one', () => {
    const { box, jar, again } = begun();
    jar.commit(() => void change(box));
    const between = again();
    expect([between.item.n, between.item.tags, [...between.list]]).toEqual([1, ['a'], [1]]);
    expect(look(box)).toEqual(value);
    jar.commit();
    expect(look(again())).toEqual(value);
    expect(jar.cache.statistics.changed).toBe(0);
  });

  test('is taken back by an abort after it', () => {
    const { box, jar, again } = begun();
    const fresh = setup();
    jar.commit(() => void change(box));
    jar.cache.flushExposed();
    jar.abort();
    expect(look(box)).toEqual(look(again()));
    expect(jar.cache.statistics.changed).toBe(0);
    expect(statusOf(fresh.box)).toBe('saved');
  });

  test('goes with the commit when that fails', () => {
    const { box, jar, again } = begun();
    expect(() =>
      jar.commit(() => {
        change(box);
        throw new Error('veto');
      }),
    ).toThrow('veto');
    expect(look(box)).toEqual(look(again()));
    expect(again().item.n).toBe(0);
  });

  test('is there still after everything else had to leave memory', () => {
    const { box, jar, again } = begun();
    jar.cache.targetCount = 1;
    jar.commit(() => {
      change(box);
      jar.cache.shrink(true);
      jar.cache.minimize();
    });
    jar.cache.minimize();
    expect(look(box)).toEqual(value);
    jar.commit();
    expect(look(again())).toEqual(value);
  });
});

test('what is written is not evicted before the commit is over', () => {
  const { box, jar } = setup();
  box.item.n = 1;
  jar.commit(() => {
    jar.cache.minimize();
    expect([box.item.n, statusOf(box.item)]).toEqual([1, 'changed']);
  });
  expect([box.item.n, statusOf(box.item)]).toEqual([1, 'saved']);
});

test('what others resolved otherwise conflicts with what was changed again', () => {
  const { box, jar, records } = setup();
  box.item.n = 1;
  jar.commit(() => {
    box.item.n = 2;
    jar.cache.resolved(oidOf(box.item)!);
  });
  expect(() => jar.commit()).toThrow(ConflictError);
  expect([box.item.n, records.log.length]).toEqual([1, 2]);
});

test('an object that is new then is free again after an abort', () => {
  const { box, jar } = setup();
  const item = new Item();
  box.item.n = 1;
  jar.commit(() => {
    jar.cache.add(item);
    item.tags.push('mine');
  });
  expect(statusOf(item)).toBe('changed');
  jar.cache.flushExposed();
  jar.abort();
  expect([statusOf(item), oidOf(item), item.tags]).toEqual(['unsaved', undefined, ['mine']]);
});

test('what a __getstate__ changes is saved by the next commit', () => {
  const records = new Records();
  const jar = new MapJar(records);
  const item = new Item();
  jar.cache.add(item);
  const oid = jar.cache.add(new Nosy(item));
  jar.commit();
  expect([item.n, statusOf(item)]).toEqual([1, 'changed']);
  jar.commit();
  expect((new MapJar(records).cache.get(oid) as Nosy).other.n).toBe(1);
});

test('when the connection takes no changes any more, that is an error once', () => {
  const { box, jar } = setup();
  const item = new Item();
  box.item.n = 1;
  jar.commit(() => {
    box.item.n = 2;
    jar.cache.add(item);
  });
  jar.readOnly = true;
  expect(() => jar.commit()).toThrow('read-only');
  expect([box.item.n, statusOf(item), jar.cache.statistics.changed]).toEqual([1, 'unsaved', 0]);
  jar.commit();
});

test('a database: during commitAsync() with a slow second resource', async () => {
  const nothing = (): void => undefined;
  const db = new DB();
  db.transaction((root: Record<string, unknown>) => void (root['box'] = new Box()));
  const manager = new TransactionManager();
  const conn = db.open({ transactionManager: manager });
  const { box } = conn.root as unknown as { box: Box };
  const stored = (): unknown =>
    db.transaction((root) => {
      const { item, other } = (root as { box: Box }).box;
      return [item.n, [...item.tags], other.n];
    });
  box.item.n = 1;
  box.item.tags.push('a');
  let vote = nothing;
  const voted = new Promise<void>((resolve) => (vote = resolve));
  let voting = nothing;
  const reached = new Promise<void>((resolve) => (voting = resolve));
  const slow: DataManager = {
    mode: 'both',
    sortKey: () => '~',
    tpcBegin: nothing,
    commit: nothing,
    tpcVote: nothing,
    tpcVoteAsync() {
      voting();
      return voted;
    },
    tpcFinish: nothing,
    tpcAbort: nothing,
    abort: nothing,
  };
  manager.get().join(slow);
  const committing = manager.commitAsync();
  await reached;
  box.item.n = 2;
  box.item.tags.push('b');
  box.other.n = 3;
  vote();
  await committing;
  expect(stored()).toEqual([1, ['a'], 0]);
  expect(() => conn.close()).toThrow('uncommitted');
  manager.commit();
  expect(stored()).toEqual([2, ['a', 'b'], 3]);
  conn.close();
  db.close();
});

describe.each([0, 1, 10_000])('in a connection that keeps %i objects', (cacheSize) => {
  function opened() {
    const db = new DB(null, { cacheSize, root: { box: () => new Box() } });
    const manager = new TransactionManager();
    const connection = db.open({ transactionManager: manager });
    const during = (change: () => void): void => {
      manager.get().join(atItsVote(change));
      manager.commit();
    };
    return { db, manager, connection, root: connection.root, during };
  }

  test.each(changes.filter(([name]) => name.includes('value')))(
    '%s, changed during a commit, is saved by the next one',
    (_name, change, look, value) => {
      const { db, manager, connection, root, during } = opened();
      root.box.item.tags.push('a');
      root.box.map.set('a', [1]);
      during(() => void change(root.box));
      manager.commit();
      expect(db.transaction(({ box }) => look(box))).toEqual(value);
      connection.close();
      db.close();
    },
  );

  test('a change inside a value during a commit meets what others committed meanwhile: a conflict, not a loss', () => {
    const { db, manager, connection, root, during } = opened();
    during(() => {
      root.box.item.tags.push('mine');
      db.transaction(({ box }) => void (box.item.n = 7));
    });
    expect(() => manager.commit()).toThrow(ConflictError);
    manager.abort();
    expect([root.box.item.n, root.box.item.tags]).toEqual([7, []]);
    root.box.item.tags.push('mine');
    manager.commit();
    expect(db.transaction(({ box }) => [box.item.n, [...box.item.tags]])).toEqual([7, ['mine']]);
    connection.close();
    db.close();
  });

  test('a change inside a value during a commit is saved by the next one after a pack', () => {
    const { db, manager, connection, root, during } = opened();
    root.box.item.n = 1;
    manager.commit();
    db.pack();
    root.box.other.n = 1;
    during(() => root.box.item.tags.push('mine'));
    manager.commit();
    expect(db.transaction(({ box }) => [...box.item.tags])).toEqual(['mine']);
    connection.close();
    db.close();
  });
});
