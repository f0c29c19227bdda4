/** Plain JSON back into persistent objects: the counterpart of `toPlain`. */
import { plainToClassFromExist } from 'class-transformer';
import { types } from 'node:util';
import { InvalidArgumentError } from '../errors';
import { parseOid } from '../ids';
import { isManaged } from './classes';
import { modelFor } from './guard';
import { Ref } from './ref';
import type { FieldType } from './registry';
import { isFrozenByNature } from './sealing';
import { recordOf } from './stamp';
import { isSameValue } from './same-value';
import { rawField } from './to-plain';
import { Kind, kindOf } from './values';

/** One field to be set, when all are known. */
type Setting = readonly [object: object, name: string, value: unknown];

type Json = Readonly<Record<string, unknown>>;

/**
 * Sets fields of a persistent object, saved or new, from plain JSON: what `toPlain` gave, or a part of it. Fields that are not in `plain` stay as they are. What a field holds now, or is declared to be
 * (`@field`), says how JSON is read: text as a date, URL, bigint or bytes (base64), arrays and objects as Sets and Maps, objects as `@value` classes. `{ $ref }` is the object of that oid in the same
 * connection; what is shown in full is assigned to the object that stands there. class-transformer's decorators (`@Exclude`, `@Expose`, `@Type`, `@Transform`) say which names are taken and how.
 * Nothing is set when anything is wrong. Returns `object`.
 *
 * @throws InvalidArgumentError for names that the object has no field of, and for values that don't fit; POSKeyError for a reference to nothing
 */
export function assign<T extends object>(object: T, plain: object): T {
  if (typeof plain !== 'object' || (plain as object | null) === null) {
    throw new InvalidArgumentError(`assign() takes an object with fields, not ${shown(plain)}.`);
  }
  checkNames(plain);
  const settings: Setting[] = [];
  plan(object, plain as Json, settings);
  for (const [target, name, value] of settings) (target as Record<string, unknown>)[name] = value;
  return object;
}

/** `__proto__` would reach through copies that are made on the way. */
function checkNames(plain: object): void {
  const open: object[] = [plain];
  const seen = new Set<object>(open);
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (Object.hasOwn(value, '__proto__'))
      throw new InvalidArgumentError('assign(): __proto__ is no name of a field.');
    for (const item of Object.values(value) as unknown[]) {
      if (typeof item !== 'object' || item === null || seen.has(item)) continue;
      seen.add(item);
      open.push(item);
    }
  }
}

function plan(object: object, plain: Json, settings: Setting[]): void {
  const model = modelFor(object)?.model;
  const cls = model?.ctor.name ?? 'object';
  if (model === undefined || isManaged(object)) {
    throw new InvalidArgumentError(
      `assign() sets fields of persistent objects; a ${object.constructor.name} has none.`,
    );
  }
  if (!isJsonObject(plain))
    throw new InvalidArgumentError(`${cls}: an object with fields is wanted, not ${shown(plain)}.`);
  const fields = Object.keys(plain).some((name) => name.startsWith('_p_'))
    ? plain
    : transformed(object, plain);
  // Names of methods and getters class-transformer drops without a word.
  const methods = Object.keys(plain).filter((name) => name in object && !Object.hasOwn(fields, name));
  const unknown = [...Object.keys(fields), ...methods].filter(
    (name) => !Object.hasOwn(object, name) && !model.types.has(name),
  );
  if (unknown.length > 0) throw new InvalidArgumentError(`${cls} has no field ${unknown.join(', ')}.`);
  const reading = new Reading(object, settings);
  for (const [name, taken] of Object.entries(fields)) {
    if (taken === undefined) continue;
    const was = rawField(object, name);
    // What @Type made an object of is for the object that stands there already.
    const value = isReference(was) && isJsonObject(plain[name]) ? plain[name] : taken;
    const follow = (): unknown => (object as Json)[name];
    const made = reading.read(was, value, `${cls}.${name}`, follow, model.types.get(name));
    if (!isSameValue(made, was)) settings.push([object, name, made]);
  }
}

/** What class-transformer makes of the names and values. */
function transformed(object: object, plain: Json): Json {
  const surrogate = Object.create(Object.getPrototypeOf(object) as object) as object;
  return plainToClassFromExist(surrogate, plain, { enableCircularCheck: false }) as Json;
}

/** The values of one object's fields. */
class Reading {
  readonly #object: object;
  readonly #settings: Setting[];

  constructor(object: object, settings: Setting[]) {
    this.#object = object;
    this.#settings = settings;
  }

  /** `value` as something like `was`; `follow` gives the object behind it, if it is a reference. */
  read(was: unknown, value: unknown, where: string, follow: () => unknown, type?: FieldType): unknown {
    if (value === null) return value;
    checkSimple(was, value, where);
    if (typeof value === 'boolean') return value;
    if (typeof value === 'object' && Object.hasOwn(value, '$ref')) return this.#resolve(value as Json, where);
    if (typeof was === 'bigint' || type === 'bigint') return toBigint(value, where);
    if (typeof was !== 'object' || was === null)
      return type === 'map' ? this.#map(new Map(), value, where) : this.#fresh(value, where);
    switch (kindOf(was)) {
      case Kind.persistent:
      case Kind.ref:
        return this.#inside(follow, value, where);
      case Kind.scalar:
        return toScalar(was, value, where);
      case Kind.map:
        return this.#map(was as Map<unknown, unknown>, value, where);
      case Kind.set:
        return new Set(this.#items([...(was as Set<unknown>)], listed(value, where), where));
      case Kind.array: {
        const items = this.#items(was as unknown[], listed(value, where), where);
        return isFrozenByNature(was) ? Object.freeze(items) : items;
      }
      case Kind.instance:
        return this.#fields(
          was as Json,
          Object.create(Object.getPrototypeOf(was) as object) as object,
          value,
          where,
        );
      case Kind.opaque:
        throw new InvalidArgumentError(`${where}: a ${was.constructor.name} can't be made from JSON.`);
      default:
        return this.#fields(was as Json, {}, value, where);
    }
  }

  /** Where nothing says what is wanted, JSON is what it is; an instance was made by class-transformer. */
  #fresh(value: unknown, where: string): unknown {
    if (typeof value !== 'object' || value === null || types.isDate(value)) return value;
    if (Array.isArray(value)) return this.#items([], value, where);
    return isJsonObject(value) ? this.#fields({}, {}, value, where) : value;
  }

  /** Fields of an object that is shown in full. */
  #inside(follow: () => unknown, value: unknown, where: string): unknown {
    if (typeof value !== 'object') throw misfit('an object or { $ref }', value, where);
    if (!isJsonObject(value)) return value;
    const target = follow() as object;
    plan(target, value, this.#settings);
    return target;
  }

  #items(was: readonly unknown[], values: readonly unknown[], where: string): unknown[] {
    // What more there is, is like the first; but it is no other object's content.
    const [first] = was;
    const model = isReference(first) ? undefined : first;
    return values.map((value, i) => {
      const at = `${where}[${String(i)}]`;
      return this.read(i < was.length ? was[i] : model, value, at, () => this.#follow(was[i]));
    });
  }

  #map(was: ReadonlyMap<unknown, unknown>, value: unknown, where: string): Map<unknown, unknown> {
    if (typeof value !== 'object' || value === null)
      throw misfit('an object or a list of pairs', value, where);
    const pairs = Array.isArray(value)
      ? (value as unknown[]).map((pair) => listed(pair, where))
      : Object.entries(value);
    const [[firstKey] = []] = was;
    return new Map(
      pairs.map(([plainKey, item]) => {
        const key =
          typeof plainKey === 'string' && was.has(plainKey)
            ? plainKey
            : this.read(isReference(firstKey) ? undefined : firstKey, plainKey, where, () => undefined);
        const old = was.get(key);
        return [key, this.read(old, item, `${where}.get(${shown(plainKey)})`, () => this.#follow(old))];
      }),
    );
  }

  #fields(was: Json, made: object, value: unknown, where: string): object {
    if (!isJsonObject(value)) throw misfit('an object', value, where);
    for (const [name, item] of Object.entries(value)) {
      const old = Object.hasOwn(was, name) ? was[name] : undefined;
      (made as Record<string, unknown>)[name] = this.read(old, item, `${where}.${name}`, () =>
        this.#follow(old),
      );
    }
    return made;
  }

  #follow(value: unknown): unknown {
    return value instanceof Ref ? recordOf(this.#object)?.cache?.follow(value) : value;
  }

  #resolve({ $ref, $class }: Json, where: string): object {
    const cache = recordOf(this.#object)?.cache;
    if (typeof $ref !== 'string') throw misfit('an oid as $ref', $ref, where);
    if (cache === undefined) {
      throw new InvalidArgumentError(
        `${where}: a new object knows no database in which ${$ref} could be found; add() it to a connection first.`,
      );
    }
    const target = cache.get(parseOid($ref));
    const name = cache.classNameOf(target);
    if ($class !== undefined && $class !== name)
      throw new InvalidArgumentError(`${where}: ${$ref} is a ${name}, not a ${shown($class)}.`);
    return target;
  }
}

/** Text, numbers, true and false stay what they are; what holds nothing yet takes any of them. */
function checkSimple(was: unknown, value: unknown, where: string): void {
  const wanted =
    typeof was === 'string'
      ? 'text'
      : typeof was === 'number'
        ? 'a number'
        : typeof was === 'boolean'
          ? 'true or false'
          : undefined;
  if (wanted !== undefined && typeof value !== typeof was) throw misfit(wanted, value, where);
}

function toScalar(was: object, value: unknown, where: string): unknown {
  if (types.isDate(was)) {
    const made = typeof value === 'string' || types.isDate(value) ? new Date(value) : new Date(NaN);
    if (Number.isNaN(made.getTime())) throw misfit('a date', value, where);
    return made;
  }
  if (typeof value !== 'string') throw misfit(was instanceof URL ? 'a URL' : 'base64', value, where);
  if (was instanceof URL) {
    if (!URL.canParse(value)) throw misfit('a URL', value, where);
    return new URL(value);
  }
  const bytes = Buffer.from(value, 'base64');
  if (bytes.toString('base64') !== value) throw misfit('base64', value, where);
  const { buffer } = Uint8Array.from(bytes);
  if (!ArrayBuffer.isView(was)) return buffer;
  if (Buffer.isBuffer(was)) return Buffer.from(buffer);
  const { BYTES_PER_ELEMENT: width = 1 } = was as { BYTES_PER_ELEMENT?: number };
  if (bytes.length % width !== 0) throw misfit(`a multiple of ${String(width)} bytes`, value, where);
  return new (was.constructor as new (buffer: ArrayBuffer) => object)(buffer);
}

function toBigint(value: unknown, where: string): bigint {
  if (
    typeof value === 'number'
      ? Number.isSafeInteger(value)
      : typeof value === 'string' && /^-?\d+$/.test(value)
  )
    return BigInt(value as string);
  throw misfit('an integer', value, where);
}

function listed(value: unknown, where: string): unknown[] {
  if (!Array.isArray(value)) throw misfit('a list', value, where);
  return value as unknown[];
}

function misfit(wanted: string, value: unknown, where: string): InvalidArgumentError {
  return new InvalidArgumentError(`${where}: ${wanted} is wanted, not ${shown(value)}.`);
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) as string | undefined;
  return text === undefined || text.length > 60 ? typeof value : text;
}

function isReference(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    (kindOf(value) === Kind.persistent || kindOf(value) === Kind.ref)
  );
}

/** An object literal, not an instance of something. */
function isJsonObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && kindOf(value) === Kind.object;
}
