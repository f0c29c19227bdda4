/**
 * Set operations on keys in typed arrays: runs are merged by a loop that knows one kind of array, into memory of the
 * same kind.
 */
import type { KeyArray } from './key-search';
import { specialise } from './specialise';

/** The arrays that keys are merged in; those of 64-bit integers beyond 2^53 take the general way. */
export type NumberKeys = Int32Array | Uint32Array | Uint16Array | Float64Array;

/** Which keys are taken: 1 or 0 for those only in the first input, in both, only in the second. */
export interface Taken {
  readonly onlyA: number;
  readonly both: number;
  readonly onlyB: number;
}

/** An input that gives its keys in runs: those before it are `keys[at … end)`. */
export interface KeyRun {
  readonly keys: KeyArray;
  readonly at: number;
  readonly end: number;
  /** On to a key of this run, or at its end to the next one. */
  moveTo(at: number): void;
}

const EVERYTHING: Taken = { onlyA: 1, both: 1, onlyB: 1 };
/** Merging more runs than this takes longer than the engine's sort. */
const MOST_RUNS = 32;

/** Where a merge stands: in its inputs and in its output. */
class Cursor {
  a = 0;
  b = 0;
  out = 0;
}

/** Merges until one input is used up. Refers to its arguments only, so that it can be specialised. */
function mergeRun(
  a: NumberKeys,
  aEnd: number,
  b: NumberKeys,
  bEnd: number,
  out: NumberKeys,
  at: Cursor,
  taken: Taken,
): void {
  const { onlyA, both, onlyB } = taken;
  let i = at.a;
  let j = at.b;
  let k = at.out;
  while (i < aEnd && j < bEnd) {
    const x = a[i]!;
    const y = b[j]!;
    if (x < y) {
      out[k] = x;
      k += onlyA;
      i++;
    } else if (x > y) {
      out[k] = y;
      k += onlyB;
      j++;
    } else {
      out[k] = x;
      k += both;
      i++;
      j++;
    }
  }
  at.a = i;
  at.b = j;
  at.out = k;
}

type MergeRun = typeof mergeRun;

function runFor(make: new (length: number) => NumberKeys): MergeRun {
  return specialise(mergeRun, (copy) => {
    copy(new make(1), 1, new make(1), 1, new make(2), new Cursor(), EVERYTHING);
  });
}

const runInt32 = runFor(Int32Array);
const runUint32 = runFor(Uint32Array);
const runUint16 = runFor(Uint16Array);
const runFloat64 = runFor(Float64Array);

function runOf(keys: NumberKeys): MergeRun {
  if (keys instanceof Int32Array) return runInt32;
  if (keys instanceof Float64Array) return runFloat64;
  return keys instanceof Uint32Array ? runUint32 : runUint16;
}

/** Whether keys are numbers in a typed array. */
export function areNumbers(keys: KeyArray): keys is NumberKeys {
  return (
    keys instanceof Int32Array ||
    keys instanceof Float64Array ||
    keys instanceof Uint32Array ||
    keys instanceof Uint16Array
  );
}

/** Keys in order, in memory that grows. */
export class KeyCollector {
  /** The keys, and room for more. */
  keys: NumberKeys;
  length = 0;
  readonly #kind: new (length: number) => NumberKeys;
  readonly #run: MergeRun;
  readonly #at = new Cursor();

  /** @param like an array of the kind to use */
  constructor(like: NumberKeys) {
    this.#kind = like.constructor as new (length: number) => NumberKeys;
    this.keys = new this.#kind(0);
    this.#run = runOf(like);
  }

  /** Whether keys in this array can be taken: it is of the same kind. */
  takes(keys: KeyArray): keys is NumberKeys {
    return keys.constructor === this.#kind;
  }

  /** Merges what two inputs have before them until one of both has nothing more, or keys in another kind of array. */
  merge(a: KeyRun, b: KeyRun, taken: Taken): void {
    const at = this.#at;
    const { onlyA, both, onlyB } = taken;
    while (a.at < a.end && b.at < b.end) {
      const { keys, end } = a;
      const { keys: others, end: othersEnd } = b;
      if (!this.takes(keys) || !this.takes(others)) return;
      const [left, right] = [end - a.at, othersEnd - b.at];
      // One more: what is not taken is written too, and overwritten.
      this.#reserve(1 + onlyA * left + onlyB * right + both * (onlyA | onlyB ? 0 : Math.min(left, right)));
      at.a = a.at;
      at.b = b.at;
      at.out = this.length;
      this.#run(keys, end, others, othersEnd, this.keys, at, taken);
      this.length = at.out;
      a.moveTo(at.a);
      b.moveTo(at.b);
    }
  }

  /** Takes all that an input has, until it has nothing more, or keys in another kind of array. */
  append(source: KeyRun): void {
    while (source.at < source.end) {
      const { keys, at, end } = source;
      if (!this.takes(keys)) return;
      this.#reserve(end - at);
      this.keys.set(keys.subarray(at, end), this.length);
      this.length += end - at;
      source.moveTo(end);
    }
  }

  /** Brings the keys in order, each once. A few ascending runs, of collections put one behind the other, are merged. */
  sort(): void {
    let starts = this.#runs();
    if (starts.length > MOST_RUNS) {
      this.taken().sort();
      this.#dropRepeated();
      return;
    }
    while (starts.length > 1) starts = this.#mergePairs(starts);
  }

  /** Where ascending runs start; breaks off when there are many. */
  #runs(): number[] {
    const { keys, length } = this;
    const starts = [0];
    for (let i = 1; i < length && starts.length <= MOST_RUNS; i++)
      if (keys[i]! <= keys[i - 1]!) starts.push(i);
    return starts;
  }

  /** Merges each two runs into one; answers where those start. */
  #mergePairs(starts: readonly number[]): number[] {
    const { keys, length } = this;
    const at = this.#at;
    const target = new this.#kind(length);
    const merged: number[] = [];
    at.out = 0;
    for (let n = 0; n < starts.length; n += 2) {
      const middle = starts[n + 1] ?? length;
      const end = starts[n + 2] ?? length;
      merged.push(at.out);
      at.a = starts[n]!;
      at.b = middle;
      this.#run(keys, middle, keys, end, target, at, EVERYTHING);
      const rest = at.a < middle ? keys.subarray(at.a, middle) : keys.subarray(at.b, end);
      target.set(rest, at.out);
      at.out += rest.length;
    }
    this.keys = target;
    this.length = at.out;
    return merged;
  }

  #dropRepeated(): void {
    const { keys, length } = this;
    let kept = Math.min(length, 1);
    for (let i = 1; i < length; i++) if (keys[i] !== keys[i - 1]) keys[kept++] = keys[i]!;
    this.length = kept;
  }

  /** The keys alone. */
  taken(): NumberKeys {
    return this.keys.subarray(0, this.length);
  }

  /** The keys, in memory of which at least half is used. */
  finish(): NumberKeys {
    return this.length * 2 < this.keys.length ? this.keys.slice(0, this.length) : this.keys;
  }

  #reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.keys.length) return;
    const { keys } = this;
    this.keys = new this.#kind(Math.max(needed, keys.length * 2));
    this.keys.set(keys.subarray(0, this.length));
  }
}
