/**
 * Classes and functions by name. A {@link Global} stands for what Python would import; nothing is imported here.
 */
import { inspect } from 'node:util';

/** What a {@link BuiltinReader} returns for arguments that it can't make a value of. */
export const NONE: unique symbol = Symbol('none');

/**
 * Makes a built-in value out of `cls(*args)` or `cls.__new__(cls, *args)`, or {@link NONE}. `charge` takes the memory it is
 * going to need, in bytes, off what the pickle may use.
 * @internal
 */
export type BuiltinReader = (
  args: readonly unknown[],
  by: 'newobj' | 'call',
  charge: (bytes: number) => void,
) => unknown;

/** How many names are kept canonical in a process; a hostile pickle can't make this grow without bound. */
const CANONICAL_LIMIT = 50_000;
/** Longer names are none that a program has. */
const LENGTH_LIMIT = 512;
const canonical = new Map<string, Global>();

/**
 * A class or function by module and name. Made by {@link Global.of}, which gives the same object for the same name
 * (for the first 50,000 names of a process), so that it can be compared by identity first and by name second.
 */
export class Global {
  readonly module: string;
  readonly name: string;
  /**
   * Room for what a higher floor knows about the name (the record floor's class metadata).
   * @internal
   */
  slot: object | undefined = undefined;
  /**
   * How instances of it are read, if it is one of the built-in values.
   * @internal
   */
  builtin: BuiltinReader | undefined = undefined;

  #line: Uint8Array | undefined = undefined;

  private constructor(module: string, name: string) {
    this.module = module;
    this.name = name;
  }

  /** The one object for a module and a name. */
  static of(module: string, name: string): Global {
    const key = `${module}\n${name}`;
    let global = canonical.get(key);
    if (global === undefined) {
      global = new Global(module, name);
      if (canonical.size < CANONICAL_LIMIT && key.length <= LENGTH_LIMIT) canonical.set(key, global);
    }
    return global;
  }

  /**
   * The two lines that follow GLOBAL in a pickle.
   * @internal
   */
  get line(): Uint8Array {
    return (this.#line ??= Buffer.from(`${this.module}\n${this.name}\n`));
  }

  /** Whether both name the same thing. */
  equals(other: Global): boolean {
    return this === other || (this.module === other.module && this.name === other.name);
  }

  /** `module.name` */
  toString(): string {
    return `${this.module}.${this.name}`;
  }

  toJSON(): unknown {
    return { $global: [this.module, this.name] };
  }

  [inspect.custom](): string {
    return `<global ${this.toString()}>`;
  }
}
