import type { Oid } from '../ids';
import { ObjectCacheImpl } from './cache';
import type { CacheOptions, Jar, LoadedRecord, ObjectCache } from './interfaces';

/** Makes the cache of a jar. */
export function createCache(jar: Jar, options?: CacheOptions): ObjectCache {
  return new ObjectCacheImpl(jar, options);
}

/**
 * The state in a record, decoded and detached: fields as a plain object, references as `Ref`s. For histories and `oldState`.
 */
export function stateOf(cache: ObjectCache, oid: Oid, record: LoadedRecord): unknown {
  return (cache as ObjectCacheImpl).stateOf(oid, record.data, record.serial);
}
