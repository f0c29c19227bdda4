/** From a record to a live object. */
import { ZodbError } from '../errors';
import type { Oid } from '../ids';
import {
  FieldKind,
  FieldList,
  ItemForm,
  RecordReader,
  type ClassMeta,
  type RecordContent,
} from '../record/index';
import { Broken } from './broken';
import type { ObjectCacheImpl } from './cache';
import { modelOfPrototype, type ClassModel, type Layout } from './class-model';
import { ObjectLoadError } from './errors';
import type { LoadedRecord } from './interfaces';
import { Managed, ManagedContainer } from './managed';
import { makeState } from './makers';
import { ForeignRef, Ref } from './ref';
import { ObjectRecord, stampNew, Status, type State } from './stamp';
import { upgradeState } from './upgrade';
import { ValueClasses } from './value-classes';
import { WeakRef } from './weak-ref';

/** How objects of a stored class come to life. */
interface Recipe {
  readonly model: ClassModel;
  readonly kind: 'tracked' | 'managed' | 'custom';
  /** What all loaded objects have for a state that keep theirs elsewhere and have no fields. */
  readonly shared: State | undefined;
  readonly form: ItemForm;
}

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
  readonly #recipes = new Map<ClassMeta, Recipe>();
  /** What was asked for last: one record asks twice. */
  #lastClass: ClassMeta | undefined = undefined;
  #lastRecipe: Recipe | undefined = undefined;
  #revision = -1;
  /** Class metadata that must be written back as it was: with arguments, of a class nobody knows. */
  readonly #metas = new WeakMap<object, ClassMeta>();
  readonly #forms = new WeakMap<object, StateForm>();

  constructor(cache: ObjectCacheImpl) {
    this.#cache = cache;
    const values = new ValueClasses(cache.jar.registry);
    this.#reader = new RecordReader({
      strongReference: (oid, cls) => new Ref(oid, cls),
      weakReference: (oid, database) => WeakRef.stored(cache.jar, oid, database),
      foreignReference: (database, oid, cls) => new ForeignRef(database, oid, cls),
      resolve: (global) => values.resolve(global),
    });
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
    const recipe = this.#recipe(content.cls);
    const made = new ObjectRecord(recipe.model.ghost, Status.ghost, oid, this.#cache);
    const object =
      recipe.kind === 'managed' ? Managed.instance(recipe.model.ctor, made) : bare(recipe.model, made);
    if (content.cls.newargs !== undefined || recipe.model.ctor === Broken)
      this.#metas.set(object, content.cls);
    this.#fill(object, made, content, recipe);
    made.serial = record.serial;
    made.size = record.data.length;
    return object;
  }

  /** An object of a managed class, not loaded; `undefined` when the class is another. */
  managedGhost(oid: Oid, cls: ClassMeta): object | undefined {
    const recipe = this.#recipe(cls);
    if (
      recipe.kind !== 'managed' ||
      recipe.model.prototype instanceof ManagedContainer ||
      recipe.model.ctor === Broken
    ) {
      return undefined;
    }
    return Managed.instance(
      recipe.model.ctor,
      new ObjectRecord(recipe.model.ghost, Status.ghost, oid, this.#cache),
    );
  }

  /** A ghost's state. */
  fill(object: object, target: ObjectRecord, record: LoadedRecord): void {
    const content = this.#read(target.oid!, record);
    const recipe = this.#recipe(content.cls);
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

  readonly #formOf = (cls: ClassMeta): ItemForm => this.#recipe(cls).form;

  #read(oid: Oid, record: LoadedRecord, formOf = this.#formOf): RecordContent {
    try {
      return this.#reader.readFor(record.data, formOf);
    } catch (error) {
      if (!(error instanceof ZodbError)) throw error;
      throw new ObjectLoadError(oid, 'object', `its record can't be read: ${error.message}`, {
        cause: error,
      });
    }
  }

  #recipe(cls: ClassMeta): Recipe {
    const registry = this.#cache.jar.registry;
    if (this.#revision !== registry.revision) {
      this.#recipes.clear();
      this.#lastClass = undefined;
      this.#revision = registry.revision;
    }
    const bare = cls.newargs === undefined && cls.form === 'class' ? cls : cls.bare;
    if (bare === this.#lastClass) return this.#lastRecipe!;
    let recipe = this.#recipes.get(bare);
    if (recipe === undefined) {
      recipe = this.#makeRecipe(bare);
      this.#recipes.set(bare, recipe);
      this.#revision = registry.revision;
    }
    this.#lastClass = bare;
    return (this.#lastRecipe = recipe);
  }

  #makeRecipe(cls: ClassMeta): Recipe {
    const entry = this.#cache.jar.registry.find(cls.module, cls.name);
    const ctor = entry?.kind === 'persistent' ? entry.ctor : Broken;
    const prototype = ctor.prototype as object;
    const model = modelOfPrototype(prototype)!;
    const kind =
      prototype instanceof Managed ? 'managed' : hasMethod(prototype, '__setstate__') ? 'custom' : 'tracked';
    const isFieldless = kind === 'managed' && !(prototype instanceof ManagedContainer);
    return {
      model,
      kind,
      shared: isFieldless ? makeState(model.empty, 0, []) : undefined,
      form: isFieldless ? (prototype as Managed).itemForm : ItemForm.none,
    };
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
    if (target.size === 0) defineAll(object, target, layout);
    else if (previous !== layout) defineMissing(object, target, layout, this.#cache);
  }
}

function asStored(): ItemForm {
  return ItemForm.none;
}

/** A tracked object without fields. */
function bare(model: ClassModel, record: ObjectRecord): object {
  const object = new model.Shell();
  stampNew(object, record);
  return object;
}

function hasMethod(prototype: object, name: string): boolean {
  return typeof (prototype as Record<string, unknown>)[name] === 'function';
}

/** Puts values in their slots when these are not in order. */
function scatter(layout: Layout, values: readonly unknown[]): State {
  const state = makeState(layout, layout.top, []);
  const slots = layout.slots;
  for (let i = 0; i < slots.length; i++) if (slots[i] !== 0) state[slots[i]!] = values[i];
  return state;
}

function defineAll(object: object, record: ObjectRecord, layout: Layout): void {
  const { names, accessors } = layout;
  for (let i = 0; i < names.length; i++) Object.defineProperty(object, names[i]!, accessors[i]!);
  record.firm = names.length;
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
