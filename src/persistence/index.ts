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
  BrokenModified,
  ClassRegistrationError,
  NotPersistableError,
  ObjectLoadError,
  StaleValueError,
  UnsavableValueError,
} from './errors';
export { Registry } from './registry';
export type { ClassEntry, ClassOptions, FieldType, MissingClassHandler, ValueOptions } from './registry';

export { registry } from './default-registry';
export { persistent, value, transient, field } from './decorators';
export type { AnyClassDecorator, AnyFieldDecorator } from './decorators';
export { createBudget } from './budget';
export { createCache, stateOf } from './create-cache';
export { Ref, ForeignRef } from './ref';
export { referencesIn } from './references-in';
export { isManaged } from './classes';
export { Managed, ManagedContainer, isReference, isSettled, WRAP } from './managed';
export { Broken } from './broken';
export { Persistent } from './persistent';
export { PersistentList } from './list';
export { PersistentMapping } from './mapping';
export { PersistentWeakKeyDictionary } from './weak-key-dictionary';
export { WeakRef } from './weak-ref';
export {
  activate,
  deactivate,
  invalidate,
  isPersistent,
  jarOf,
  markChanged,
  oidOf,
  removeField,
  serialOf,
  statusOf,
} from './protocol';
export { instantiate, resolverOf, type ConflictResolver } from './conflict-classes';
export { ValueClasses } from './value-classes';
export { toPlain, type ToPlainOptions } from './to-plain';
export { assign } from './assign';
