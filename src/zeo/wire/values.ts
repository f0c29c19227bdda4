/**
 * The values that travel between a ZEO client and a ZEO server, and how they look in memory.
 *
 * | Python | here |
 * |---|---|
 * | None, bool, str, bytes | `null`, `boolean`, `string`, `Buffer` |
 * | int | `number` when it is a safe integer, else `bigint` |
 * | float | {@link WireFloat}, so that 3.0 stays a float when it is sent on |
 * | tuple | {@link WireTuple}; msgpack knows one kind of array and reads it as tuple |
 * | list | array |
 * | dict | `Map` when read; a `Map` or a plain object when written |
 * | anything else | {@link WireObject}, inert; a server refuses it unless it is on the list of `ZEO/src/ZEO/_compat.py` |
 */
export type WireValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | WireFloat
  | WireTuple
  | WireObject
  | readonly WireValue[]
  | ReadonlyMap<WireValue, WireValue>
  | { readonly [key: string]: WireValue | undefined };

/** A Python tuple. */
export class WireTuple {
  readonly items: readonly WireValue[];

  constructor(items: readonly WireValue[]) {
    this.items = items;
  }
}

/** A Python float. */
export class WireFloat {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** An instance of a class, or the class itself (`args` undefined); nothing of it was ever run. */
export class WireObject {
  readonly module: string;
  readonly name: string;
  readonly args: WireValue | undefined;
  state: WireValue | undefined;

  constructor(module: string, name: string, args?: WireValue) {
    this.module = module;
    this.name = name;
    this.args = args;
  }
}

/** Written as a tuple. */
export function tuple(...items: WireValue[]): WireTuple {
  return new WireTuple(items);
}

/** The items of a tuple or list; `undefined` for anything else. */
export function itemsOf(value: WireValue | undefined): readonly WireValue[] | undefined {
  if (value instanceof WireTuple) return value.items;
  return Array.isArray(value) ? (value as readonly WireValue[]) : undefined;
}

/** An int or a float as a number; `undefined` for anything else. */
export function numberOf(value: WireValue | undefined): number | undefined {
  if (typeof value === 'number') return value;
  if (value instanceof WireFloat) return value.value;
  if (typeof value === 'bigint') return Number(value);
  return undefined;
}

/** How deep a value nests, at most `limit + 1`. Never recurses deeper than the limit. */
export function depthOf(value: WireValue | undefined, limit: number): number {
  if (limit < 0) return 1;
  let children: Iterable<WireValue | undefined>;
  if (value instanceof WireTuple) children = value.items;
  else if (Array.isArray(value)) children = value as readonly WireValue[];
  else if (value instanceof Map) children = [...value.keys(), ...value.values()] as WireValue[];
  else if (value instanceof WireObject) children = [value.args, value.state];
  else return 0;
  let depth = 0;
  for (const child of children) depth = Math.max(depth, depthOf(child, limit - 1));
  return depth + 1;
}
