/**
 * Replacing what stands inside plain values: references by the objects they stand for, foreign values by copies. In place where that is possible; frozen arrays (tuples) in which something is
 * replaced are made anew.
 */
import { childrenOf, isContainer, Kind, kindOf, ownNames, walkContainers } from './values';
import { ForeignRef, Ref } from './ref';

/** Gives what is to stand in the place of a value: the value itself to leave it. */
export type Substitute = (value: object) => object;

/** The references in a plain value that nobody followed, each once. */
export function refsIn(root: object): (Ref | ForeignRef)[] {
  const found = new Set<Ref | ForeignRef>();
  walkContainers(root, (value, kind) => {
    if (!isContainer(kind)) return;
    for (const child of childrenOf(value, kind)) {
      if (child instanceof Ref || child instanceof ForeignRef) found.add(child);
    }
  });
  return [...found];
}

/** Applies `substitute` to `root` and all that is in it; returns what is to stand for `root`. What was substituted is not looked into. */
export function rewrite(root: object, substitute: Substitute): object {
  const results = new Map<object, object>();
  const tuples = new Tuples(substitute);
  const open: [value: object, kind: Kind][] = [];
  const frozen: object[] = [];
  const result = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    const known = results.get(value);
    if (known !== undefined) return known;
    let made = tuples.substituteOf(value);
    if (made === value) {
      const kind = kindOf(value);
      if (isContainer(kind)) {
        if (isTuple(value) && tuples.isAffected(value)) {
          made = (value as unknown[]).slice();
          frozen.push(made);
        }
        open.push([made, kind]);
      }
    }
    results.set(value, made);
    return made;
  };
  const top = result(root) as object;
  for (let next = open.pop(); next !== undefined; next = open.pop())
    rewriteChildren(next[0], next[1], result);
  for (const value of frozen) Object.freeze(value);
  return top;
}

/**
 * Which tuples change. The others stay the ones they are: what holds them may be watched already, as part of another value, and would seem to have been changed.
 */
class Tuples {
  readonly #substitute: Substitute;
  /** Those asked for ahead of their turn: a copy must not be made twice. */
  readonly #substitutes = new Map<object, object>();
  readonly #known = new Map<object, boolean>();

  constructor(substitute: Substitute) {
    this.#substitute = substitute;
  }

  substituteOf(value: object): object {
    return this.#substitutes.get(value) ?? this.#substitute(value);
  }

  /** Whether something is replaced that stands in a tuple, or in tuples in it. */
  isAffected(tuple: readonly unknown[]): boolean {
    const known = this.#known.get(tuple);
    if (known !== undefined) return known;
    // Which tuples directly hold one of those that are reached from here.
    const holders = new Map<object, object[]>([[tuple, []]]);
    const affected: object[] = [];
    for (const [holder] of holders) {
      for (const item of holder as readonly unknown[]) {
        if (typeof item !== 'object' || item === null) continue;
        const made = this.substituteOf(item);
        if (made !== item) {
          this.#substitutes.set(item, made);
          affected.push(holder);
        } else if (this.#known.get(item) === true) affected.push(holder);
        else if (isTuple(item) && !this.#known.has(item)) {
          const others = holders.get(item);
          if (others === undefined) holders.set(item, [holder]);
          else others.push(holder);
        }
      }
    }
    for (let next = affected.pop(); next !== undefined; next = affected.pop()) {
      if (this.#known.get(next) === true) continue;
      this.#known.set(next, true);
      affected.push(...holders.get(next)!);
    }
    for (const each of holders.keys()) if (!this.#known.has(each)) this.#known.set(each, false);
    return this.#known.get(tuple)!;
  }
}

function isTuple(value: object): value is readonly unknown[] {
  return Array.isArray(value) && Object.isFrozen(value) && kindOf(value) === Kind.array;
}

function rewriteChildren(value: object, kind: Kind, result: (value: unknown) => unknown): void {
  if (kind === Kind.array) {
    const array = value as unknown[];
    for (let i = 0; i < array.length; i++) {
      const item = array[i];
      if (typeof item !== 'object' || item === null) continue;
      const made = result(item);
      if (made !== item) array[i] = made;
    }
    return;
  }
  if (kind === Kind.map) rewriteMap(value as Map<unknown, unknown>, result);
  else if (kind === Kind.set) rewriteSet(value as Set<unknown>, result);
  if (kind === Kind.object || kind === Kind.instance || Object.keys(value).length > 0)
    rewriteOwn(value, result);
}

function rewriteOwn(value: object, result: (value: unknown) => unknown): void {
  const fields = value as Record<string, unknown>;
  for (const name of ownNames(value)) {
    const item = fields[name];
    const made = result(item);
    if (made !== item) fields[name] = made;
  }
}

/** In place while no key changes; else all entries anew, in their order. */
function rewriteMap(map: Map<unknown, unknown>, result: (value: unknown) => unknown): void {
  const entries: [unknown, unknown][] = [];
  let rekeyed = false;
  Map.prototype.forEach.call(map, (item: unknown, key: unknown) => {
    const newKey = result(key);
    rekeyed ||= newKey !== key;
    entries.push([newKey, result(item)]);
  });
  if (rekeyed) Map.prototype.clear.call(map);
  for (const [key, item] of entries) Map.prototype.set.call(map, key, item);
}

function rewriteSet(set: Set<unknown>, result: (value: unknown) => unknown): void {
  const items: unknown[] = [];
  let changed = false;
  Set.prototype.forEach.call(set, (item: unknown) => {
    const made = result(item);
    changed ||= made !== item;
    items.push(made);
  });
  if (!changed) return;
  Set.prototype.clear.call(set);
  for (const item of items) Set.prototype.add.call(set, item);
}
