import { inspect } from 'node:util';
import { Managed } from '../persistence/index';
import { InvalidValueError } from './errors';
import { mergeLength } from './conflict';
import { describeKey } from './key-order';

/**
 * A counter of its own: changes by several transactions at once add up instead of conflicting. Keep one beside a large
 * tree, and change it with the tree.
 */
export class Length extends Managed {
  /** @internal */
  count: number | bigint | undefined;

  /** @throws InvalidValueError unless `value` is an integer */
  constructor(value: number | bigint = 0) {
    super();
    this.count = integer(value);
  }

  /** The number; a bigint beyond 2^53. */
  get value(): number | bigint {
    if (this.count === undefined) this.activate();
    return this.count ?? 0;
  }

  set value(value: number | bigint) {
    this.set(value);
  }

  /** Sets the number. @throws InvalidValueError unless it is an integer */
  set(value: number | bigint): void {
    const count = integer(value);
    this.changed();
    this.count = count;
  }

  /** Adds `delta`. @throws InvalidValueError unless it is an integer */
  change(delta: number | bigint): void {
    const by = integer(delta);
    this.changed();
    this.count = mergeLength(0, this.value, by);
  }

  override valueOf(): number | bigint {
    return this.value;
  }

  toJSON(): number | string {
    const { value } = this;
    return typeof value === 'bigint' ? value.toString() : value;
  }

  _p_resolveConflict(old: unknown, committed: unknown, mine: unknown): unknown {
    return mergeLength(old, committed, mine);
  }

  override __getstate__(): unknown {
    return this.value;
  }

  override __setstate__(state: unknown): void {
    this.count = integer(state);
  }

  override dropState(): void {
    this.count = undefined;
  }

  [inspect.custom](): string {
    return this.count === undefined ? '<Length, not loaded>' : `Length(${this.count})`;
  }
}

function integer(value: unknown): number | bigint {
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return value as number | bigint;
  throw new InvalidValueError(value, `A Length counts in integers, not in ${describeKey(value)}.`);
}
