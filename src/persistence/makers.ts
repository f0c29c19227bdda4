/**
 * State arrays of exact length and one kind of elements: growing one by `push` would leave it with room to spare, an array with holes is read more slowly.
 * One maker a length, shared by all classes.
 */
import type { Layout } from './class-model';
import type { State } from './stamp';

type Maker = (layout: Layout, values: readonly unknown[]) => State;

const makers: (Maker | undefined)[] = [];
const LONGEST = 128;
const NO_VALUES: readonly unknown[] = [];

/** A state of `length` values in slots 1 … length, taken from `values` in order; `undefined` beyond its end. */
export function makeState(layout: Layout, length: number, values: readonly unknown[]): State {
  return length > LONGEST
    ? padded(layout, length, values)
    : (makers[length] ??= compile(length))(layout, values);
}

/** A state of `length` slots, all `undefined`. */
export function emptyState(layout: Layout, length: number): State {
  return makeState(layout, length, NO_VALUES);
}

function compile(length: number): Maker {
  const items = Array.from({ length }, (_, i) => `v[${i}]`);
  try {
    return new Function('l', 'v', `return [${['l', ...items].join()}]`) as Maker;
  } catch {
    // Code generation is switched off in this process (--disallow-code-generation-from-strings).
    return (layout, values) => padded(layout, length, values);
  }
}

function padded(layout: Layout, length: number, values: readonly unknown[]): State {
  const state: State = [layout, ...values];
  while (state.length <= length) state.push(undefined);
  return state;
}
