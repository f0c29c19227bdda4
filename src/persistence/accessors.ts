/**
 * The property accessors that tracked fields are. Generated, because accessors that share code share V8's caches too and then cost five times as much.
 * Only slot numbers enter the code, never a name.
 */
import type { Accessor } from './class-model';
import { INSIDE } from './exposure';
import { compileStamped, stampOf, Status } from './stamp';

/** What the fast paths leave over; `tracked.ts` implements it. */
export interface SlowPaths {
  get(receiver: object, slot: number): unknown;
  set(receiver: object, slot: number, value: unknown): void;
  getNamed(receiver: object, name: string): unknown;
  setNamed(receiver: object, name: string, value: unknown): void;
}

const slow = {} as SlowPaths;
let batches = 0;

/** Connects the slow paths: they depend on classes that depend on this file. */
export function connectSlowPaths(paths: SlowPaths): void {
  Object.assign(slow, paths);
}

/** The bit of a slot in `ObjectRecord.ready`; 0 for slots without one, which then always take the slow path for objects. The values inside a collection, which are no slot, have bit 0. */
export function readyBit(slot: number): number {
  if (slot === INSIDE) return 1;
  return slot > 0 && slot <= 30 ? 1 << slot : 0;
}

const getters = new WeakSet<() => unknown>();

/** Whether a getter is that of a tracked field. */
export function isFieldGetter(getter: () => unknown): boolean {
  return getters.has(getter);
}

function accessor(get: () => unknown, set: (value: unknown) => void): Accessor {
  getters.add(get);
  return { get, set, enumerable: true, configurable: false };
}

type Pair = readonly [get: () => unknown, set: (value: unknown) => void];

/** Accessors for slots `first` … `last`. */
export function makeAccessors(first: number, last: number): Accessor[] {
  return pairs(first, last).map(([get, set]) => accessor(get, set));
}

/** The accessor of a field without a slot of its own. */
export function makeNamedAccessor(name: string): Accessor {
  return accessor(
    function (this: object): unknown {
      return slow.getNamed(this, name);
    },
    function (this: object, value: unknown): void {
      slow.setNamed(this, name, value);
    },
  );
}

function pairs(first: number, last: number): Pair[] {
  const parts: string[] = [];
  for (let slot = first; slot <= last; slot++) parts.push(source(slot));
  // The comment keeps V8 from giving two classes one compiled function, and so one set of caches.
  const code = `(slow) => [${parts.join()}] // ${String(batches++)}`;
  try {
    return compileStamped(code)(slow) as Pair[];
  } catch {
    return closures(first, last);
  }
}

function source(slot: number): string {
  const bit = readyBit(slot);
  return `[
    function () {
      if (#record in this) {
        const r = this.#record, v = r.state[${slot}];
        if (typeof v === 'object' ? v === null || (r.ready & ${bit}) !== 0 : v !== undefined) return v;
      }
      return slow.get(this, ${slot});
    },
    function (v) {
      if (typeof v !== 'object' && #record in this) {
        const r = this.#record;
        if (r.status === ${Status.changed}) { r.state[${slot}] = v; return; }
      }
      slow.set(this, ${slot}, v);
    }
  ]`;
}

/** The same where code generation from strings is switched off. */
function closures(first: number, last: number): Pair[] {
  const made: Pair[] = [];
  for (let slot = first; slot <= last; slot++) {
    const bit = readyBit(slot);
    made.push([
      function (this: object): unknown {
        const record = stampOf(this);
        if (record !== undefined) {
          const value = record.state[slot];
          if (typeof value === 'object' ? value === null || (record.ready & bit) !== 0 : value !== undefined)
            return value;
        }
        return slow.get(this, slot);
      },
      function (this: object, value: unknown): void {
        const record = typeof value === 'object' ? undefined : stampOf(this);
        if (record?.status === Status.changed) record.state[slot] = value;
        else slow.set(this, slot, value);
      },
    ]);
  }
  return made;
}
