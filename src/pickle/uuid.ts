/** `uuid.UUID`. */
import { inspect } from 'node:util';

/** A UUID. Immutable once made. */
export class UUID {
  #value: bigint | undefined;
  #safe: unknown;

  /** From 32 hexadecimal digits, with or without hyphens and braces. Throws `RangeError` for anything else. */
  constructor(text?: string) {
    if (text === undefined) return;
    const digits = text.replace(/^urn:uuid:|[{}-]/gi, '');
    if (!/^[0-9a-f]{32}$/i.test(digits)) throw new RangeError(`${JSON.stringify(text)} is not a UUID.`);
    this.#value = BigInt(`0x${digits}`);
  }

  /** The 128 bits as an unsigned integer. */
  get int(): bigint {
    return this.#value ?? 0n;
  }

  /** Python's `is_safe`, where a pickle had one. */
  get isSafe(): unknown {
    return this.#safe;
  }

  /**
   * Gives a UUID fresh out of `__new__` its value; false when the state is none of a UUID's.
   * @internal
   */
  setState(state: unknown): boolean {
    if (typeof state !== 'object' || state === null) return false;
    const { int, is_safe: safe, ...rest } = state as Record<string, unknown>;
    if ((typeof int !== 'number' && typeof int !== 'bigint') || Object.keys(rest).length > 0) return false;
    if (int < 0 || int >= 1n << 128n) return false;
    this.#value = BigInt(int);
    this.#safe = safe;
    return true;
  }

  toString(): string {
    const hex = this.int.toString(16).padStart(32, '0');
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return `UUID(${this.toString()})`;
  }
}
