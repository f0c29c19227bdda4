/** References inside plain values, followed all at once. */
import type { ObjectCacheImpl } from './cache';
import { refsIn, rewrite } from './rewriting';

/** A container with more references than this, read at once, is worth a word. */
const MANY_REFERENCES = 10_000;

/**
 * Puts the objects into the places of all references inside a plain value, loading them in one batch. Returns what is to stand for the value: itself, unless it is a tuple.
 */
export function followInside(cache: ObjectCacheImpl, value: object, where: string): object {
  const refs = refsIn(value);
  if (refs.length === 0) return value;
  if (refs.length > MANY_REFERENCES) {
    cache.jar.warn(
      `many-references:${where}`,
      `${where} holds ${String(refs.length)} references, which are all loaded when it is read. A large collection belongs in a BTree or a PersistentList.`,
    );
  }
  const objects = new Map<object, object>();
  cache.followMany(refs).forEach((target, i) => objects.set(refs[i]!, target));
  return rewrite(value, (item) => objects.get(item) ?? item);
}
