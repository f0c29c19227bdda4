/**
 * The class of a record: the first of its two pickles.
 *
 * | form | when |
 * |---|---|
 * | class | normal |
 * | (class, newargs) | the class has `__getnewargs__` |
 * | ((module, name), newargs or None) | persistent classes and ZODB 2–3 |
 *
 * Source: `ZODB/src/ZODB/serialize.py`.
 */
import { inspect } from 'node:util';
import { Global, PickleError, PicklingError, wordsOf } from '../pickle/index';
import type { FieldList } from './field-list';

/** How the metadata was written, so that it is written the same way again. */
export type ClassForm = 'class' | 'class-args' | 'names-args';

/**
 * A class by name, with the arguments of `__new__` where it has any. Without arguments there is one object per
 * name (see {@link Global.of}), so that maps keyed by it are cheap.
 */
export class ClassMeta {
  readonly global: Global;
  readonly module: string;
  readonly name: string;
  readonly form: ClassForm;
  /** Arguments of `__new__`; `undefined` for none given, `null` for an explicit None. */
  readonly newargs: readonly unknown[] | null | undefined;

  private constructor(global: Global, form: ClassForm, newargs: readonly unknown[] | null | undefined) {
    this.global = global;
    this.module = global.module;
    this.name = global.name;
    this.form = form;
    this.newargs = newargs;
  }

  /** The one object for a class without arguments. */
  static of(module: string, name: string): ClassMeta {
    return ClassMeta.ofGlobal(Global.of(module, name));
  }

  /** As {@link ClassMeta.of}. */
  static ofGlobal(global: Global): ClassMeta {
    return (global.slot ??= new ClassMeta(global, 'class', undefined)) as ClassMeta;
  }

  /** A class with arguments, or in the old form of a pair of names. */
  static withArgs(
    module: string,
    name: string,
    newargs: readonly unknown[] | null,
    form: ClassForm = 'class-args',
  ): ClassMeta {
    return new ClassMeta(Global.of(module, name), form, newargs);
  }

  /** Makes it from the value of a record's first pickle. Throws {@link PickleError} for what is no class metadata. */
  static fromPickle(value: unknown): ClassMeta {
    if (value instanceof Global) return ClassMeta.ofGlobal(value);
    if (Array.isArray(value) && value.length === 2) {
      const [cls, args] = value as readonly unknown[];
      const newargs = Array.isArray(args) ? (args as readonly unknown[]) : args === null ? null : undefined;
      if (newargs !== undefined) {
        if (cls instanceof Global) return new ClassMeta(cls, 'class-args', newargs);
        if (Array.isArray(cls)) {
          const [module, name] = cls as readonly unknown[];
          if (typeof module === 'string' && typeof name === 'string') {
            return new ClassMeta(Global.of(module, name), 'names-args', newargs);
          }
        }
      }
    }
    throw new PickleError('The record does not begin with the class of an object', 0, undefined);
  }

  /** What the record's first pickle holds, for the forms with arguments. */
  get pickled(): unknown {
    if (this.form === 'class') return this.global;
    const cls = this.form === 'class-args' ? this.global : Object.freeze([this.module, this.name]);
    return Object.freeze([cls, this.newargs === null ? null : Object.freeze([...(this.newargs ?? [])])]);
  }

  /**
   * The fields of the object of this class that was read last: those that the next one is expected to have.
   * @internal
   */
  lastFields: FieldList | undefined = undefined;

  #header: Int32Array | undefined = undefined;
  #headerSize = 0;

  /**
   * The record's first pickle in the form of a class alone, with number 0 in the memo: {@link headerSize} bytes, four a word.
   * Throws `PicklingError` for a name that GLOBAL can't hold.
   * @internal
   */
  get header(): Int32Array {
    return (this.#header ??= this.#makeHeader());
  }

  /** @internal */
  get headerSize(): number {
    return (this.#headerSize ||= this.global.line.length + 6);
  }

  #makeHeader(): Int32Array {
    if (this.toString().includes('\n')) {
      throw new PicklingError('a class whose name has a line feed cannot be saved', '');
    }
    return wordsOf(
      Buffer.concat([Buffer.from([0x80, 3, 0x63]), this.global.line, Buffer.from([0x71, 0, 0x2e])]),
    );
  }

  /** The class without its arguments: the canonical object. */
  get bare(): ClassMeta {
    return ClassMeta.ofGlobal(this.global);
  }

  /** `module.name` */
  toString(): string {
    return `${this.module}.${this.name}`;
  }

  [inspect.custom](): string {
    return `<class ${this.toString()}>`;
  }
}
