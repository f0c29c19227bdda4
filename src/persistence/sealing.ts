/**
 * Plain values whose state was dropped: what the program still does to them could never be saved, so it fails where it happens. Arrays, plain objects and instances are frozen,
 * Maps, Sets and Dates get mutators that throw; bytes, URLs and proxies can't be sealed and are compared instead.
 */
import { types } from 'node:util';
import { anchored } from './anchor';
import { StaleValueError } from './errors';
import { Kind, walkContainers } from './values';

/** Why a state was dropped. After an eviction a value is still what is stored. */
export type DropReason = 'eviction' | 'abort' | 'invalidation';

interface Mark {
  readonly reason: DropReason;
  /** Whether the value was frozen before it was sealed: a tuple. */
  readonly frozen: boolean;
}

/** Values of dropped states. */
const stale = anchored('stale', () => new WeakMap<object, Mark>());

const MARKS = {
  eviction: marks('eviction'),
  abort: marks('abort'),
  invalidation: marks('invalidation'),
} as const;

function marks(reason: DropReason): readonly [Mark, Mark] {
  return [
    { reason, frozen: false },
    { reason, frozen: true },
  ];
}

/** Why a value is stale; `undefined` for one that is not. */
export function staleReason(value: object): DropReason | undefined {
  return stale.get(value)?.reason;
}

/** Whether a value is frozen by its own nature, not by sealing. */
export function isFrozenByNature(value: object): boolean {
  return stale.get(value)?.frozen ?? Object.isFrozen(value);
}

/** The prototype a value had before it was sealed. */
export function naturalPrototype(value: object): object | null {
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype !== null && refusing.get(prototype) === prototype
    ? (Object.getPrototypeOf(prototype) as object)
    : prototype;
}

/** @throws StaleValueError for a value that an abort or invalidation made stale */
export function checkNotStale(value: object, where: string): void {
  const reason = staleReason(value);
  if (reason === undefined || reason === 'eviction') return;
  throw new StaleValueError(
    `${where}: this value belongs to a state that was dropped (${reason}); putting it back could undo what others stored. Read it again from its object, or assign structuredClone(value).`,
    reason,
  );
}

/** What hears of values that can't be sealed. */
export interface Unsealable {
  /** Bytes, a buffer or a URL. */
  scalar(value: object): void;
  /** A proxy, of a library for observable state mostly: freezing it is refused, or breaks it. */
  proxy(proxy: object): void;
}

/** Seals everything in `root` but what `isSpared` says, which others still hold. */
export function seal(
  root: object,
  reason: DropReason,
  unsealable: Unsealable,
  isSpared?: (value: object) => boolean,
): void {
  walkContainers(root, (value, kind) => {
    if (stale.has(value) || isEmptyTuple(value) || isSpared?.(value) === true) return;
    stale.set(value, MARKS[reason][Object.isFrozen(value) ? 1 : 0]);
    if (types.isProxy(value)) unsealable.proxy(value);
    else if (kind === Kind.map) refuse(value, MAP_METHODS);
    else if (kind === Kind.set) refuse(value, SET_METHODS);
    else if (types.isDate(value)) refuse(value, DATE_METHODS);
    else if (kind !== Kind.scalar) Object.freeze(value);
    else unsealable.scalar(value);
  });
}

/** Nothing can be done to an empty tuple, and one stands for all: the reader of pickles gives the same to every object. */
function isEmptyTuple(value: object): boolean {
  return Array.isArray(value) && value.length === 0 && Object.isFrozen(value);
}

/** Seals an array or plain object that is not frozen and holds no other plain values, whose state was evicted. */
export function sealFlat(value: object): void {
  stale.set(value, MARKS.eviction[0]);
  Object.freeze(value);
}

const MAP_METHODS = ['set', 'delete', 'clear'];
const SET_METHODS = ['add', 'delete', 'clear'];
const DATE_METHODS = Object.getOwnPropertyNames(Date.prototype).filter((name) => /^set/.test(name));

/** One prototype a base prototype and list of methods: a property each would cost more than all the rest. */
const refusing = new WeakMap<object, object>();

function refuse(value: object, methods: readonly string[]): void {
  const base = Object.getPrototypeOf(value) as object;
  let prototype = refusing.get(base);
  if (prototype === undefined) {
    prototype = Object.create(base) as object;
    for (const name of methods) Object.defineProperty(prototype, name, { value: refusal });
    refusing.set(base, prototype);
    refusing.set(prototype, prototype);
  }
  Object.setPrototypeOf(value, prototype);
}

function refusal(): never {
  throw new StaleValueError(
    'This value belongs to an object whose state was dropped since (eviction, abort, or a change by somebody else): changing it would have no effect. Read it again from its object.',
    'dropped',
  );
}
