/**
 * Turning the fields of a new object into tracked ones, in place, so that everything that knows the object keeps knowing it.
 */
import { FieldList } from '../record/index';
import { isFieldGetter } from './accessors';
import type { ClassModel, Layout } from './class-model';
import { isReserved } from './class-model';
import { NotPersistableError } from './errors';
import { IS_ELEMENT } from './guard';
import { makeState } from './makers';
import { dropPending, stamp, stampNew, stampOf, type ObjectRecord, type State } from './stamp';

interface WithElements {
  [IS_ELEMENT]?: (name: string) => boolean;
}

/** Fields found on an object, before anything is done to it. */
interface Plan {
  readonly names: readonly string[];
  readonly values: readonly unknown[];
  /** Own string keys, fields or not, in order. */
  readonly keys: readonly string[];
  readonly kept: ReadonlyMap<string, PropertyDescriptor>;
}

/**
 * Makes the data properties of `object` tracked fields, all or none. Again, for properties that appeared since, on an object that has tracked fields already.
 * @throws NotPersistableError when the object can't be converted; it is unchanged then
 */
export function adopt(object: object, record: ObjectRecord, model: ClassModel): boolean {
  // Firm fields can't go: when there are no more keys than these, nothing appeared.
  if (record.firm > 0 && Object.keys(object).length === record.firm) return false;
  if (stampOf(object) === undefined) {
    adoptNew(object, record, model);
    dropPending(object);
    return true;
  }
  const plan = survey(object, model, true);
  if (plan.names.length === 0) return false;
  convertMore(object, record, plan);
  return true;
}

/** As {@link adopt}, for an ordinary object that is not known by its record yet. Most have the very fields of the one of their class before. */
export function adoptNew(object: object, record: ObjectRecord, model: ClassModel): void {
  if (!adoptAlike(object, record, model.newest))
    convertAll(object, record, model, survey(object, model, false));
}

/** Converts an object that has the fields of `layout` and no other properties; false for any other one. See {@link convertAll}. */
function adoptAlike(object: object, record: ObjectRecord, layout: Layout): boolean {
  const { names, accessors } = layout;
  const own = Object.getOwnPropertyNames(object);
  const { length } = names;
  if (own.length !== length || !Object.isExtensible(object)) return false;
  const values: unknown[] = [];
  for (let i = 0; i < length; i++) {
    const name = names[i]!;
    if (own[i] !== name) return false;
    const { value, enumerable, configurable, get, set } = Object.getOwnPropertyDescriptor(object, name)!;
    if (get !== undefined || set !== undefined || enumerable !== true || configurable !== true) return false;
    values.push(value);
  }
  for (let i = length - 1; i >= 0; i--) Reflect.deleteProperty(object, names[i]!);
  record.state = layout.straight ? makeState(layout, layout.top, values) : stateOf(layout, values);
  record.ready = 0;
  stampNew(object, record);
  for (let i = 0; i < length; i++) Object.defineProperty(object, names[i]!, accessors[i]!);
  record.firm = length;
  return true;
}

function survey(object: object, model: ClassModel, tracked: boolean): Plan {
  const className = model.ctor.name;
  const names: string[] = [];
  const values: unknown[] = [];
  const kept = new Map<string, PropertyDescriptor>();
  const keys: string[] = [];
  // Not asked of ordinary objects: they are no containers, and the guard would answer.
  const isElement = tracked ? (object as WithElements)[IS_ELEMENT] : undefined;
  for (const name of Object.getOwnPropertyNames(object)) {
    if (isElement?.(name) === true) continue;
    const descriptor = Object.getOwnPropertyDescriptor(object, name)!;
    if (tracked && descriptor.get !== undefined && isFieldGetter(descriptor.get as () => unknown)) continue;
    keys.push(name);
    if (isReserved(name) || model.isVolatile(name)) {
      if (model.isVolatile(name)) model.volatile = true;
      kept.set(name, descriptor);
      continue;
    }
    if (descriptor.get !== undefined || descriptor.set !== undefined) {
      throw new NotPersistableError(
        `${className}.${name}: an accessor of the object itself can't be tracked (MobX makes such); put it on the class, or list it as transient.`,
      );
    }
    if (descriptor.enumerable !== true) {
      kept.set(name, descriptor);
      continue;
    }
    if (!Object.isExtensible(object)) {
      throw new NotPersistableError(
        `This ${className} was frozen, sealed or made non-extensible before it was saved; its fields can't be tracked.`,
      );
    }
    if (descriptor.configurable !== true) {
      throw new NotPersistableError(
        `${className}.${name}: a field that can't be redefined can't be tracked.`,
      );
    }
    names.push(name);
    values.push(descriptor.value);
  }
  return { names, values, keys, kept };
}

/** Everything off in reverse order, the mark, everything on again: this keeps fast maps on Node 20. */
function convertAll(object: object, record: ObjectRecord, model: ClassModel, plan: Plan): void {
  const layout = model.layoutOf(
    FieldList.of(
      plan.names,
      plan.names.map((name) => model.kindOf(name) ?? 0),
    ),
  );
  const removable = plan.keys.filter((name) => plan.kept.get(name)?.configurable ?? true);
  for (let i = removable.length - 1; i >= 0; i--) Reflect.deleteProperty(object, removable[i]!);
  record.state = stateOf(layout, plan.values);
  record.ready = 0;
  stamp(object, record);
  record.firm = define(object, layout, plan, removable);
  if (record.firm === plan.keys.length && record.firm === layout.fields.length) model.newest = layout;
}

function convertMore(object: object, record: ObjectRecord, plan: Plan): void {
  for (const name of plan.names.toReversed()) Reflect.deleteProperty(object, name);
  const state = record.state;
  let layout = state[0];
  plan.names.forEach((name, i) => {
    layout = layout.plus(name);
    const slot = layout.slotOf(name);
    while (state.length <= slot) state.push(undefined);
    state[slot] = plan.values[i];
  });
  state[0] = layout;
  record.firm += define(object, layout, plan, plan.names);
}

/** Returns how many of them are firm now. */
function define(object: object, layout: Layout, plan: Plan, names: readonly string[]): number {
  let firm = 0;
  for (const name of names) {
    const kept = plan.kept.get(name);
    const descriptor = kept ?? layout.model.accessorOf(name);
    if (descriptor === undefined) continue;
    Object.defineProperty(object, name, descriptor);
    if (kept === undefined) firm += 1;
  }
  return firm;
}

function stateOf(layout: Layout, values: readonly unknown[]): State {
  if (layout.straight) return makeState(layout, layout.top, values);
  const state = makeState(layout, layout.top, []);
  layout.slots.forEach((slot, i) => {
    if (slot !== 0) state[slot] = values[i];
  });
  return state;
}
