/**
 * `@persistent`, `@value`, `@transient`, `@field`. Thin: they note what they are told and enter the class into a registry; `registry.register` does the same
 * without them. Each works as a legacy (`experimentalDecorators`) and as a standard decorator.
 */
import './protocol';
import { InvalidArgumentError } from '../errors';
import { noteTransient, noteType, notesFor, takeNotes, type StandardContext } from './field-notes';
import type { AnyClass } from './interfaces';
import { registry as defaultRegistry } from './default-registry';
import { splitName, type ClassOptions, type FieldType, type ValueOptions } from './registry';

/** A class decorator of either kind. */
export type AnyClassDecorator = <C extends AnyClass>(ctor: C, context?: ClassDecoratorContext<C>) => void;
/** A field decorator of either kind. */
export type AnyFieldDecorator = (
  target: object | undefined,
  keyOrContext: string | symbol | ClassFieldDecoratorContext,
) => void;

/**
 * Makes objects of a class persistent: they can be stored and are tracked from then on.
 *
 * - `@persistent('bank.Account')` stores them as class `Account` of module `bank`;
 * - `@persistent` and `@persistent()` under module `__main__` and the class's own name: such a name breaks when two classes share it or the class is renamed;
 * - `@persistent({ name, aliases, transient, defaults, version, upgrade, … })` with {@link ClassOptions}.
 *
 * @throws ClassRegistrationError when the name belongs to another class
 */
export function persistent<C extends AnyClass>(ctor: C, context?: ClassDecoratorContext<C>): void;
export function persistent(name?: string, options?: Omit<ClassOptions, 'name'>): AnyClassDecorator;
export function persistent(options: ClassOptions): AnyClassDecorator;
export function persistent(
  first?: AnyClass | string | ClassOptions,
  second?: ClassDecoratorContext | Omit<ClassOptions, 'name'>,
): AnyClassDecorator | void {
  if (typeof first === 'function') {
    enter(first, {}, second as StandardContext | undefined);
    return;
  }
  const options: ClassOptions =
    typeof first === 'string' ? { ...(second as ClassOptions | undefined), name: first } : (first ?? {});
  checkOptions(options, PERSISTENT_OPTIONS, '@persistent');
  return (ctor, context) => {
    enter(ctor, options, context as StandardContext | undefined);
  };
}

/**
 * Registers a class whose objects are saved inside the persistent objects that hold them, as a copy of their own enumerable fields.
 * `@value('mod.Money')`; bare `@value` uses module `__main__`.
 */
export function value<C extends AnyClass>(ctor: C, context?: ClassDecoratorContext<C>): void;
export function value(name?: string, options?: ValueOptions): AnyClassDecorator;
export function value(
  first?: AnyClass | string,
  second?: ClassDecoratorContext | ValueOptions,
): AnyClassDecorator | void {
  if (typeof first === 'function') {
    enterValue(first, undefined, {});
    return;
  }
  const options = (second as ValueOptions | undefined) ?? {};
  checkOptions(options, VALUE_OPTIONS, '@value');
  return (ctor) => {
    enterValue(ctor, first, options);
  };
}

/**
 * A field that is never saved. On loaded objects it is missing, or is made by `init` when it is first read: `@transient((self) => new Map())`.
 */
export function transient(
  target: object | undefined,
  keyOrContext: string | symbol | ClassFieldDecoratorContext,
): void;
export function transient<T extends object>(init?: (self: T) => unknown): AnyFieldDecorator;
export function transient(
  first?: object | ((self: never) => unknown),
  keyOrContext?: string | symbol | ClassFieldDecoratorContext,
): AnyFieldDecorator | void {
  if (keyOrContext !== undefined) {
    noteTransientField(first, keyOrContext, undefined);
    return;
  }
  const init = first as ((self: object) => unknown) | undefined;
  return (target, key) => {
    noteTransientField(target, key, init);
  };
}

/**
 * Fixes how a field is written: `@field('float') price = 0`. Without a type, the type that `emitDecoratorMetadata` noted is used where it says enough
 * (`bigint`; with `reflect-metadata` loaded).
 */
export function field(type?: FieldType): AnyFieldDecorator {
  if (type !== undefined && !FIELD_TYPES.has(type)) {
    throw new InvalidArgumentError(
      `@field(${JSON.stringify(type)}): there is no such type; use one of ${[...FIELD_TYPES].join(', ')}.`,
    );
  }
  return (target, keyOrContext) => {
    const { name, context } = fieldName(keyOrContext, '@field');
    const chosen = type ?? (target === undefined ? undefined : designType(target, name));
    if (chosen !== undefined) noteType(notesFor(target, context), name, chosen);
  };
}

const FIELD_TYPES: ReadonlySet<string> = new Set<FieldType>([
  'float',
  'int',
  'bigint',
  'map',
  'list',
  'tuple',
  'bytearray',
  'frozenset',
]);

const PERSISTENT_OPTIONS: ReadonlySet<string> = new Set<keyof ClassOptions>([
  'name',
  'aliases',
  'replace',
  'transient',
  'fields',
  'defaults',
  'version',
  'upgrade',
  'registry',
]);
const VALUE_OPTIONS: ReadonlySet<string> = new Set<keyof ValueOptions>(['aliases', 'replace', 'registry']);

function enter(ctor: AnyClass, options: ClassOptions, context: StandardContext | undefined): void {
  checkContext(context, '@persistent');
  const [module, name] = splitName(options.name ?? nameOf(ctor, '@persistent'));
  const target = options.registry ?? defaultRegistry;
  target.registerNoted(module, name, ctor, options, takeNotes(ctor, context));
}

function enterValue(ctor: AnyClass, dotted: string | undefined, options: ValueOptions): void {
  const [module, name] = splitName(dotted ?? nameOf(ctor, '@value'));
  (options.registry ?? defaultRegistry).registerValue(module, name, ctor, options);
}

function nameOf(ctor: AnyClass, decorator: string): string {
  if (ctor.name !== '') return ctor.name;
  throw new InvalidArgumentError(
    `${decorator} on a class without a name: say which, ${decorator}('module.Class').`,
  );
}

function checkContext(context: StandardContext | undefined, decorator: string): void {
  if (context !== undefined && context.kind !== 'class') {
    throw new InvalidArgumentError(`${decorator} stands before a class, not before a ${context.kind}.`);
  }
}

function checkOptions(options: object, known: ReadonlySet<string>, decorator: string): void {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgumentError(`${decorator} takes a name or options, not ${typeof options}.`);
  }
  for (const name of Object.keys(options)) {
    if (!known.has(name)) {
      throw new InvalidArgumentError(
        `${decorator}: there is no option ${name}; known are ${[...known].join(', ')}.`,
      );
    }
  }
}

function noteTransientField(
  target: object | undefined,
  keyOrContext: string | symbol | ClassFieldDecoratorContext,
  init: ((self: object) => unknown) | undefined,
): void {
  const { name, context } = fieldName(keyOrContext, '@transient');
  noteTransient(notesFor(target, context), name, init);
}

function fieldName(
  keyOrContext: string | symbol | ClassFieldDecoratorContext,
  decorator: string,
): { name: string; context: StandardContext | undefined } {
  const context = typeof keyOrContext === 'object' ? keyOrContext : undefined;
  const name = context === undefined ? keyOrContext : context.name;
  if (typeof name !== 'string' || (context !== undefined && (context.kind !== 'field' || context.private))) {
    throw new InvalidArgumentError(`${decorator} stands before a public field with a string name.`);
  }
  return { name, context };
}

/** What `emitDecoratorMetadata` says of a field, where it decides how to write it. */
function designType(prototype: object, name: string): FieldType | undefined {
  const reflect = Reflect as { getMetadata?: (key: string, target: object, name: string) => unknown };
  return reflect.getMetadata?.('design:type', prototype, name) === BigInt ? 'bigint' : undefined;
}
