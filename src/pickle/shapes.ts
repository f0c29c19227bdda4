/**
 * Plain objects from dicts. Objects with the same keys in the same order are made by one generated literal: filled key
 * by key they cost ten times as much and, with many keys, end in dictionary mode.
 *
 * Keys come from data: they enter generated code as JSON strings only, and `__proto__` never (a literal would set the
 * prototype). Numbers of shapes and of generated functions are bounded; without one an object is filled key by key.
 */

type Maker = (stack: readonly unknown[], first: number) => Record<string, unknown>;

const MAX_KEYS = 40;
/** Longer keys are kept in no shape: 20,000 of any length would fill the memory. */
const MAX_KEY_LENGTH = 256;
const MAX_SHAPES = 20_000;
const MAX_MAKERS = 1_000;
/** How often a shape must come before code is generated for it. */
const WORTH_GENERATING = 8;

let shapes = 0;
let makers = 0;

class Shape {
  readonly keys: readonly string[];
  readonly lastKey: string;
  readonly safe: boolean;
  lastNext: Shape | undefined = undefined;
  nexts: Map<string, Shape> | undefined = undefined;
  uses = 0;
  make: Maker | undefined = undefined;

  constructor(keys: readonly string[], safe: boolean) {
    this.keys = keys;
    this.lastKey = keys.length > 0 ? keys[keys.length - 1]! : '';
    this.safe = safe;
  }

  /** `undefined` for a key that is too long. */
  next(key: string): Shape | undefined {
    const last = this.lastNext;
    if (last !== undefined && last.lastKey === key) return last;
    let next = this.nexts?.get(key);
    if (next === undefined) {
      if (key.length > MAX_KEY_LENGTH) return undefined;
      if (shapes >= MAX_SHAPES) {
        // Start anew: endless different keys must neither fill the memory nor shut others out.
        shapes = makers = 0;
        root.nexts = undefined;
        root.lastNext = undefined;
      }
      shapes++;
      next = new Shape([...this.keys, key], this.safe && key !== '__proto__' && !this.keys.includes(key));
      (this.nexts ??= new Map()).set(key, next);
    }
    this.lastNext = next;
    return next;
  }
}

const root = new Shape([], true);

/**
 * The plain object of keys and values that lie alternating in `stack` from `first` up to `end`; `undefined` when a key is
 * no string.
 */
export function objectFromPairs(
  stack: readonly unknown[],
  first: number,
  end: number,
): Record<string, unknown> | undefined {
  if (end - first > 2 * MAX_KEYS) return fillNew(stack, first, end);
  let shape = root;
  for (let i = first; i < end; i += 2) {
    const key = stack[i];
    if (typeof key !== 'string') return undefined;
    const next = shape.next(key);
    if (next === undefined) return fillNew(stack, first, end);
    shape = next;
  }
  if (shape.make !== undefined) return shape.make(stack, first);
  if (shape.safe && ++shape.uses >= WORTH_GENERATING && makers < MAX_MAKERS) {
    shape.make = generate(shape.keys);
    if (shape.make !== undefined) return shape.make(stack, first);
  }
  return fillNew(stack, first, end);
}

/** Adds pairs to a plain object; false when a key is no string (then some may have been added). */
export function addPairs(
  target: Record<string, unknown>,
  stack: readonly unknown[],
  first: number,
  end: number,
): boolean {
  for (let i = first; i < end; i += 2) {
    const key = stack[i];
    if (typeof key !== 'string') return false;
    define(target, key, stack[i + 1]);
  }
  return true;
}

/** Sets an own property whatever its name: neither `__proto__` nor an inherited setter runs. */
export function define(target: object, key: string, value: unknown): void {
  if (key in target) {
    Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
  } else {
    (target as Record<string, unknown>)[key] = value;
  }
}

function fillNew(stack: readonly unknown[], first: number, end: number): Record<string, unknown> | undefined {
  const target: Record<string, unknown> = {};
  return addPairs(target, stack, first, end) ? target : undefined;
}

function generate(keys: readonly string[]): Maker | undefined {
  makers++;
  const pairs = keys.map((key, i) => `${JSON.stringify(key)}: stack[first + ${2 * i + 1}]`);
  try {
    return new Function('stack', 'first', `return {${pairs.join(', ')}};`) as Maker;
  } catch {
    // Code generation from strings is switched off in this process.
    makers = MAX_MAKERS;
    return undefined;
  }
}
