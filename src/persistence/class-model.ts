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

/** Which fields a state has, in order, and where they are. Immutable; one a field list and class. */
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
  readonly #byName = new Map<string, number>();
  #written: FieldList | undefined;

  constructor(model: ClassModel, fields: FieldList) {
    this.model = model;
    this.fields = fields;
    const slots = (this.slots = model.slotsFor(fields.names));
    const names: string[] = [];
    const accessors: Accessor[] = [];
    let top = 0;
    let straight = true;
    for (let i = 0; i < slots.length; i++) {
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
    return this.model.layoutOf(this.fields.with(name, this.model.kindOf(name) ?? FieldKind.auto));
  }

  /** This layout without a field. */
  minus(name: string): Layout {
    const at = this.fields.indexOf(name);
    if (at < 0) return this;
    return this.model.layoutOf(
      FieldList.of(this.fields.names.toSpliced(at, 1), this.fields.kinds.toSpliced(at, 1)),
    );
  }

  /** The fields as they are to be written: kinds chosen for the class come before those that were read, dropped fields are left out. */
  get written(): FieldList {
    if (this.#written !== undefined) return this.#written;
    let list = FieldList.empty;
    for (let i = 0; i < this.slots.length; i++) {
      const name = this.fields.names[i]!;
      if (this.slots[i] !== 0) list = list.with(name, this.model.kindOf(name) ?? this.fields.kinds[i]!);
    }
    return (this.#written = list);
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
    this.empty = this.newest = this.#last = new Layout(this, FieldList.empty);
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

  /** The layout of a field list. */
  layoutOf(fields: FieldList): Layout {
    const last = this.#last;
    if (last.fields === fields) return last;
    let layout = this.#layouts.get(fields);
    if (layout === undefined) {
      layout = new Layout(this, fields);
      if (fields.canonical && this.#layouts.size < LAYOUT_LIMIT) this.#layouts.set(fields, layout);
    }
    return (this.#last = layout);
  }

  /** Slots for these names, new ones made as needed; 0 for names that are not to be in a state. */
  slotsFor(names: readonly string[]): number[] {
    this.#makeRoom(names);
    let beyond = SLOT_LIMIT;
    return names.map((name) => {
      if (name === VERSION_KEY || this.transients.has(name)) return 0;
      return this.#slots.get(name) ?? ++beyond;
    });
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

  #makeRoom(names: readonly string[]): void {
    const first = this.#accessors.length;
    let next = first;
    for (const name of names) {
      if (next > SLOT_LIMIT) break;
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
