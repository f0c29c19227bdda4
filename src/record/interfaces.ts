/**
 * The contract of the record floor. A record is a pickle of class metadata followed by a pickle of the state, written
 * with one memo; references to other objects stand in it as persistent ids (`ZODB/src/ZODB/serialize.py`).
 * Nothing here knows a class: higher floors turn {@link ClassMeta} and {@link FieldList} into objects.
 */
import type { Oid } from '../ids';
import type { PyInstance, Reduction, ValueClass, Global } from '../pickle/index';
import type { ClassMeta } from './class-meta';
import type { FieldList } from './field-list';
import type { ItemForm } from './items';

/** A reference inside a record, as it is written. Implemented by whatever the persistence floor keeps in a state. */
export interface StrongReference {
  readonly kind: 'strong';
  readonly oid: Oid;
  /** `undefined` for objects whose class has `__getnewargs__`: then only the oid is written. */
  readonly cls: ClassMeta | undefined;
}

export interface WeakReference {
  readonly kind: 'weak';
  readonly oid: Oid;
  /** Name of the other database, `undefined` for the same one. */
  readonly database: string | undefined;
}

export interface ForeignReference {
  readonly kind: 'foreign';
  readonly oid: Oid;
  readonly database: string;
  readonly cls: ClassMeta | undefined;
}

export type Reference = StrongReference | WeakReference | ForeignReference;

/**
 * What a {@link RecordReader} asks of its owner; what the hooks return stands in the state. Called once per
 * occurrence, in the order of the record, unless {@link RecordReaderHooks.restart} is called in between. They may
 * read other records.
 */
export interface RecordReaderHooks {
  /** `cls` is `undefined` when only the oid was written: the class must be read from the object's own record. */
  strongReference(oid: Oid, cls: ClassMeta | undefined): unknown;
  weakReference(oid: Oid, database: string | undefined): unknown;
  foreignReference(database: string, oid: Oid, cls: ClassMeta | undefined): unknown;
  /** Finds registered `@value` classes. */
  resolve?(global: Global): ValueClass | undefined;
  /**
   * The state is read again from its start, because a dict in it turned out to be of another kind after it had been referred
   * to (rare): what the hooks returned for the state so far is dropped, and they are called again.
   */
  restart?(): void;
}

/** Says in which form the states of a class are wanted. */
export interface ItemFormSource {
  itemFormOf(cls: ClassMeta): ItemForm;
}

/**
 * A record taken apart. Either `fields` and `values` are set (the state is a dict of string keys, the usual case), or
 * `state` is (anything else: None, tuples, what `__getstate__` returned).
 */
export interface RecordContent {
  readonly cls: ClassMeta;
  /** Names and kinds of the fields, canonical: the same list gives the same object. */
  readonly fields: FieldList | undefined;
  /** The values of `fields`, in its order; a new array that the caller may keep. */
  readonly values: unknown[];
  /** The decoded state when it is no dict of string keys; `undefined` when `fields` is set. */
  readonly state: unknown;
}

/** What a {@link RecordWriter} asks of its owner. Hooks must not call the same writer again. */
export interface RecordWriterHooks {
  /**
   * The reference that an object is or stands for; `undefined` for an object to be written inside the record. Asked for
   * every object but arrays, plain objects and the built-in values. It is looked at before the next one is asked for: one
   * object may serve for all.
   */
  reference(object: object): Reference | undefined;
  /** How an object of a registered `@value` class is written; `undefined` when it can't be. */
  reduce?(object: object): Reduction | PyInstance | undefined;
}

/** Every reference of a record, as {@link scanReferences} lists it. */
export interface ScannedReference {
  readonly kind: 'strong' | 'weak' | 'foreign';
  readonly oid: Oid;
  /** The other database's name, for foreign references and weak ones into another database. */
  readonly database: string | undefined;
}
