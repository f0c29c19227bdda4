/** What conflict resolution needs of a class: it works on states, without a connection. */
import type { ClassName } from './interfaces';
import type { ClassEntry, Registry } from './registry';

/** Merges two changes of one state: `old` is what both began with. Throws to say that it can't. */
export type ConflictResolver = (old: unknown, committed: unknown, now: unknown) => unknown;

/** An object of a class, made without its constructor and without a connection. */
export function instantiate(entry: ClassEntry): object {
  return Object.create(entry.ctor.prototype as object) as object;
}

/** The `_p_resolveConflict` of a class, bound to an instance made for it; `undefined` when it has none or is not registered. */
export function resolverOf(registry: Registry, { module, name }: ClassName): ConflictResolver | undefined {
  const entry = registry.find(module, name);
  if (entry?.kind !== 'persistent') return undefined;
  const method = (entry.ctor.prototype as { _p_resolveConflict?: ConflictResolver })._p_resolveConflict;
  if (typeof method !== 'function') return undefined;
  const instance = instantiate(entry);
  return (old, committed, now) => method.call(instance, old, committed, now);
}
