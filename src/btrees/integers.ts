/**
 * The integer types of keys and values. 64-bit integers are numbers where a number holds them exactly, else bigints;
 * both are accepted. `true` and `false` count as 1 and 0, as in Python.
 */

/** An integer type by its letter. */
export type IntegerLetter = 'I' | 'U' | 'L' | 'Q';

/** What `accept` answers for something that is no integer of the type. */
export const NO_INTEGER = Symbol('no integer');

/** One integer type. */
export interface IntegerType {
  readonly letter: IntegerLetter;
  /** For messages: `signed 32-bit integers (-2147483648 … 2147483647)`. */
  readonly description: string;
  /** The integer in its inner form (number where safe, else bigint), or {@link NO_INTEGER}. */
  readonly accept: (value: unknown) => number | bigint | typeof NO_INTEGER;
  /** Wraps as C does. */
  wrap(value: bigint): number | bigint;
}

/** A number where a number is exact, else the bigint itself. */
export function narrow(value: bigint): number | bigint {
  return value >= -MAX_SAFE && value <= MAX_SAFE ? Number(value) : value;
}

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

function acceptInt32(value: unknown): number | typeof NO_INTEGER {
  if (typeof value === 'number') return (value | 0) === value ? value | 0 : NO_INTEGER;
  if (typeof value === 'boolean') return Number(value);
  if (typeof value === 'bigint' && BigInt.asIntN(32, value) === value) return Number(value);
  return NO_INTEGER;
}

function acceptUint32(value: unknown): number | typeof NO_INTEGER {
  if (typeof value === 'number') return value >>> 0 === value ? value >>> 0 : NO_INTEGER;
  if (typeof value === 'boolean') return Number(value);
  if (typeof value === 'bigint' && BigInt.asUintN(32, value) === value) return Number(value);
  return NO_INTEGER;
}

function acceptInt64(value: unknown): number | bigint | typeof NO_INTEGER {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value + 0 : NO_INTEGER;
  if (typeof value === 'bigint') return BigInt.asIntN(64, value) === value ? narrow(value) : NO_INTEGER;
  return typeof value === 'boolean' ? Number(value) : NO_INTEGER;
}

function acceptUint64(value: unknown): number | bigint | typeof NO_INTEGER {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value + 0 : NO_INTEGER;
  if (typeof value === 'bigint') return BigInt.asUintN(64, value) === value ? narrow(value) : NO_INTEGER;
  return typeof value === 'boolean' ? Number(value) : NO_INTEGER;
}

/** The integer types by letter. */
export const integerTypes: Readonly<Record<IntegerLetter, IntegerType>> = {
  I: {
    letter: 'I',
    description: 'signed 32-bit integers (-2147483648 … 2147483647)',
    accept: acceptInt32,
    wrap: (value) => Number(BigInt.asIntN(32, value)),
  },
  U: {
    letter: 'U',
    description: 'unsigned 32-bit integers (0 … 4294967295)',
    accept: acceptUint32,
    wrap: (value) => Number(BigInt.asUintN(32, value)),
  },
  L: {
    letter: 'L',
    description: 'signed 64-bit integers (-2^63 … 2^63 - 1, beyond 2^53 as bigints)',
    accept: acceptInt64,
    wrap: (value) => narrow(BigInt.asIntN(64, value)),
  },
  Q: {
    letter: 'Q',
    description: 'unsigned 64-bit integers (0 … 2^64 - 1, beyond 2^53 as bigints)',
    accept: acceptUint64,
    wrap: (value) => narrow(BigInt.asUintN(64, value)),
  },
};
