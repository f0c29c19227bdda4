/**
 * Two and three connections, step by step in an order that a seed decides, against a model: snapshot isolation, write
 * conflicts, merges, readCurrent, savepoints, undo, pack, eviction, closing and reopening.
 */
import fc from 'fast-check';
import {
  ConflictError,
  persistent,
  ReadConflictError,
  TransactionManager,
  UndoError,
  type Connection,
  type DB,
  type Tid,
} from 'zodb';
import { Length } from 'zodb/btrees';
import type { Savepoint } from '../../src/transaction/index';
import { onEveryDatabase } from './databases';
import { isCounter, ModelDatabase, ModelUser, type Outcome, type State } from './model';

@persistent('test.interleavings.Cell')
class Cell {
  value = 0;
  list: number[] = [];
}

const NAMES = ['cell0', 'cell1', 'cell2', 'counter'];
const scale = Number(process.env.ZODB_SOAK ?? 1);

type Step =
  | { do: 'read' | 'write' | 'push' | 'readCurrent'; user: number; name: string }
  | { do: 'commit' | 'abort' | 'sync' | 'savepoint' | 'minimize' | 'reopen'; user: number }
  | { do: 'rollback' | 'undo'; user: number; nth: number }
  | { do: 'pack'; user: number };

const user = fc.nat(2);
const named = fc.record({
  do: fc.constantFrom('read', 'write', 'push', 'readCurrent'),
  user,
  name: fc.constantFrom(...NAMES),
});
const plain = fc.record({
  do: fc.constantFrom('commit', 'commit', 'abort', 'sync', 'savepoint', 'minimize', 'reopen'),
  user,
});
const numbered = fc.record({ do: fc.constantFrom('rollback', 'undo'), user, nth: fc.nat(3) });
const pack = fc.record({ do: fc.constant('pack'), user });
const step = fc.oneof(
  { weight: 12, arbitrary: named },
  { weight: 8, arbitrary: plain },
  { weight: 3, arbitrary: numbered },
  { weight: 1, arbitrary: pack },
) as fc.Arbitrary<Step>;

/** One user: the real connection, and what the model says of it. */
class Actor {
  readonly manager = new TransactionManager();
  readonly model: ModelUser;
  connection: Connection;
  savepoints: Savepoint[] = [];

  constructor(
    readonly db: DB,
    readonly modelDb: ModelDatabase,
  ) {
    this.model = new ModelUser(modelDb);
    this.connection = this.#open();
  }

  #open(): Connection {
    return this.db.open({ transactionManager: this.manager });
  }

  object(name: string): Cell | Length {
    return this.connection.root[name] as Cell | Length;
  }

  look(name: string): State {
    const object = this.object(name);
    return object instanceof Cell
      ? { value: object.value, list: [...object.list] }
      : { value: Number(object.value), list: [] };
  }

  begin(): void {
    this.model.begin();
    this.savepoints = [];
  }

  abort(): void {
    this.manager.abort();
    this.begin();
  }

  reopen(): void {
    this.abort();
    this.connection.close();
    this.connection = this.#open();
    this.begin();
  }
}

function outcomeOf(work: () => void): Outcome {
  try {
    work();
    return 'ok';
  } catch (error) {
    if (error instanceof UndoError) return 'undo-error';
    if (error instanceof ReadConflictError) return 'read-conflict';
    if (error instanceof ConflictError) return 'conflict';
    throw error;
  }
}

class Play {
  readonly model = new ModelDatabase(NAMES);
  readonly tids: Tid[] = [];
  readonly actors: Actor[];
  #next = 1;

  constructor(
    readonly db: DB,
    users: number,
  ) {
    db.transaction((root) => {
      for (const name of NAMES) root[name] = isCounter(name) ? new Length() : new Cell();
    });
    this.actors = Array.from({ length: users }, () => new Actor(db, this.model));
  }

  run(step: Step): void {
    const actor = this.actors[step.user % this.actors.length]!;
    const { model } = actor;
    const overtaken = model.isOvertaken;
    try {
      this.#do(step, actor);
    } catch (error) {
      // A pack may have taken what an old snapshot would show; then the transaction has to begin anew.
      if (!(overtaken && error instanceof ReadConflictError)) throw error;
      actor.abort();
    }
  }

  #do(step: Step, actor: Actor): void {
    const { model, manager } = actor;
    switch (step.do) {
      case 'read':
        expect(actor.look(step.name)).toEqual(model.read(step.name));
        return;
      case 'write':
        this.#write(actor, step.name, false);
        return;
      case 'push':
        this.#write(actor, step.name, true);
        return;
      case 'readCurrent':
        actor.connection.readCurrent(actor.object(step.name));
        model.readCurrent(step.name);
        return;
      case 'commit':
        this.#commit(actor);
        return;
      case 'abort':
        actor.abort();
        return;
      case 'sync':
        actor.connection.sync();
        actor.begin();
        return;
      case 'savepoint':
        actor.savepoints.push(manager.savepoint());
        model.savepoint();
        return;
      case 'rollback': {
        if (actor.savepoints.length === 0) return;
        const index = step.nth % actor.savepoints.length;
        actor.savepoints[index]!.rollback();
        actor.savepoints = actor.savepoints.slice(0, index + 1);
        model.rollback(index);
        return;
      }
      case 'minimize':
        actor.connection.cacheMinimize();
        return;
      case 'reopen':
        actor.reopen();
        return;
      case 'undo':
        this.#undo(actor, step.nth);
        return;
      case 'pack':
        this.db.pack();
        this.model.packedTo = this.model.last;
    }
  }

  #write(actor: Actor, name: string, nested: boolean): void {
    const object = actor.object(name);
    const { value, list } = actor.model.read(name);
    const added = this.#next++;
    if (object instanceof Length) {
      object.change(added);
      actor.model.write(name, { value: value + added, list });
    } else if (nested) {
      object.list.push(added);
      actor.model.write(name, { value, list: [...list, added] });
    } else {
      object.value = added;
      actor.model.write(name, { value: added, list });
    }
  }

  #commit(actor: Actor): void {
    const { model } = actor;
    const mayFail = model.isOvertaken && model.hasChanges;
    const { mayCheckMore } = model;
    const wrote = model.hasChanges;
    const outcome = outcomeOf(() => {
      actor.manager.commit();
    });
    if ((mayFail && outcome !== 'ok') || (mayCheckMore && outcome === 'read-conflict')) {
      actor.abort();
      return;
    }
    expect([outcome, outcome === 'ok' && wrote]).toEqual([model.commit(), outcome === 'ok' && wrote]);
    if (outcome === 'ok') {
      actor.savepoints = [];
      if (wrote) this.tids.push(this.db.lastTransaction());
    } else {
      expect(() => {
        actor.manager.commit();
      }).toThrow('abort()');
      actor.abort();
    }
    for (const name of NAMES) expect(actor.look(name)).toEqual(model.read(name));
  }

  #undo(actor: Actor, nth: number): void {
    const number = this.model.last - nth;
    if (number <= this.model.packedTo) return;
    actor.abort();
    const expected = this.model.undone(number);
    this.db.undo(this.tids[number - 1]!, actor.manager.get());
    const outcome = outcomeOf(() => {
      actor.manager.commit();
    });
    expect(outcome).toBe(expected ? 'ok' : 'undo-error');
    if (expected) {
      this.model.add(expected);
      this.tids.push(this.db.lastTransaction());
      actor.begin();
    } else {
      actor.abort();
    }
  }

  /** A newcomer sees what the model says. */
  check(): void {
    const fresh = new Actor(this.db, this.model);
    for (const name of NAMES) expect(fresh.look(name)).toEqual(fresh.model.read(name));
    fresh.reopen();
    fresh.connection.close();
  }
}

onEveryDatabase('interleaved connections', (open) => {
  test.each([2, 3])('%i connections do as the model says, in any order', (users) => {
    const probe = open();
    const persistentKind = probe.storage.supports.persistent;
    probe.close();
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 80 }), (steps) => {
        const db = open();
        const play = new Play(db, users);
        try {
          for (const one of steps) play.run(one);
          play.check();
        } finally {
          for (const { manager } of play.actors) manager.abort();
          db.close();
        }
      }),
      { numRuns: Math.round((persistentKind ? 25 : 150) * scale), endOnFailure: false },
    );
  });
});
