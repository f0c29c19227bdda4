/** From a record to a live object. */
import { ZodbError } from '../errors';
import type { Oid } from '../ids';
import type { Global, ValueClass } from '../pickle/index';
import {
  FieldKind,
  FieldList,
  ItemForm,
  RecordReader,
  type ClassMeta,
  type ItemFormSource,
  type RecordContent,
  type RecordReaderHooks,
} from '../record/index';
import { Broken } from './broken';
import type { ObjectCacheImpl } from './cache';
import type { ClassModel, Layout } from './class-model';
import { ObjectLoadError } from './errors';
import type { Jar, LoadedRecord } from './interfaces';
import { Managed, ManagedContainer } from './managed';
import { makeState } from './makers';
import { Recipes, type Recipe } from './recipes';
import { ForeignRef, Ref } from './ref';
import { ObjectRecord, stampNew, Status, type State } from './stamp';
import { upgradeState } from './upgrade';
import { ValueClasses } from './value-classes';
import { WeakRef } from './weak-ref';

/** The opcode STOP: no pickle begins with its end, but what storages put around the records of others does. */
const PICKLE_END = 0x2e;
const WRAPPED =
  'it was compressed or encrypted. Open the database through the storage that did it: zlib:PATH, encrypted:PATH, or ZstdStorage.';

/** What objects with their own `__setstate__` have. */
interface WithSetState {
  __setstate__(state: unknown): void;
}

/** A state of Python that is no dict: None, or a pair of a dict (or None) and the values of slots. Written back in the same form. */
export interface StateForm {
  readonly slots: ReadonlySet<string> | undefined;
  readonly dict: boolean;
}

/** Takes records apart for one cache. */
export class Loader {
  readonly #cache: ObjectCacheImpl;
  readonly #reader: RecordReader;
  readonly #recipes: Recipes;
  /** Class metadata that must be written back as it was: with arguments, of a class nobody knows. */
  readonly #metas = new WeakMap<object, ClassMeta>();
  readonly #forms = new WeakMap<object, StateForm>();
  /** The record of the object that {@link make} made last: to ask the object itself would cost a search. */
  made: ObjectRecord | undefined = undefined;

  constructor(cache: ObjectCacheImpl) {
    this.#cache = cache;
    this.#recipes = Recipes.of(cache.jar.registry);
    this.#reader = new RecordReader(new LoadingHooks(cache));
  }

  /** The form of a loaded object's state where it is no dict. */
  formOf(object: object): StateForm | undefined {
    return this.#forms.get(object);
  }

  /** Class metadata of a loaded object where it isn't the plain one of its class. */
  metaOf(object: object): ClassMeta | undefined {
    return this.#metas.get(object);
  }

  /** A new object of a record, loaded. */
  make(oid: Oid, record: LoadedRecord): object {
    const content = this.#read(oid, record);
    const recipe = this.#recipes.for(content.cls);
    const made = new ObjectRecord(recipe.model.ghost, Status.ghost, oid, this.#cache);
    const object =
      recipe.kind === 'managed' ? Managed.instance(recipe.model.ctor, made) : bare(recipe.model, made);
    if (content.cls.newargs !== undefined || recipe.model.ctor === Broken)
      this.#metas.set(object, content.cls);
    this.#fill(object, made, content, recipe);
    made.serial = record.serial;
    made.size = record.data.length;
    this.made = made;
    return object;
  }

  /** An object of a managed class, not loaded; `undefined` when the class is another. */
  managedGhost(oid: Oid, cls: ClassMeta): object | undefined {
    const recipe = this.#recipes.for(cls);
    if (!recipe.mayBeGhost) return undefined;
    return Managed.instance(
      recipe.model.ctor,
      new ObjectRecord(recipe.model.ghost, Status.ghost, oid, this.#cache),
    );
  }

  /** A ghost's state. */
  fill(object: object, target: ObjectRecord, record: LoadedRecord): void {
    const content = this.#read(target.oid!, record);
    const recipe = this.#recipes.for(content.cls);
    const model = target.state[0].model;
    if (recipe.model !== model) {
      throw new ObjectLoadError(
        target.oid!,
        content.cls.toString(),
        `in memory this object is a ${model.ctor.name}; its class was changed in the database. Use a new connection, or cacheMinimize() and read it again.`,
      );
    }
    this.#fill(object, target, content, recipe);
    target.serial = record.serial;
    target.size = record.data.length;
  }

  /** The decoded state of a record, references as {@link Ref}s: for `oldState`. */
  stateOf(oid: Oid, record: LoadedRecord): unknown {
    return stateValue(this.#read(oid, record, asStored));
  }

  /** @internal for the reader */
  itemFormOf(cls: ClassMeta): ItemForm {
    return this.#recipes.for(cls).form;
  }

  #read(oid: Oid, record: LoadedRecord, owner: ItemFormSource = this): RecordContent {
    try {
      return this.#reader.readFor(record.data, owner);
    } catch (error) {
      if (!(error instanceof ZodbError)) throw error;
      const why = record.data[0] === PICKLE_END ? WRAPPED : error.message;
      throw new ObjectLoadError(oid, 'object', `its record can't be read: ${why}`, { cause: error });
    }
  }

  /** Gives an object its state. On failure it stays a ghost. */
  #fill(object: object, target: ObjectRecord, content: RecordContent, recipe: Recipe): void {
    if (recipe.kind === 'tracked') {
      this.#track(object, target, content, recipe.model);
      return;
    }
    if (object instanceof ManagedContainer && content.fields !== undefined) {
      this.#contain(object, target, content, recipe.model);
      return;
    }
    const ghost = target.state;
    target.state = recipe.shared ?? makeState(recipe.model.empty, 0, []);
    target.status = Status.changed;
    target.ready = 0;
    const outer = this.#cache.filling;
    this.#cache.filling = target;
    try {
      (object as WithSetState).__setstate__(stateValue(content));
    } catch (error) {
      target.state = ghost;
      target.status = Status.ghost;
      if (error instanceof ZodbError) throw error;
      throw new ObjectLoadError(
        target.oid!,
        content.cls.toString(),
        `__setstate__ failed: ${String(error)}`,
        { cause: error },
      );
    } finally {
      this.#cache.filling = outer;
    }
    target.status = Status.saved;
  }

  /** A container's data, and the fields of a subclass. */
  #contain(object: ManagedContainer, target: ObjectRecord, content: RecordContent, model: ClassModel): void {
    const { names, kinds } = content.fields!;
    let at = names.indexOf('data');
    if (at < 0) at = names.indexOf('_container');
    object.setData(at < 0 ? undefined : content.values[at]);
    const others = FieldList.of(
      names.filter((_, i) => i !== at),
      kinds.filter((_, i) => i !== at),
    );
    const values = content.values.filter((_, i) => i !== at);
    this.#track(object, target, { ...content, fields: others, values }, model);
  }

  #track(object: object, target: ObjectRecord, content: RecordContent, model: ClassModel): void {
    let { fields, values } = content;
    if (fields === undefined) {
      const other = fieldsOfOther(target.oid!, content);
      ({ fields, values } = other);
      this.#forms.set(object, other.form);
    }
    if (model.options.version !== undefined || model.options.defaults !== undefined) {
      ({ fields, values } = upgradeState(this.#cache, model, target.oid!, fields, values));
    }
    const layout = model.layoutOf(fields);
    const state = layout.straight ? makeState(layout, layout.top, values) : scatter(layout, values);
    if (model.types.size > 0) convert(model, layout, state);
    const previous = target.state[0];
    target.state = state;
    target.ready = 0;
    target.status = Status.saved;
    if (target.size === 0) {
      layout.specimen ??= specimenOf(layout);
      defineAll(object, target, layout);
    } else if (previous !== layout) defineMissing(object, target, layout, this.#cache);
  }
}

const asStored: ItemFormSource = { itemFormOf: () => ItemForm.none };

/** What the records of one cache's objects ask for. Methods, not closures: V8 compiles them once for all caches. */
class LoadingHooks implements RecordReaderHooks {
  readonly #jar: Jar;
  readonly #values: ValueClasses;

  constructor({ jar }: ObjectCacheImpl) {
    this.#jar = jar;
    this.#values = new ValueClasses(jar.registry);
  }

  strongReference(oid: Oid, cls: ClassMeta | undefined): Ref {
    return new Ref(oid, cls);
  }

  weakReference(oid: Oid, database: string | undefined): unknown {
    return WeakRef.stored(this.#jar, oid, database);
  }

  foreignReference(database: string, oid: Oid, cls: ClassMeta | undefined): ForeignRef {
    return new ForeignRef(database, oid, cls);
  }

  resolve(global: Global): ValueClass | undefined {
    return this.#values.resolve(global);
  }
}

/** A tracked object without fields. */
function bare(model: ClassModel, record: ObjectRecord): object {
  const object = new model.Shell();
  stampNew(object, record);
  return object;
}

/** Puts values in their slots when these are not in order. */
function scatter(layout: Layout, values: readonly unknown[]): State {
  const state = makeState(layout, layout.top, []);
  const slots = layout.slots;
  for (let i = 0; i < slots.length; i++) if (slots[i] !== 0) state[slots[i]!] = values[i];
  return state;
}

function defineAll(object: object, record: ObjectRecord, layout: Layout): void {
  // The arrays of a layout without fields are of another kind to V8.
  if (layout.top === 0) return;
  const { names, accessors } = layout;
  for (let i = 0; i < names.length; i++) Object.defineProperty(object, names[i]!, accessors[i]!);
  record.firm = names.length;
}

/** An object that stays, so that V8 does not forget how those of its class look. */
function specimenOf(layout: Layout): object {
  const record = new ObjectRecord(layout.model.ghost, Status.ghost, undefined, undefined);
  const object = bare(layout.model, record);
  defineAll(object, record, layout);
  return object;
}

/** Gives an object the fields that it has not yet. Names that another process removed stay, and read `undefined`. */
function defineMissing(
  object: object,
  record: ObjectRecord,
  layout: Layout,
  { addedFields }: ObjectCacheImpl,
): void {
  layout.names.forEach((name, i) => {
    if (Object.hasOwn(object, name)) return;
    const accessor = layout.accessors[i]!;
    const uncommitted = addedFields.has(object, name);
    Object.defineProperty(object, name, uncommitted ? { ...accessor, configurable: true } : accessor);
    if (!uncommitted) record.firm += 1;
  });
}

/** Fields of a state that is no dict of names: nothing, or Python's pair for classes with slots. */
function fieldsOfOther(
  oid: Oid,
  { state, cls }: RecordContent,
): { fields: FieldList; values: unknown[]; form: StateForm } {
  if (state === null || state === undefined) {
    return { fields: FieldList.empty, values: [], form: { slots: undefined, dict: false } };
  }
  if (!Array.isArray(state) || state.length !== 2) {
    throw new ObjectLoadError(
      oid,
      cls.toString(),
      'its state is no dict of fields; the class needs __setstate__ and __getstate__.',
    );
  }
  const [dict, slots] = state as [object | null, object | null];
  const all = [...Object.entries(dict ?? {}), ...Object.entries(slots ?? {})] as [string, unknown][];
  let fields = FieldList.empty;
  for (const [name] of all) fields = fields.with(name, FieldKind.auto);
  const form = { slots: new Set(Object.keys(slots ?? {})), dict: dict !== null };
  return { fields, values: all.map(([, value]) => value), form };
}

/** A state as one value: what `__setstate__` gets. */
function stateValue(content: RecordContent): unknown {
  if (content.fields === undefined) return content.state;
  const state: Record<string, unknown> = {};
  const names = content.fields.names;
  for (let i = 0; i < names.length; i++) {
    if (names[i] === '__proto__') continue;
    state[names[i]!] = content.values[i];
  }
  return state;
}

/** Values of fields declared to be of another type than the record shows. */
function convert(model: ClassModel, layout: Layout, state: State): void {
  for (const [name, type] of model.types) {
    const slot = layout.slotOf(name);
    if (slot === 0) continue;
    const value = state[slot];
    if (type === 'bigint' && typeof value === 'number' && Number.isSafeInteger(value))
      state[slot] = BigInt(value);
    else if (type === 'map' && isPlain(value)) state[slot] = new Map(Object.entries(value));
  }
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === Object.prototype || prototype === null;
}
