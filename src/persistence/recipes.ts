/** How objects of stored classes come to life: looked up once a registry, whatever number of caches load them. */
import { ItemForm, type ClassMeta } from '../record/index';
import { Broken } from './broken';
import { modelOfPrototype, type ClassModel } from './class-model';
import { makeState } from './makers';
import { Managed, ManagedContainer } from './managed';
import type { Registry } from './registry';
import { ObjectRecord, Status, type State } from './stamp';

/** How objects of a stored class come to life. */
export interface Recipe {
  readonly model: ClassModel;
  readonly kind: 'tracked' | 'managed' | 'custom';
  /** Whether its objects may be in the program's hands without their states. */
  readonly mayBeGhost: boolean;
  /** What all loaded objects have for a state that keep theirs elsewhere and have no fields. */
  readonly shared: State | undefined;
  readonly form: ItemForm;
  /** A loaded object and a new one that stay; see `specimens.ts`. */
  readonly specimens: readonly object[];
}

/** The recipes of one registry. */
export class Recipes {
  readonly #registry: Registry;
  readonly #byClass = new Map<ClassMeta, Recipe>();
  /** What was asked for last: one record asks twice. */
  #lastClass: ClassMeta | undefined = undefined;
  #lastRecipe: Recipe | undefined = undefined;
  #revision: number;

  private constructor(registry: Registry) {
    this.#registry = registry;
    this.#revision = registry.revision;
  }

  static of(registry: Registry): Recipes {
    let recipes = byRegistry.get(registry);
    if (recipes === undefined) byRegistry.set(registry, (recipes = new Recipes(registry)));
    return recipes;
  }

  for(cls: ClassMeta): Recipe {
    if (this.#revision !== this.#registry.revision) this.#restart();
    const bare = cls.newargs === undefined && cls.form === 'class' ? cls : cls.bare;
    return bare === this.#lastClass ? this.#lastRecipe! : this.#find(bare);
  }

  #restart(): void {
    this.#byClass.clear();
    this.#lastClass = undefined;
    this.#revision = this.#registry.revision;
  }

  #find(cls: ClassMeta): Recipe {
    let recipe = this.#byClass.get(cls);
    if (recipe === undefined) {
      recipe = this.#make(cls);
      // To look a class up can register it.
      this.#revision = this.#registry.revision;
      this.#byClass.set(cls, recipe);
    }
    this.#lastClass = cls;
    return (this.#lastRecipe = recipe);
  }

  #make(cls: ClassMeta): Recipe {
    const entry = this.#registry.find(cls.module, cls.name);
    const ctor = entry?.kind === 'persistent' ? entry.ctor : Broken;
    const prototype = ctor.prototype as object;
    const model = modelOfPrototype(prototype)!;
    const kind =
      prototype instanceof Managed ? 'managed' : hasMethod(prototype, '__setstate__') ? 'custom' : 'tracked';
    const isFieldless = kind === 'managed' && !(prototype instanceof ManagedContainer);
    return {
      model,
      kind,
      mayBeGhost: isFieldless && ctor !== Broken,
      shared: isFieldless ? makeState(model.empty, 0, []) : undefined,
      form: isFieldless ? (prototype as Managed).itemForm : ItemForm.none,
      specimens: kind === 'managed' && ctor !== Broken ? specimensOf(model) : [],
    };
  }
}

function specimensOf({ ctor, ghost }: ClassModel): object[] {
  const record = new ObjectRecord(ghost, Status.ghost, undefined, undefined);
  const both = [Managed.instance(ctor, record), Reflect.construct(Managed, [], ctor) as Managed];
  for (const object of both) object.dropState();
  return both;
}

const byRegistry = new WeakMap<Registry, Recipes>();

function hasMethod(prototype: object, name: string): boolean {
  return typeof (prototype as Record<string, unknown>)[name] === 'function';
}
