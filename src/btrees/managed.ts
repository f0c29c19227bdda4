/** Temporary stand-in. */
import type { Oid } from '../ids';
export class Ref {
  readonly kind = 'strong' as const;
  constructor(
    readonly oid: Oid,
    readonly cls: unknown,
  ) {}
}
export class ForeignRef extends Ref {}
export function isRef(value: unknown): value is Ref {
  return value instanceof Ref;
}
export function oidOf(_object: object): Oid | undefined {
  return undefined;
}
export abstract class Managed {
  protected activate(): void {}
  protected changed(): void {}
  protected follow(value: unknown): unknown {
    return value;
  }
  protected followMany(values: readonly unknown[]): unknown[] {
    return [...values];
  }
  protected readCurrent(): void {}
  abstract __getstate__(): unknown;
  abstract __setstate__(state: unknown): void;
  abstract dropState(): void;
}
