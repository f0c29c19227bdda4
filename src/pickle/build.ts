/**
 * What calls, items and states of a pickle make. Built-in values and registered classes become objects; everything else
 * becomes a {@link PyInstance}, or is refused.
 */
import { FrozenSet, isUnhashable, PyDict } from './containers';
import { PickleError } from './errors';
import { Global, NONE } from './global';
import { PyInstance } from './instance';
import type { ReaderHooks, ValueClass } from './interfaces';
import { setErrorState } from './js-values';
import { opcodeName } from './opcodes';
import { addPairs, objectFromPairs } from './shapes';
import { isObjectClass } from './builtins';
import { UUID } from './uuid';

/** Thrown when an object turned out to be of another kind than it was made; the reader starts again. */
export const AGAIN: unique symbol = Symbol('read again');

/** Bytes that a pickle may use beside those that its length grants. */
const FREE_BYTES = 0x10_0000;
/** Bytes that each byte of input may use for the objects charged for; stack and memo come on top, within 32 in all. */
const BYTES_PER_BYTE = 20;
const COST_INSTANCE = 88;

/** Objects with this shape alone take 24 bytes; `{}` keeps room for four properties. */
const Bare = function () {} as unknown as new () => Record<string, unknown>;
Bare.prototype = Object.prototype;

export class Builder {
  readonly #resolve: ReaderHooks['resolve'];
  readonly #keepUnknown: boolean;
  #budget = 0;
  /** Where the objects of the second pass were made. */
  #offsets: Map<object, number> | undefined = undefined;
  /** Offsets of the opcodes whose objects must begin as structure: as a PyDict or a PyInstance. */
  #structural: Set<number> | undefined = undefined;
  #pass = 1;
  #owners: Map<object, ValueClass> | undefined = undefined;
  /** Position of the opcode at work, for messages. */
  at = 0;
  #buf: Uint8Array | undefined = undefined;
  #length = 0;

  constructor(hooks: ReaderHooks, keepUnknown: boolean) {
    this.#resolve = hooks.resolve?.bind(hooks);
    this.#keepUnknown = keepUnknown;
  }

  open(buf: Uint8Array, length: number): void {
    this.#buf = buf;
    this.#length = length;
    this.#budget = FREE_BYTES + BYTES_PER_BYTE * length;
    this.#pass = 1;
  }

  close(): void {
    this.#buf = undefined;
    this.#owners = undefined;
    this.#offsets = undefined;
    this.#structural = undefined;
  }

  /** Goes on to the next pass; false after the last. */
  again(length: number): boolean {
    if (this.#pass === 1) {
      this.#offsets = new Map();
      this.#structural = new Set();
    } else {
      this.#offsets = undefined;
    }
    this.#budget = FREE_BYTES + BYTES_PER_BYTE * length;
    return ++this.#pass <= 3;
  }

  /** Whether the pass was only there to learn, and the result is to be thrown away. */
  get learning(): boolean {
    return this.#pass === 2;
  }

  readonly charge = (bytes: number): void => {
    this.#budget -= bytes;
    if (this.#budget < 0) {
      throw this.error('This pickle would need far more memory than its length accounts for; it is refused');
    }
  };

  error(message: string): PickleError {
    const code = this.at < this.#length ? this.#buf?.[this.at] : undefined;
    return new PickleError(message, this.at, code === undefined ? undefined : opcodeName(code));
  }

  /** Called for each global: refuses those that nobody knows, unless they are to be kept. */
  admit(global: Global): Global {
    if (this.#keepUnknown || global.builtin !== undefined || this.#resolve?.(global) !== undefined)
      return global;
    if (isHarmless(global)) return global;
    throw this.error(
      `The pickle names ${global.toString()}, which is no built-in value and no registered class; pass { unknown: 'broken' } to keep it as structure`,
    );
  }

  /** An empty dict. */
  emptyDict(offset: number): Record<string, unknown> | PyDict {
    if (this.#structural?.has(offset)) return this.#note(new PyDict(), offset);
    return this.#note(new Bare(), offset);
  }

  /** Whether the dict made at `offset` is known to have keys other than strings. */
  isPyDict(offset: number): boolean {
    return this.#structural !== undefined && this.#structural.has(offset);
  }

  /** A dict of pairs on the stack. */
  dict(stack: readonly unknown[], first: number, end: number, offset: number): object {
    this.charge(40 + (end - first) * 8);
    const object = this.isPyDict(offset) ? undefined : objectFromPairs(stack, first, end);
    if (object !== undefined) return this.#note(object, offset);
    const dict = new PyDict();
    this.charge(160);
    this.setKeys(dict, stack, first, end);
    return this.#note(dict, offset);
  }

  #note<T extends object>(object: T, offset: number): T {
    if (this.#offsets !== undefined) this.#offsets.set(object, offset);
    return object;
  }

  /** `cls(*args)` or `cls.__new__(cls, *args)` */
  construct(
    by: 'newobj' | 'call',
    cls: unknown,
    args: readonly unknown[],
    kwargs?: [string, unknown][],
  ): unknown {
    const offset = this.at;
    if (cls instanceof Global && kwargs === undefined && !this.#structural?.has(offset)) {
      const value = cls.builtin === undefined ? NONE : cls.builtin(args, by, this.charge);
      if (value !== NONE) {
        if (this.#offsets !== undefined && typeof value === 'object' && value !== null) {
          this.#offsets.set(value, offset);
        }
        return value;
      }
      const registered = this.#registered(cls, args);
      if (registered !== undefined) return this.#note(registered, offset);
    }
    if (!this.#keepUnknown) {
      const name = cls instanceof Global ? cls.toString() : 'the result of another call';
      throw this.error(
        `The pickle calls ${name} in a way that makes no built-in value; pass { unknown: 'broken' } to keep it as structure`,
      );
    }
    this.charge(COST_INSTANCE);
    const instance = new PyInstance(by, cls, args);
    instance.kwargs = kwargs;
    return this.#note(instance, offset);
  }

  #registered(cls: Global, args: readonly unknown[]): object | undefined {
    if (this.#resolve === undefined) return undefined;
    let found = this.#resolve(cls);
    let rest = args;
    if (found === undefined && args.length > 0) {
      // The detours that protocols 0 and 1, keyword arguments and broken instances take.
      const name = `${cls.module}.${cls.name}`;
      const [first, base, state] = args;
      if (/^copy_?reg\.(__newobj__|_reconstructor)$/.test(name) && first instanceof Global) {
        if (cls.name === '_reconstructor' && !(isObjectClass(base) && state === null)) return undefined;
        found = this.#resolve(first);
        rest = cls.name === '_reconstructor' ? [] : args.slice(1);
      } else if (name === 'ZODB.broken.rebuild' && typeof first === 'string' && typeof base === 'string') {
        found = this.#resolve(Global.of(first, base));
        rest = args.slice(2);
      }
    }
    if (found === undefined || found.takes?.(rest) === false) return undefined;
    this.charge(COST_INSTANCE);
    const object = found.create(rest);
    (this.#owners ??= new Map()).set(object, found);
    return object;
  }

  /** `target.append(item)` for items on the stack. */
  append(target: unknown, stack: readonly unknown[], first: number, end: number): void {
    if (Array.isArray(target) && !Object.isFrozen(target)) {
      for (let i = first; i < end; i++) target.push(stack[i]);
    } else if (target instanceof PyInstance) {
      const items = (target.items ??= []);
      for (let i = first; i < end; i++) items.push(stack[i]);
    } else {
      this.#otherwise(target, 'takes no items');
    }
  }

  /** `target[key] = value` for pairs on the stack. */
  setPairs(target: unknown, stack: readonly unknown[], first: number, end: number): void {
    if (target instanceof Map) {
      this.charge((end - first) * 20);
      this.setKeys(target, stack, first, end);
    } else if (target instanceof PyInstance) {
      this.charge((end - first) * 24);
      const pairs = (target.pairs ??= []);
      for (let i = first; i < end; i += 2) pairs.push([stack[i], stack[i + 1]]);
    } else if (isPlain(target)) {
      this.charge((end - first) * 8);
      if (!addPairs(target, stack, first, end)) this.#otherwise(target, 'takes string keys only');
    } else {
      this.#otherwise(target, 'takes no keys');
    }
  }

  /** Sets keys as a dict does: those that can change have no hash, and True is the same key as 1. */
  setKeys(target: Map<unknown, unknown>, stack: readonly unknown[], first: number, end: number): void {
    for (let i = first; i < end; i += 2) {
      let key = stack[i];
      if (typeof key === 'boolean' && target.has(Number(key))) key = Number(key);
      else if ((key === 0 || key === 1) && target.has(key === 1)) key = key === 1;
      else if (isUnhashable(key) && target instanceof PyDict)
        throw this.error(`${describe(key)} is no key of a dict`);
      target.set(key, stack[i + 1]);
    }
  }

  /** `target.add(item)` for items on the stack. */
  add(target: unknown, stack: readonly unknown[], first: number, end: number): void {
    this.charge((end - first) * 32);
    if (target instanceof Set && !(target instanceof FrozenSet)) {
      for (let i = first; i < end; i++) target.add(stack[i]);
    } else if (target instanceof PyInstance) {
      const adds = (target.adds ??= []);
      for (let i = first; i < end; i++) adds.push(stack[i]);
    } else {
      this.#otherwise(target, 'is no set');
    }
  }

  /** `target.__setstate__(state)` */
  setState(target: unknown, state: unknown): void {
    if (target instanceof PyInstance) {
      target.state = state;
      return;
    }
    const owner = typeof target === 'object' && target !== null ? this.#owners?.get(target) : undefined;
    if (owner !== undefined) {
      if (owner.setState(target as object, state) === false) this.#otherwise(target, 'has an unknown state');
    } else if (target instanceof UUID) {
      if (!target.setState(state)) this.#otherwise(target, 'has an unknown state');
    } else if (target instanceof Error) {
      if (!setErrorState(target, state)) this.#otherwise(target, 'has an unknown state');
    } else {
      this.#otherwise(target, 'takes no state');
    }
  }

  /** An object is more than it was made as: read again, making it as structure. */
  #otherwise(target: unknown, problem: string): void {
    if (typeof target !== 'object' || target === null || target instanceof Global) {
      throw this.error(`${describe(target)} ${problem}`);
    }
    if (Array.isArray(target) || ArrayBuffer.isView(target) || this.#pass === 3) {
      throw this.error(`${describe(target)} ${problem}`);
    }
    if (this.#pass === 1) throw AGAIN;
    const offset = this.#offsets?.get(target);
    if (offset === undefined || (!this.#keepUnknown && !isPlain(target))) {
      throw this.error(`${describe(target)} ${problem}`);
    }
    this.#structural!.add(offset);
  }
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** Names that pickles need to make built-in values, but that make none by themselves. */
function isHarmless(global: Global): boolean {
  if (global.module !== 'copyreg' && global.module !== 'copy_reg') return isObjectClass(global);
  return global.name === '__newobj__' || global.name === '__newobj_ex__';
}

function describe(value: unknown): string {
  if (value === null) return 'None';
  if (value instanceof Global) return `The name ${value.toString()}`;
  if (typeof value !== 'object') return `A ${typeof value}`;
  if (Array.isArray(value)) return Object.isFrozen(value) ? 'A tuple' : 'A list';
  return `A ${(value.constructor as { name?: string } | undefined)?.name ?? 'value'}`;
}
