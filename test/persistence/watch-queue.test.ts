/**
 * Lists that are watched through many commits: what short ones held is compared in a memory of its own, entered and left one by one.
 */
import * as fc from 'fast-check';
import { persistent } from 'zodb';
import { MapJar, Records } from './map-jar';

const SCALE = Number(process.env['ZODB_SOAK'] ?? 0);

@persistent('watch.Leaf')
class Leaf {
  constructor(public n: number) {}
}

@persistent('watch.Holder')
class Holder {
  list: Leaf[] = [];
  other: Leaf[] = [];
}

@persistent('watch.Root')
class Root {
  leaves: Leaf[] = [];
  holders: Holder[] = [];
  /** They are read once, and make the others too many. */
  crowd: Holder[] = [];
}

const HOLDERS = 5;
const LEAVES = 3;

type Field = 'list' | 'other';

/** What a list shows: its numbers, and whether it is a tuple. */
function shown(list: readonly Leaf[]): string {
  return `${Object.isFrozen(list) ? 't' : 'l'}${list.map((leaf) => leaf.n).join()}`;
}

type Use = 'put' | 'push' | 'pop' | 'back' | 'freeze' | 'assign' | 'read';
type Step =
  | { readonly do: Use; readonly at: number; readonly n: number }
  | { readonly do: 'commit' | 'abort' | 'savepoint' | 'minimize' };

const where = { at: fc.nat(HOLDERS * 2 - 1), n: fc.nat(LEAVES * 3) };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('put', 'back', 'read'), ...where }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('push', 'pop', 'assign'), ...where }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('freeze'), ...where }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('commit') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('abort', 'savepoint', 'minimize') }) },
);

class Run {
  readonly #records = new Records();
  readonly #jar: MapJar;
  readonly #root: Root;
  /** Lists as the program got them, perhaps long ago, and didn't replace. */
  readonly #held = new Map<number, Leaf[]>();
  /** What the two lists of each holder are to show, and what was committed of them. */
  #now: string[];
  #committed: string[];
  /** What a list held at some time: changes are most easily lost when something comes back. */
  readonly #before = new Map<number, Leaf[]>();

  constructor(targetCount: number, crowd: number) {
    this.#jar = new MapJar(this.#records, { targetCount });
    this.#root = this.#jar.root(() => new Root());
    this.#root.leaves = Array.from({ length: LEAVES }, (_, i) => new Leaf(i));
    this.#root.holders = Array.from({ length: HOLDERS }, () => new Holder());
    this.#root.crowd = Array.from({ length: crowd }, () => new Holder());
    for (const holder of [...this.#root.holders, ...this.#root.crowd])
      holder.list = this.#root.leaves.slice(0, 2);
    this.#jar.commit();
    this.#jar.cache.minimize();
    for (const holder of this.#root.crowd) void holder.list;
    this.#now = Array.from({ length: HOLDERS * 2 }, (_, i) => (i % 2 === 0 ? 'l0,1' : 'l'));
    this.#committed = [...this.#now];
  }

  take(next: Step): void {
    if ('at' in next) this.#use(next.do, next.at, next.n);
    else if (next.do === 'commit') this.#commit();
    else if (next.do === 'savepoint') this.#jar.savepoint();
    else if (next.do === 'minimize') this.#jar.cache.minimize();
    else {
      this.#jar.abort();
      this.#now = [...this.#committed];
    }
  }

  /** Everything as this connection shows it. */
  check(): void {
    expect(this.#shownBy(this.#root)).toEqual(this.#now);
  }

  #commit(): void {
    this.#jar.commit();
    this.#committed = [...this.#now];
    const other = new MapJar(this.#records);
    expect(this.#shownBy(other.root(() => new Root()))).toEqual(this.#committed);
  }

  #shownBy(root: Root): string[] {
    return root.holders.flatMap(({ list, other }) => [shown(list), shown(other)]);
  }

  #holder(at: number): [Holder, Field] {
    return [this.#root.holders[at >> 1]!, at % 2 === 0 ? 'list' : 'other'];
  }

  #read(at: number): Leaf[] {
    const [holder, field] = this.#holder(at);
    const list = holder[field];
    this.#held.set(at, list);
    if (!this.#before.has(at)) this.#before.set(at, [...list]);
    return list;
  }

  #assign(at: number, n: number): void {
    const [holder, field] = this.#holder(at);
    holder[field] = this.#root.leaves.slice(0, n % LEAVES);
    this.#held.delete(at);
    this.#now[at] = shown(holder[field]);
  }

  #use(how: Use, at: number, n: number): void {
    if (how === 'assign') {
      this.#assign(at, n);
      return;
    }
    const held = this.#held.get(at);
    // Sealed, when its holder was dropped meanwhile.
    const list = held === undefined || Object.isFrozen(held) ? this.#read(at) : held;
    if (Object.isFrozen(list)) return;
    const leaf = this.#root.leaves[n % LEAVES]!;
    if (how === 'put' && list.length > 0) list[n % list.length] = leaf;
    else if (how === 'push') list.push(leaf);
    else if (how === 'pop') list.pop();
    else if (how === 'back') list.splice(0, list.length, ...this.#before.get(at)!);
    else if (how === 'freeze') Object.freeze(list);
    this.#now[at] = shown(list);
  }
}

test.each([
  [1000, 0, 150],
  [3, 0, 150],
  [2000, 1100, 30],
])('every change is found, whoever holds what: %d objects in the cache, %d others', (target, crowd, runs) => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 60, maxLength: 200 }), (steps) => {
      const run = new Run(target, crowd);
      for (const next of steps) run.take(next);
      run.check();
    }),
    { numRuns: SCALE > 0 ? Math.ceil(runs * 13 * SCALE) : runs },
  );
});
