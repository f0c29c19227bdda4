/**
 * The registry: stored class names to constructors and back, as Python's import system does it. Constructors are the keys; names are for bytes.
 */
import { InvalidArgumentError } from '../errors';
import { ClassMeta } from '../record/index';
import { anchored } from './anchor';
import { ClassRegistrationError } from './errors';
import { takeNotes } from './field-notes';
import { prepareClass, type FieldNotes } from './guard';
import type { AnyClass, ClassName } from './interfaces';
import { warnOfUnsavedFields } from './unsaved-fields';

/** How a field is written (see docs/values.md). */
export type FieldType =
  /** a number is a float, integral or not */
  | 'float'
  /** a number is an int; a bigint too */
  | 'int'
  /** a bigint, in Python an int, whatever its size */
  | 'bigint'
  /** a Map, in Python a dict */
  | 'map'
  /** an array, in Python a list, frozen or not */
  | 'list'
  /** an array, in Python a tuple */
  | 'tuple'
  /** bytes, in Python a bytearray */
  | 'bytearray'
  /** a Set, in Python a frozenset */
  | 'frozenset';

/** What can be said about a persistent class. */
export interface ClassOptions {
  /** Dotted name it is stored under: `'bank.Account'` is module `bank`, class `Account`. Default: module `__main__`, the class's own name. */
  name?: string;
  /** Older dotted names: read, but never written. */
  aliases?: readonly string[];
  /** Takes the name over from a class that has it: for tests and hot reload. */
  replace?: boolean;
  /** Names of fields that are never saved, for fields of base classes that can't be decorated. */
  transient?: readonly string[];
  /** How fields are written, for fields that can't be decorated. */
  fields?: Readonly<Record<string, FieldType>>;
  /** Values for fields that an older record lacks; called once an object. */
  defaults?: () => object;
  /** Version of the class's state, a positive integer, stored in the state as `__version__`. */
  version?: number;
  /**
   * Turns the state of an older version into one of this, as the object is loaded: change it in place or return another. It is stored when the object
   * is next changed. `from` is 0 for records without a version.
   */
  upgrade?: (state: Record<string, unknown>, from: number) => Record<string, unknown> | void;
  /** The registry to enter; default {@link registry}. */
  registry?: Registry;
}

/** Options of a `@value` class. */
export interface ValueOptions {
  aliases?: readonly string[];
  replace?: boolean;
  registry?: Registry;
}

/** One registered class. */
export interface ClassEntry extends ClassName {
  readonly ctor: AnyClass;
  /** `value` classes live inside persistent objects; the others are objects with an oid. */
  readonly kind: 'persistent' | 'value';
  readonly meta: ClassMeta;
  readonly options: ClassOptions;
}

/** Classes that are part of this package. */
const builtIns: [module: string, name: string, ctor: AnyClass, options: ClassOptions][] = anchored(
  'built-ins',
  () => [],
);

/** Called for a class that is stored and not registered: may register or return it, or return nothing. */
export type MissingClassHandler = (module: string, name: string) => AnyClass | void;

/** A set of classes that databases know. One a process by default ({@link registry}); others by `new Registry()`. */
export class Registry {
  readonly #byName = new Map<string, ClassEntry>();
  readonly #byClass = new Map<AnyClass, ClassEntry>();
  readonly #missing = new Set<string>();
  #revision = 0;

  /** Asked for names nobody registered; may import lazily (`require`). What it returns is registered under that name. */
  onMissing: MissingClassHandler | undefined = undefined;

  constructor() {
    for (const [module, name, ctor, options] of builtIns)
      this.#enter(module, name, ctor, 'persistent', options);
  }

  /** Counts registrations: caches keyed by names start anew when it moves. */
  get revision(): number {
    return this.#revision;
  }

  /**
   * Makes a class persistent under a stored name, without a decorator.
   * @throws ClassRegistrationError when the name or the class is taken
   */
  register(module: string, name: string, ctor: AnyClass, options: ClassOptions = {}): void {
    checkClass(ctor);
    this.registerNoted(module, name, ctor, options, takeNotes(ctor));
  }

  /**
   * As {@link register}, with what field decorators said.
   * @internal
   */
  registerNoted(
    module: string,
    name: string,
    ctor: AnyClass,
    options: ClassOptions,
    notes: FieldNotes | undefined,
  ): void {
    this.#enter(module, name, ctor, 'persistent', options);
    prepareClass(ctor, options, notes);
    warnOfUnsavedFields(ctor, `${module}.${name}`, options.transient ?? []);
  }

  /**
   * Registers a class of this package; every new registry knows it too.
   * @internal
   */
  registerBuiltIn(module: string, name: string, ctor: AnyClass, aliases: readonly string[] = []): void {
    builtIns.push([module, name, ctor, { aliases }]);
    this.register(module, name, ctor, { aliases });
  }

  /** Registers a class whose objects are saved inside the persistent objects that hold them. */
  registerValue(module: string, name: string, ctor: AnyClass, options: ValueOptions = {}): void {
    this.#enter(module, name, ctor, 'value', options);
  }

  /** As {@link register}, taking the name over from a class that has it. */
  replace(module: string, name: string, ctor: AnyClass, options: ClassOptions = {}): void {
    this.register(module, name, ctor, { ...options, replace: true });
  }

  /** Takes a class out again, with its aliases. True when it was there. */
  unregister(ctor: AnyClass): boolean {
    if (!this.#byClass.delete(ctor)) return false;
    for (const [key, entry] of this.#byName) if (entry.ctor === ctor) this.#byName.delete(key);
    this.#revision += 1;
    return true;
  }

  /** The class of a stored name or alias; asks {@link onMissing} once a name. */
  find(module: string, name: string): ClassEntry | undefined {
    const key = `${module}\n${name}`;
    const entry = this.#byName.get(key);
    return entry ?? this.#ask(key, module, name);
  }

  /** What is known of a constructor. */
  entryOf(ctor: AnyClass): ClassEntry | undefined {
    return this.#byClass.get(ctor);
  }

  /** What is known of an object's class. */
  entryFor(object: object): ClassEntry | undefined {
    const ctor: unknown = (object as { constructor?: unknown }).constructor;
    return typeof ctor === 'function' ? this.#byClass.get(ctor as AnyClass) : undefined;
  }

  /** All registered classes. */
  entries(): IterableIterator<ClassEntry> {
    return this.#byClass.values();
  }

  #ask(key: string, module: string, name: string): ClassEntry | undefined {
    if (this.onMissing === undefined || this.#missing.has(key)) return undefined;
    this.#missing.add(key);
    const ctor = this.onMissing(module, name);
    const registered = this.#byName.get(key);
    if (registered !== undefined || ctor === undefined) return registered;
    const entry = this.#byClass.get(ctor);
    if (entry === undefined) this.register(module, name, ctor);
    else this.#byName.set(key, entry);
    this.#revision += 1;
    return this.#byName.get(key);
  }

  #enter(
    module: string,
    name: string,
    ctor: AnyClass,
    kind: ClassEntry['kind'],
    options: ClassOptions,
  ): void {
    checkClass(ctor);
    checkName(module, name);
    const dotted = `${module}.${name}`;
    const keys = [[module, name] as const, ...(options.aliases ?? []).map(splitName)];
    const mine = this.#byClass.get(ctor);
    if (mine !== undefined && options.replace !== true) {
      throw new ClassRegistrationError(
        dotted,
        `The class ${ctor.name} is already registered, as ${mine.module}.${mine.name}; give further names as aliases.`,
      );
    }
    for (const [aliasModule, aliasName] of keys) {
      const other = this.#byName.get(`${aliasModule}\n${aliasName}`);
      if (other === undefined || other.ctor === ctor) continue;
      if (options.replace !== true) {
        throw new ClassRegistrationError(
          `${aliasModule}.${aliasName}`,
          `The name ${aliasModule}.${aliasName} already belongs to another class. Name one of them differently, or pass { replace: true } when this one takes its place.`,
        );
      }
    }
    if (options.replace === true) this.#displace(keys, ctor);
    const entry: ClassEntry = { ctor, module, name, kind, meta: ClassMeta.of(module, name), options };
    this.#byClass.set(ctor, entry);
    for (const [aliasModule, aliasName] of keys) {
      this.#byName.set(`${aliasModule}\n${aliasName}`, entry);
      this.#missing.delete(`${aliasModule}\n${aliasName}`);
    }
    this.#revision += 1;
  }

  #displace(keys: readonly (readonly [string, string])[], ctor: AnyClass): void {
    for (const [module, name] of keys) {
      const other = this.#byName.get(`${module}\n${name}`);
      if (other !== undefined && other.ctor !== ctor) this.unregister(other.ctor);
    }
    this.unregister(ctor);
  }
}

/** `'bank.Account'` → `['bank', 'Account']`; a name without a dot is in module `__main__`. */
export function splitName(dotted: string): readonly [module: string, name: string] {
  const at = dotted.lastIndexOf('.');
  return at < 0 ? ['__main__', dotted] : [dotted.slice(0, at), dotted.slice(at + 1)];
}

function checkClass(ctor: unknown): void {
  if (typeof ctor !== 'function' || typeof ctor.prototype !== 'object' || ctor.prototype === null) {
    throw new InvalidArgumentError("Only a class can be registered: register('module', 'Class', Class).");
  }
}

function checkName(module: string, name: string): void {
  for (const part of [module, name]) {
    if (typeof part !== 'string' || part === '' || /[\n\r]/.test(part)) {
      throw new ClassRegistrationError(
        `${String(module)}.${String(name)}`,
        `${JSON.stringify(part)} is no part of a class name: give 'module.Class', without line breaks.`,
      );
    }
  }
}
