/** Questions about an object's class. */
import { ClassMeta } from '../record/index';
import { House, type ClassModel } from './class-model';
import { ClassRegistrationError, NotPersistableError } from './errors';
import { modelFor } from './guard';
import { Managed, ManagedContainer } from './managed';
import { ofOtherCopy } from './other-copy';
import type { Registry } from './registry';
import { stampOf } from './stamp';

export function isManaged(object: object): object is Managed {
  const model = stampOf(object)?.state[0].model as ClassModel | undefined;
  return model === undefined ? object instanceof Managed : houseOf(model) !== House.fields;
}

/**
 * Whether the program may hold an object of this kind while it is not loaded. Containers may have fields beside their content, and those must be there.
 */
export function mayBeGhost(object: object): boolean {
  const model = stampOf(object)?.state[0].model as ClassModel | undefined;
  if (model !== undefined) return houseOf(model) === House.own;
  return object instanceof Managed && !(object instanceof ManagedContainer);
}

/** What `instanceof` says of the objects of a class, asked once: above a tracked class stands the guard, a proxy, which makes every such search slow. */
export function houseOf(model: ClassModel): House {
  if (model.house !== undefined) return model.house;
  const { prototype } = model;
  if (!(prototype instanceof Managed)) return (model.house = House.fields);
  return (model.house = prototype instanceof ManagedContainer ? House.container : House.own);
}

/**
 * The model of an object that is to be stored.
 * @throws NotPersistableError when its class is not persistent; ClassRegistrationError when this registry doesn't know it
 */
export function requireModel(object: object, registry: Registry): ClassModel {
  const found = modelFor(object);
  if (found?.exact === true && registry.entryOf(found.model.ctor) !== undefined) return found.model;
  const ctor = (object as { constructor?: { name?: string } }).constructor?.name ?? 'an object without class';
  if (found === undefined) {
    const other = ofOtherCopy(object);
    throw new NotPersistableError(
      other === undefined
        ? `${ctor} is no persistent class; decorate it with @persistent('module.${ctor}').`
        : `This ${ctor} can't be stored here: ${other}.`,
    );
  }
  throw new ClassRegistrationError(
    ctor,
    `The class ${ctor} is not registered${found.exact ? " in this database's registry" : `, only its base ${found.model.ctor.name} is`}; decorate it with @persistent('module.${ctor}').`,
  );
}

/** The class a model is stored as. */
export function metaOfModel(model: ClassModel, registry: Registry): ClassMeta {
  return registry.entryOf(model.ctor)?.meta ?? ClassMeta.of('__main__', model.ctor.name);
}

/** Dotted stored name of a class, for messages. */
export function classNameOf(model: ClassModel, registry: Registry): string {
  return metaOfModel(model, registry).toString();
}

/** Takes `_v_` and transient properties off an object whose state goes. */
export function dropVolatile(object: object, model: ClassModel): void {
  for (const name of Object.keys(object).reverse()) {
    if (model.isVolatile(name)) Reflect.deleteProperty(object, name);
  }
}
