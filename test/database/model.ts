/**
 * A database in a few lines, to compare the real one with: objects are states, commits are lists of changes, a user
 * sees the commits up to a number.
 */

/** What an object holds. A counter's changes can be merged, a cell's can't. */
export interface State {
  readonly value: number;
  readonly list: readonly number[];
}

/** What must come of a commit. `'maybe'`: a pack took what was needed to merge, or to read. */
export type Outcome = 'ok' | 'conflict' | 'read-conflict' | 'undo-error';

interface Revision {
  readonly commit: number;
  readonly state: State;
}

interface Commit {
  readonly number: number;
  readonly changes: ReadonlyMap<string, { before: Revision; after: Revision }>;
}

interface Work {
  readonly changed: ReadonlyMap<string, State>;
  readonly current: ReadonlySet<string>;
}

export const isCounter = (name: string): boolean => name.startsWith('counter');

/** All that is committed. */
export class ModelDatabase {
  readonly commits: Commit[] = [];
  readonly #revisions = new Map<string, Revision[]>();
  packedTo = 0;

  constructor(names: readonly string[]) {
    for (const name of names) this.#revisions.set(name, [{ commit: 0, state: { value: 0, list: [] } }]);
  }

  get last(): number {
    return this.commits.length;
  }

  revision(name: string, upTo = this.last): Revision {
    return this.#revisions.get(name)!.findLast(({ commit }) => commit <= upTo)!;
  }

  add(states: ReadonlyMap<string, State>): void {
    const number = this.last + 1;
    const changes = new Map<string, { before: Revision; after: Revision }>();
    for (const [name, state] of states) {
      const after = { commit: number, state };
      changes.set(name, { before: this.revision(name), after });
      this.#revisions.get(name)!.push(after);
    }
    this.commits.push({ number, changes });
  }

  /** What undoing this commit writes; `undefined` when it can't be undone. */
  undone(number: number): Map<string, State> | undefined {
    const result = new Map<string, State>();
    for (const [name, { before, after }] of this.commits[number - 1]!.changes) {
      const now = this.revision(name);
      if (sameState(now.state, after.state)) result.set(name, before.state);
      else if (isCounter(name)) {
        const value = now.state.value + before.state.value - after.state.value;
        result.set(name, { value, list: [] });
      } else return undefined;
    }
    return result;
  }
}

/** One connection. */
export class ModelUser {
  #snapshot: number;
  #changed = new Map<string, State>();
  #current = new Set<string>();
  /** What `readCurrent()` was told of after a savepoint that was gone back to, made before the connection had changed anything. */
  #left = new Set<string>();
  #savepoints: Work[] = [];
  readonly #db: ModelDatabase;

  constructor(db: ModelDatabase) {
    this.#db = db;
    this.#snapshot = db.last;
  }

  get hasChanges(): boolean {
    return this.#changed.size > 0;
  }

  get savepoints(): number {
    return this.#savepoints.length;
  }

  /** A pack came after this snapshot began: what it shows may be gone. */
  get isOvertaken(): boolean {
    return this.#snapshot < this.#db.packedTo;
  }

  /** Such a savepoint knows nothing of the connection, which may check what it was told of: once too often at most. */
  get mayCheckMore(): boolean {
    return [...this.#left].some((name) => !this.#changed.has(name) && this.#isNewer(name));
  }

  read(name: string): State {
    return this.#changed.get(name) ?? this.#db.revision(name, this.#snapshot).state;
  }

  write(name: string, state: State): void {
    this.#changed.set(name, state);
  }

  readCurrent(name: string): void {
    this.#current.add(name);
  }

  savepoint(): void {
    this.#savepoints.push({ changed: new Map(this.#changed), current: new Set(this.#current) });
  }

  rollback(index: number): void {
    const { changed, current } = this.#savepoints[index]!;
    if (changed.size === 0) for (const name of this.#current) if (!current.has(name)) this.#left.add(name);
    this.#changed = new Map(changed);
    this.#current = new Set(current);
    this.#savepoints = this.#savepoints.slice(0, index + 1);
  }

  begin(): void {
    this.#snapshot = this.#db.last;
    this.#changed.clear();
    this.#current.clear();
    this.#left.clear();
    this.#savepoints = [];
  }

  commit(): Outcome {
    const outcome = this.#outcome();
    if (outcome === 'ok') {
      if (this.#changed.size > 0) this.#db.add(this.#merged());
      this.begin();
    }
    return outcome;
  }

  #isNewer(name: string): boolean {
    return this.#db.revision(name).commit > this.#snapshot;
  }

  #outcome(): Outcome {
    if (this.#changed.size === 0) return 'ok';
    if ([...this.#changed.keys()].some((name) => !isCounter(name) && this.#isNewer(name))) return 'conflict';
    const read = [...this.#current].some((name) => !this.#changed.has(name) && this.#isNewer(name));
    return read ? 'read-conflict' : 'ok';
  }

  #merged(): Map<string, State> {
    const merged = new Map<string, State>();
    for (const [name, state] of this.#changed) {
      if (!this.#isNewer(name)) {
        merged.set(name, state);
        continue;
      }
      const old = this.#db.revision(name, this.#snapshot).state.value;
      const value = this.#db.revision(name).state.value + state.value - old;
      merged.set(name, { value, list: [] });
    }
    return merged;
  }
}

function sameState(a: State, b: State): boolean {
  return a.value === b.value && a.list.join() === b.list.join();
}
