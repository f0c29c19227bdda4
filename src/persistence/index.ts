/** Persistent objects: what the rooms above this floor, and the public index, may use. */
export type {
  AnyClass,
  CacheBudget,
  CacheDetail,
  CacheOptions,
  CacheSavepoint,
  CacheStatistics,
  ClassName,
  Jar,
  LoadedRecord,
  ObjectCache,
  PersistentStatus,
  SerializedObject,
} from './interfaces';
export {
  ClassRegistrationError,
  NotPersistableError,
  ObjectLoadError,
  StaleValueError,
  UnsavableValueError,
} from './errors';
export { Registry } from './registry';
export type { ClassEntry, ClassOptions, FieldType, MissingClassHandler, ValueOptions } from './registry';

/*
 * Coming in this order, with these signatures (written here so that the floor above can be written at the same time):
 *
 * export const registry: Registry;                                       the process-wide one
 * export function createCache(jar: Jar, options?: CacheOptions): ObjectCache;
 * export function createBudget(limit: number): CacheBudget;
 * export function persistent(...)                                        class decorator, legacy and standard, all forms
 * export function transient(init?), field(type), value(name, options?)   member and class decorators
 * export function isPersistent(x: unknown): boolean;
 * export function oidOf(object: object): Oid | undefined;
 * export function serialOf(object: object): Tid | undefined;
 * export function statusOf(object: object): PersistentStatus;
 * export function jarOf(object: object): Jar | undefined;                connectionOf() in src/database is jarOf() typed as Connection
 * export function markChanged(object: object): void;
 * export function activate(object: object): void, deactivate(object), invalidate(object);
 * export function removeField(object: object, name: string): void;
 * export abstract class Managed { protected activate(), changed(), follow(value), followMany(values), readCurrent(); abstract __getstate__(), __setstate__(state), dropState() }
 * export class Ref { readonly kind: 'strong'; readonly oid: Oid; readonly cls: ClassMeta | undefined }
 * export class Persistent, PersistentMapping<K, V>, PersistentList<T>, WeakRef<T>, PersistentWeakKeyDictionary<K, V>, Broken;
 * export function instantiate(entry: ClassEntry): object;                an instance without constructor, for conflict resolution
 * export function resolverOf(registry, className): ((old, committed, now) => unknown) | undefined;
 * export function toPlain(object, options?): unknown;
 */
