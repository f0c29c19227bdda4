/**
 * What the machinery knows of a class: a slot for each field name ever met, and the accessor that serves it.
 *
 * A field has the same slot in all objects of its class, whatever other fields they have, so that one accessor serves them all and sees
 * states of one shape.
 */
import { FieldKind, FieldList } from '../record/index';
import { makeAccessors, makeNamedAccessor } from './accessors';
import { anchored } from './anchor';
import type { AnyClass } from './interfaces';
import { emptyState } from './makers';
import type { ClassOptions, FieldType } from './registry';
import type { State } from './stamp';

/** Slots with accessors of their own; fields beyond it are looked up by name. Bounds what a database of endless names can make us generate. */
export const SLOT_LIMIT = 128;
const LAYOUT_LIMIT = 1000;

/** Key under which the version of a state is stored. */
export const VERSION_KEY = '__version__';

/** A field's property descriptor: non-configurable, so that nothing can take it off unseen. */
export interface Accessor extends PropertyDescriptor {
  get(): unknown;
  set(value: unknown): void;
}

/** How a lazily made transient field gets its value. */
export type TransientInit = ((this: object, object: object) => unknown) | undefined;

const KINDS: Readonly<Record<FieldType, FieldKind>> = {
  float: FieldKind.float,
  int: FieldKind.int,
  bigint: FieldKind.int,
  map: FieldKind.dict,
  list: FieldKind.list,
  tuple: FieldKind.tuple,
  bytearray: FieldKind.bytearray,
  frozenset: FieldKind.frozenset,
};

/** Which fields a state has, in order, and where they are. Immutable; one a field list and class, unless a field beyond {@link SLOT_LIMIT} was taken out. */
export class Layout {
  readonly model: ClassModel;
  readonly fields: FieldList;
  /** A slot for each of `fields`; 0 for one that is dropped (transient by now). */
  readonly slots: readonly number[];
  /** Fields that stand on the object (others are kept, out of sight), and their accessors. */
  readonly names: readonly string[];
  readonly accessors: readonly Accessor[];
  /** The greatest slot. */
  readonly top: number;
  /** Whether the fields are in slots 1 … n. */
  readonly straight: boolean;
  /** Whether one of the fields is a `__getstate__`: a function of the object itself. */
  readonly hasGetState: boolean;
  /** An object with these fields; see `specimens.ts`. */
  specimen: object | undefined = undefined;
  readonly #byName: Map<string, number>;
  /** Whether the slots are others than {@link ClassModel.slotsFor} gives for these names: one before them was taken out. */
  #isOwn = false;
  #written: FieldList | undefined;

  /**
   * @param slots those of `fields`
   * @param base the layout of all fields but the last, where there is one
   */
  constructor(model: ClassModel, fields: FieldList, slots: readonly number[], base?: Layout) {
    this.model = model;
    this.fields = fields;
    this.slots = slots;
    this.#byName = new Map(base === undefined ? undefined : base.#byName);
    const names: string[] = base?.names.slice() ?? [];
    const accessors: Accessor[] = base?.accessors.slice() ?? [];
    let top = base?.top ?? 0;
    let straight = base?.straight ?? true;
    for (let i = base?.slots.length ?? 0; i < slots.length; i++) {
      const slot = slots[i]!;
      const name = fields.names[i]!;
      if (slot > top) top = slot;
      if (slot !== i + 1) straight = false;
      if (slot === 0) continue;
      this.#byName.set(name, slot);
      const accessor = model.accessorOf(name);
      if (accessor === undefined) continue;
      names.push(name);
      accessors.push(accessor);
    }
    this.names = names;
    this.accessors = accessors;
    this.top = top;
    this.straight = straight;
    this.hasGetState = this.#byName.has('__getstate__');
  }

  /** The slot of a field, 0 when this state has none of that name. */
  slotOf(name: string): number {
    return this.#byName.get(name) ?? 0;
  }

  /** This layout and one more field at its end. */
  plus(name: string): Layout {
    if (this.slotOf(name) !== 0) return this;
    const { model } = this;
    const fields = this.fields.with(name, model.kindOf(name) ?? FieldKind.auto);
    if (this.#isOwn) return new Layout(model, fields, model.slotsFor(fields.names, this), this).#asOwn();
    return model.layoutOf(fields, this.fields.canonical ? undefined : this);
  }

  /** This layout without a field. The others stay in their slots. */
  minus(name: string): Layout {
    const at = this.fields.indexOf(name);
    if (at < 0) return this;
    const { model } = this;
    const fields = FieldList.of(this.fields.names.toSpliced(at, 1), this.fields.kinds.toSpliced(at, 1));
    const slots = this.slots.toSpliced(at, 1);
    const layout = model.layoutOf(fields);
    return slots.every((slot, i) => slot === layout.slots[i])
      ? layout
      : new Layout(model, fields, slots).#asOwn();
  }

  #asOwn(): this {
    this.#isOwn = true;
    return this;
  }

  /** The fields as they are to be written: kinds chosen for the class come before those that were read, dropped fields are left out. */
  get written(): FieldList {
    if (this.#written !== undefined) return this.#written;
    const names: string[] = [];
    const kinds: FieldKind[] = [];
    for (let i = 0; i < this.slots.length; i++) {
      const name = this.fields.names[i]!;
      if (this.slots[i] === 0) continue;
      names.push(name);
      kinds.push(this.model.kindOf(name) ?? this.fields.kinds[i]!);
    }
    return (this.#written = FieldList.of(names, kinds));
  }

  /** The values in the order of {@link written}. */
  valuesOf(state: State): unknown[] {
    if (this.straight) return state.slice(1, this.top + 1);
    const values: unknown[] = [];
    for (const slot of this.slots) if (slot !== 0) values.push(state[slot]);
    return values;
  }
}

/** How the objects of a class keep their state. */
export const House = {
  /** in tracked fields */
  fields: 0,
  /** a `ManagedContainer`: content, and perhaps tracked fields */
  container: 1,
  /** any other `Managed` class */
  own: 2,
} as const;
export type House = (typeof House)[keyof typeof House];

/** One class. Shared by all registries: fields and accessors don't depend on the stored name. */
export class ClassModel {
  readonly ctor: AnyClass;
  readonly prototype: object;
  /** Makes objects of the class, without fields. V8 learns that these need room for nothing but a mark, as it can't of `Object.create`: 24 bytes an object. */
  readonly Shell: new () => object;
  /** Fields never saved. */
  transients: ReadonlyMap<string, TransientInit> = new Map();
  types: ReadonlyMap<string, FieldType> = new Map();
  options: ClassOptions = {};
  /** The layout of no fields. */
  readonly empty: Layout;
  /** Stands in for a state that is not in memory: all slots `undefined`, so that every accessor takes its slow path. */
  ghost: State;
  /** Whether objects of this class ever had `_v_` or transient properties, which go when the state does. */
  volatile = false;
  /** The layout of the object whose fields were made tracked last, if it had no other properties. */
  newest: Layout;
  /** Found out when it is first asked for, by `classes.ts`. */
  house: House | undefined = undefined;
  readonly #slots = new Map<string, number>();
  readonly #accessors: (Accessor | undefined)[] = [undefined];
  readonly #named = new Map<string, Accessor>();
  readonly #layouts = new Map<FieldList, Layout>();
  #last: Layout;

  constructor(ctor: AnyClass) {
    this.ctor = ctor;
    this.prototype = ctor.prototype as object;
    this.Shell = shellOf(this.prototype);
    this.empty = this.newest = this.#last = new Layout(this, FieldList.empty, []);
    this.ghost = emptyState(this.empty, 8);
    Object.freeze(this.ghost);
  }

  /** Sets what registration says of the class; a class registered again keeps its slots. */
  configure(
    options: ClassOptions,
    transients: ReadonlyMap<string, TransientInit>,
    types: ReadonlyMap<string, FieldType>,
  ): void {
    this.options = options;
    this.transients = transients;
    this.types = types;
    this.#layouts.clear();
    this.#last = this.newest = this.empty;
  }

  /**
   * The layout of a field list.
   * @param base the layout of all but the last field, of a long list: each of thousands of fields that are added would have all looked up again
   */
  layoutOf(fields: FieldList, base?: Layout): Layout {
    const last = this.#last;
    if (last.fields === fields) return last;
    let layout = this.#layouts.get(fields);
    if (layout === undefined) {
      layout = new Layout(this, fields, this.slotsFor(fields.names, base), base);
      if (fields.canonical && this.#layouts.size < LAYOUT_LIMIT) this.#layouts.set(fields, layout);
    }
    return (this.#last = layout);
  }

  /** Slots for these names, new ones made as needed; 0 for names that are not to be in a state. */
  slotsFor(names: readonly string[], base?: Layout): number[] {
    const slots = base?.slots.slice() ?? [];
    this.#makeRoom(names, slots.length);
    let beyond = Math.max(SLOT_LIMIT, base?.top ?? 0);
    for (let i = slots.length; i < names.length; i++) {
      const name = names[i]!;
      slots.push(name === VERSION_KEY || this.transients.has(name) ? 0 : (this.#slots.get(name) ?? ++beyond));
    }
    return slots;
  }

  /** The accessor of a field; `undefined` for one that the class answers for itself or that must not be one. */
  accessorOf(name: string): Accessor | undefined {
    if (isReserved(name) || hasAccessor(this.prototype, name)) return undefined;
    const slot = this.#slots.get(name);
    if (slot !== undefined) return this.#accessors[slot];
    const named = this.#named.get(name) ?? makeNamedAccessor(name);
    if (this.#named.size < LAYOUT_LIMIT) this.#named.set(name, named);
    return named;
  }

  /** How a field is declared to be written. */
  kindOf(name: string): FieldKind | undefined {
    const type = this.types.get(name);
    return type === undefined ? undefined : KINDS[type];
  }

  /** Whether a property of this name is never part of the state. */
  isVolatile(name: string): boolean {
    return name.startsWith('_v_') || this.transients.has(name);
  }

  /** Name of a field by its slot, for messages; `undefined` beyond the limit. */
  nameOfSlot(slot: number): string | undefined {
    for (const [name, at] of this.#slots) if (at === slot) return name;
    return undefined;
  }

  #makeRoom(names: readonly string[], from: number): void {
    const first = this.#accessors.length;
    let next = first;
    for (let i = from; i < names.length && next <= SLOT_LIMIT; i++) {
      const name = names[i]!;
      if (name === VERSION_KEY || this.#slots.has(name) || this.transients.has(name)) continue;
      this.#slots.set(name, next++);
    }
    if (next === first) return;
    this.#accessors.push(...makeAccessors(first, next - 1));
    if (next > this.ghost.length) {
      this.ghost = emptyState(this.empty, Math.min(SLOT_LIMIT, next * 2));
      Object.freeze(this.ghost);
    }
  }
}

function shellOf(prototype: object): new () => object {
  const shells = [
    function () {
      // Makes nothing, and has no name: debuggers show that of the class then.
    },
  ];
  shells[0]!.prototype = prototype;
  return shells[0] as unknown as new () => object;
}

/** Names that can't be fields: they would change the object itself, or are ZODB's. */
export function isReserved(name: string): boolean {
  return name === '__proto__' || name.startsWith('_p_') || name.startsWith('_v_');
}

/** Whether a class answers for a name by a getter or setter of its own. */
export function hasAccessor(prototype: object, name: string): boolean {
  for (
    let at: object | null = prototype;
    at !== null && at !== Object.prototype;
    at = Object.getPrototypeOf(at) as object | null
  ) {
    const found = Object.getOwnPropertyDescriptor(at, name);
    if (found !== undefined) return found.get !== undefined || found.set !== undefined;
  }
  return false;
}

const models = anchored('models', () => new WeakMap<object, ClassModel>());

/** The model of the class whose prototype this is. */
export function modelOfPrototype(prototype: object): ClassModel | undefined {
  return models.get(prototype);
}

export function setModel(prototype: object, model: ClassModel): void {
  models.set(prototype, model);
}
