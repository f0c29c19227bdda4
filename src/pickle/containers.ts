/** Containers of Python that JavaScript lacks, as subclasses of the nearest it has. */

/** A dict with keys other than strings. Written as a dict. */
export class PyDict<K = unknown, V = unknown> extends Map<K, V> {
  toJSON(): unknown {
    return { $dict: [...this] };
  }
}

/** A frozenset: a `Set` that refuses changes. */
export class FrozenSet<T = unknown> extends Set<T> {
  constructor(items?: Iterable<T>) {
    // The base constructor would add them by add().
    super();
    if (items !== undefined) for (const item of items) super.add(item);
  }

  override add(_value: T): this {
    throw new TypeError('A FrozenSet cannot be changed.');
  }

  override delete(_value: T): boolean {
    throw new TypeError('A FrozenSet cannot be changed.');
  }

  override clear(): void {
    throw new TypeError('A FrozenSet cannot be changed.');
  }

  toJSON(): unknown {
    return [...this];
  }
}

/** A bytearray: bytes that Python may change in place. */
export class ByteArray extends Uint8Array {
  toJSON(): unknown {
    return { $bytearray: Buffer.from(this.buffer, this.byteOffset, this.length).toString('hex') };
  }
}

/** Whether Python can't have it as a key, and so can't have written it as one. */
export function isUnhashable(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return !Object.isFrozen(value);
  if (value instanceof Map || value instanceof ByteArray) return true;
  if (value instanceof Set) return !(value instanceof FrozenSet);
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
