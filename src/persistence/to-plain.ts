/** Persistent graphs as plain JSON, for the edges of a program: HTTP answers, logs, exports. */
import { instanceToPlain } from 'class-transformer';
import { InvalidArgumentError, refuseUnknownOptions } from '../errors';
import { types } from 'node:util';
import { formatOid } from '../ids';
import { modelFor } from './guard';
import { ensureLoaded } from './tracked';
import type { Ref } from './ref';
import { recordOf, stampOf } from './stamp';
import { bytesOf, isContainer, Kind, kindOf } from './values';

/** How {@link toPlain} cuts a graph. */
export interface ToPlainOptions {
  /** So many references deep objects are shown in full; those beyond as `{ $ref, $class }`. Default 0: the object alone. */
  depth?: number;
}

/**
 * A persistent object (or any value) as what JSON can say: Maps with string keys become objects, other Maps arrays of pairs, Sets arrays, bytes base64 text, bigints and URLs text. References beyond
 * `depth`, and those back to an object that is being shown, are cut to `{ $ref: '0x2a', $class: 'bank.Account' }`, and nothing is loaded for them. What class-transformer's decorators (`@Exclude`, `@Expose`, `@Transform`)
 * say of a class holds, and so does a `toJSON` method.
 * @throws InvalidArgumentError when `options` are wrong, and for a plain value that contains itself
 */
export function toPlain(value: unknown, options: ToPlainOptions = {}): unknown {
  refuseUnknownOptions('toPlain()', options, ['depth']);
  const { depth = 0 } = options;
  if (!(depth >= 0))
    throw new InvalidArgumentError(`depth must be a number, 0 or more, not ${String(depth)}.`);
  return plain(value, depth, new Set());
}

function plain(value: unknown, depth: number, open: Set<object>): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  const kind = kindOf(value);
  if (!isContainer(kind)) {
    return kind === Kind.persistent ? plainObject(value, depth, open) : plainLeaf(value, kind);
  }
  if (open.has(value))
    throw new InvalidArgumentError('a value that contains itself is nothing that JSON can say.');
  open.add(value);
  try {
    return plainContainer(value, kind, (item) => plainInside(item, depth, open));
  } finally {
    open.delete(value);
  }
}

function plainLeaf(value: object, kind: Kind): unknown {
  if (kind === Kind.scalar) {
    if (value instanceof URL) return value.href;
    return types.isDate(value) ? value : Buffer.from(bytesOf(value as Uint8Array)).toString('base64');
  }
  const toJson = kind === Kind.opaque ? (value as { toJSON?: () => unknown }).toJSON : undefined;
  return typeof toJson === 'function' ? toJson.call(value) : value;
}

function plainContainer(value: object, kind: Kind, inside: (item: unknown) => unknown): unknown {
  switch (kind) {
    case Kind.array:
      return (value as unknown[]).map(inside);
    case Kind.set:
      return Array.from(value as Set<unknown>, inside);
    case Kind.map:
      return plainMap(value as Map<unknown, unknown>, inside);
    case Kind.instance: {
      const toJson = (value as { toJSON?: () => unknown }).toJSON;
      if (typeof toJson === 'function') return inside(toJson.call(value));
      return instanceToPlain(mapValues(value, inside, Object.getPrototypeOf(value) as object));
    }
    default:
      return mapValues(value, inside, Object.prototype);
  }
}

function plainInside(item: unknown, depth: number, open: Set<object>): unknown {
  if (typeof item !== 'object' || item === null) return plain(item, depth, open);
  const kind = kindOf(item);
  if (kind === Kind.ref) return (item as Ref).toJSON();
  if (kind !== Kind.persistent) return plain(item, depth, open);
  return depth <= 0 || open.has(item) ? reference(item) : plain(item, depth - 1, open);
}

/** The fields of an object, references in them not followed unless they are to be shown. */
function plainObject(object: object, depth: number, open: Set<object>): unknown {
  open.add(object);
  try {
    const toJson = (object as { toJSON?: () => unknown }).toJSON;
    if (typeof toJson === 'function') return plainInside(toJson.call(object), depth, open);
    const surrogate = Object.create(Object.getPrototypeOf(object) as object) as Record<string, unknown>;
    for (const name of Object.keys(object)) {
      const value = plainInside(
        depth > 0 ? (object as Record<string, unknown>)[name] : rawField(object, name),
        depth,
        open,
      );
      Object.defineProperty(surrogate, name, { value, writable: true, enumerable: true, configurable: true });
    }
    return instanceToPlain(surrogate, { enableCircularCheck: false });
  } finally {
    open.delete(object);
  }
}

/** The value of a field without following a reference. */
export function rawField(object: object, name: string): unknown {
  const record = stampOf(object);
  if (record === undefined) return (object as Record<string, unknown>)[name];
  ensureLoaded(object, record);
  const slot = record.state[0].slotOf(name);
  return slot === 0 ? (object as Record<string, unknown>)[name] : record.state[slot];
}

function reference(object: object): unknown {
  const record = recordOf(object);
  const name = record?.cache?.classNameOf(object) ?? modelFor(object)?.model.ctor.name;
  return { $ref: record?.oid === undefined ? null : formatOid(record.oid), $class: name };
}

function plainMap(map: Map<unknown, unknown>, inside: (item: unknown) => unknown): unknown {
  const entries = Array.from(map, ([key, item]) => [inside(key), inside(item)] as const);
  if (entries.every(([key]) => typeof key === 'string'))
    return Object.fromEntries(entries as [string, unknown][]);
  return entries;
}

function mapValues(object: object, inside: (item: unknown) => unknown, prototype: object): unknown {
  const result = Object.create(prototype) as object;
  for (const [name, item] of Object.entries(object)) {
    Object.defineProperty(result, name, {
      value: inside(item),
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
  return result;
}
