/** Questions about an object's class. */
import { ClassMeta } from '../record/index';
import type { ClassModel } from './class-model';
import { ClassRegistrationError, NotPersistableError } from './errors';
import { modelFor } from './guard';
import { Managed, ManagedContainer } from './managed';
import type { Registry } from './registry';

export function isManaged(object: object): object is Managed {
  return object instanceof Managed;
}

/**
 * Whether the program may hold an object of this kind while it is not loaded. Containers may have fields beside their content, and those must be there.
 */
export function mayBeGhost(object: object): boolean {
  return object instanceof Managed && !(object instanceof ManagedContainer);
}

/**
 * The model of an object that is to be stored.
 * @throws NotPersistableError when its class is not persistent; ClassRegistrationError when this registry doesn't know it
 */
export function requireModel(object: object, registry: Registry): ClassModel {
  const found = modelFor(object);
  const ctor = (object as { constructor?: { name?: string } }).constructor?.name ?? 'an object without class';
  if (found === undefined) {
    throw new NotPersistableError(
      `${ctor} is no persistent class; decorate it with @persistent('module.${ctor}').`,
    );
  }
  if (!found.exact || registry.entryOf(found.model.ctor) === undefined) {
    throw new ClassRegistrationError(
      ctor,
      `The class ${ctor} is not registered${found.exact ? " in this database's registry" : `, only its base ${found.model.ctor.name} is`}; decorate it with @persistent('module.${ctor}').`,
    );
  }
  return found.model;
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
