/**
 * The contract of the pickle floor: what callers hand to the reader and the writer, and what they get.
 *
 * The reader never executes anything that a pickle names. A class or function in a pickle is a {@link Global};
 * an instance is one of the built-in values, an object of a registered {@link ValueClass}, or, unless it is
 * refused, a {@link PyInstance} that keeps what the pickle said and writes back as it was.
 */
import type { Global } from './global';
import type { PyInstance } from './instance';

/** How 8-bit strings are read; only Python 2 wrote them. */
export type StringEncoding =
  /** ASCII or an error: what ZODB does */
  | 'ascii'
  /** ASCII, else left as bytes: what ZODB does for transaction extensions */
  | 'ascii-or-bytes'
  | 'latin-1'
  | 'utf-8'
  | 'bytes';

/**
 * A non-persistent class whose objects may stand inside pickles. Registered by name with a reader, found by
 * object with a writer. `valueClass()` makes one with the usual behaviour.
 */
export interface ValueClass {
  /** The name it is written under. */
  readonly global: Global;
  /**
   * Makes an object for `cls(*args)` or `cls.__new__(cls, *args)`. Must not run what the pickle could abuse;
   * the usual one is `Object.create(prototype)` and ignores the arguments.
   */
  create(args: readonly unknown[]): object;
  /** Whether `create` can do with these arguments. Where it can't, what the pickle said is kept as for an unknown class. Without it all are fine. */
  takes?(args: readonly unknown[]): boolean;
  /** Gives a new object its state; the usual one defines own properties from a dict. `false`: it is no state for it, and kept as for an unknown class. */
  setState(object: object, state: unknown): boolean | void;
  /** What is to be written for an object: the usual one gives its own enumerable string-keyed properties. */
  reduce(object: object): Reduction;
}

/**
 * How an object is put together again: `cls.__new__(cls, *args, **kwargs)` (`newobj`) or a call of `cls` with `args`
 * (`call`); then `items` appended, `pairs` set, `adds` added, `state` given. Python's `__reduce_ex__` with names.
 */
export interface Reduction {
  readonly by: 'newobj' | 'call';
  /** A class or function by name; rarely, in foreign pickles, the result of another call. */
  readonly cls: unknown;
  readonly args: readonly unknown[];
  readonly kwargs?: readonly (readonly [string, unknown])[] | undefined;
  readonly items?: readonly unknown[] | undefined;
  readonly pairs?: readonly (readonly [unknown, unknown])[] | undefined;
  readonly adds?: readonly unknown[] | undefined;
  /** `undefined` when none is given; a state of None is `null`. */
  readonly state?: unknown;
}

/** What a {@link PickleReader} asks of its owner. Hooks must not call the same reader again. */
export interface ReaderHooks {
  /** Turns a persistent id into an object. Without it a persistent id is an error. */
  persistentLoad?(pid: unknown): unknown;
  /** Finds the registered class of a name; built-in values need none. */
  resolve?(global: Global): ValueClass | undefined;
}

/** Options of `loads`. */
export interface ReaderOptions extends ReaderHooks {
  /** What to do with classes and functions nobody registered: refuse them (the default) or keep them as structure. */
  unknown?: 'error' | 'broken' | undefined;
  /** How 8-bit strings of Python 2 are read. Default `'ascii'`. */
  encoding?: StringEncoding | undefined;
  /** The extension registry (`copyreg`) that the pickle assumes: code to (module, name). */
  extensions?: ReadonlyMap<number, readonly [module: string, name: string]> | undefined;
  /** Nesting beyond this is an error. Default and maximum 10,000. */
  maxDepth?: number | undefined;
  /** The out-of-band buffers of a protocol-5 pickle, in order. */
  buffers?: Iterable<Uint8Array> | undefined;
}

/** What a {@link PickleWriter} asks of its owner. Hooks must not call the same writer again. */
export interface WriterHooks {
  /**
   * The persistent id of an object, or `undefined` for an object that is to be written itself. Asked for every object
   * but arrays, plain objects and the built-in values.
   */
  persistentId?(object: object): unknown;
  /** How an object of a class that is no built-in value is written; `undefined` when it can't be. */
  reduce?(object: object): Reduction | PyInstance | undefined;
}

/** Options of `dumps`. */
export interface WriterOptions extends WriterHooks {
  /** 2 to 5; default 3, the only one that every ZODB reads. */
  protocol?: 2 | 3 | 4 | 5 | undefined;
  /** Nesting beyond this is an error. Default and maximum 10,000. */
  maxDepth?: number | undefined;
}
