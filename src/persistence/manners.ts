/** How the objects of each class are written, found out once. */
import type { ClassMeta } from '../record/index';
import { keepSpecimen } from '../specimens';
import { modelOfPrototype, type ClassModel, type House } from './class-model';
import { houseOf, metaOfModel, requireModel } from './classes';
import { modelFor } from './guard';
import type { Registry } from './registry';
import type { ObjectRecord } from './stamp';

/** What objects with a state of their own making have. */
export interface WithGetState {
  __getstate__(): unknown;
}

/** How the objects of a class are written. */
export interface Manner {
  readonly model: ClassModel;
  /** What they are stored as. */
  readonly meta: ClassMeta;
  /** Whether the registry knows the class. */
  readonly registered: boolean;
  readonly house: House;
  /** Whether the class has a `__getstate__`. */
  readonly hasGetState: boolean;
}

keepSpecimen<Manner>({
  model: Object.create(null) as ClassModel,
  meta: Object.create(null) as ClassMeta,
  registered: true,
  house: 0,
  hasGetState: false,
});

/** See the head of the file. One a cache. */
export class Manners {
  /** The prototype of the class that was asked for last. */
  lastPrototype: object | undefined = undefined;
  readonly #registry: Registry;
  readonly #known = new Map<ClassModel, Manner>();
  #last: Manner | undefined = undefined;
  #revision = -1;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** To be called before a series of questions: what is known holds until something is registered. */
  refresh(): void {
    const { revision } = this.#registry;
    if (this.#revision === revision) return;
    this.#known.clear();
    this.#last = this.lastPrototype = undefined;
    this.#revision = revision;
  }

  /** That of the class that an object is stored as, registered or not. */
  storedAs(object: object, record: ObjectRecord): Manner {
    const own = record.state[0].model;
    if (Object.getPrototypeOf(object) !== own.prototype) return this.#of(modelFor(object)?.model ?? own);
    const last = this.#last;
    return last !== undefined && last.model === own ? last : this.#of(own);
  }

  /** That of an object's class. Throws as {@link requireModel} does. */
  required(object: object): Manner {
    const prototype = Object.getPrototypeOf(object) as object;
    if (prototype === this.lastPrototype) return this.#last!;
    const model = modelOfPrototype(prototype);
    const manner = model && this.#of(model);
    return manner?.registered === true ? manner : this.#of(requireModel(object, this.#registry));
  }

  #of(model: ClassModel): Manner {
    let manner = this.#known.get(model);
    if (manner === undefined) {
      manner = {
        model,
        meta: metaOfModel(model, this.#registry),
        registered: this.#registry.entryOf(model.ctor) !== undefined,
        house: houseOf(model),
        hasGetState: typeof (model.prototype as Partial<WithGetState>).__getstate__ === 'function',
      };
      if (!manner.registered) return manner;
      this.#known.set(model, manner);
    }
    this.lastPrototype = model.prototype;
    return (this.#last = manner);
  }
}
