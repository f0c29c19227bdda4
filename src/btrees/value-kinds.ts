/**
 * The types of values: what is accepted, how it is kept, how it stands in a state, and the arithmetic of weighted set
 * operations, which is C's: integers wrap, floats are rounded to 32 bits after each step.
 *
 * | letter | value | kept as |
 * |---|---|---|
 * | O | anything that can be stored | itself, or the reference to a persistent object |
 * | I, U, L, Q | integer as for keys | number, or bigint beyond 2^53 |
 * | F | number, rounded to 32 bits | number |
 * | s | 6 bytes | number, big-endian value |
 */
import { types } from 'node:util';
import { PyFloat } from '../pickle/index';
import { InvalidValueError } from './errors';
import { integerTypes, NO_INTEGER, type IntegerLetter } from './integers';
import { describeKey } from './key-order';

/** A value type by its letter. */
export type ValueLetter = 'O' | 'I' | 'U' | 'L' | 'Q' | 'F' | 's';

/** One type of values, in the three forms that keys have too. */
export interface ValueKind {
  readonly letter: ValueLetter;
  /** The inner value to store in a collection, which is for the message of the error. @throws InvalidValueError */
  accept(value: unknown, of?: object): unknown;
  /** The outer form; values of O are followed and watched by the node instead. */
  give(inner: unknown): unknown;
  /** The state form. */
  save(inner: unknown): unknown;
  /** The inner form of a state's value. @throws InvalidValueError */
  load(state: unknown): unknown;
  /** Whether storing `b` over `a` changes nothing; never so for O and s. */
  unchanged(a: unknown, b: unknown): boolean;
  /** For values that can be weighted. */
  readonly arithmetic: Arithmetic | undefined;
}

/** Sums and products of inner values. */
export interface Arithmetic {
  times(value: unknown, weight: unknown): unknown;
  plus(a: unknown, b: unknown): unknown;
  /** `value / min` where `min` is positive (integers floor), else `value`: what `byValue` lists. */
  normalise(value: unknown, min: unknown): unknown;
}

const same = (value: unknown): unknown => value;

function refuse(value: unknown, of: object | undefined, description: string): never {
  const whose = of === undefined ? 'here' : `of ${of.constructor.name}`;
  throw new InvalidValueError(
    value,
    `${describeKey(value)} can't be a value: values ${whose} are ${description}.`,
  );
}

function integerValues(letter: IntegerLetter): ValueKind {
  const { accept: acceptInteger, description, wrap } = integerTypes[letter];
  const accept = (value: unknown, of?: object): unknown => {
    const inner = acceptInteger(value);
    return inner !== NO_INTEGER ? inner : refuse(value, of, description);
  };
  const big = (value: unknown): bigint => BigInt(value as number | bigint);
  return {
    letter,
    accept,
    give: same,
    save: same,
    load: accept,
    unchanged: (a, b) => a === b,
    arithmetic: {
      times: (value, weight) => wrap(big(value) * big(weight)),
      plus: (a, b) => wrap(big(a) + big(b)),
      normalise: (value, min) => ((min as number) > 0 ? wrap(big(value) / big(min)) : value),
    },
  };
}

function acceptFloat(value: unknown, of?: object): number {
  if (value instanceof PyFloat) return Math.fround(value.value);
  switch (typeof value) {
    case 'number':
    case 'bigint':
    case 'boolean':
      return Math.fround(Number(value));
    default:
      return refuse(value, of, 'numbers');
  }
}

const floatValues: ValueKind = {
  letter: 'F',
  accept: acceptFloat,
  give: same,
  save: (inner) => (Number.isInteger(inner) ? new PyFloat(inner as number) : inner),
  load: acceptFloat,
  unchanged: (a, b) => a === b,
  arithmetic: {
    times: (value, weight) => Math.fround((value as number) * (weight as number)),
    plus: (a, b) => Math.fround((a as number) + (b as number)),
    normalise: (value, min) =>
      (min as number) > 0 ? Math.fround((value as number) / (min as number)) : value,
  },
};

function acceptSix(value: unknown, of?: object): number {
  if (types.isUint8Array(value) && value.length === 6) {
    return value.reduce((total, byte) => total * 256 + byte, 0);
  }
  return refuse(value, of, 'exactly 6 bytes');
}

function unpackSix(inner: unknown): Uint8Array {
  const bytes = new Uint8Array(6);
  let rest = inner as number;
  for (let i = 5; i >= 0; i--) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return bytes;
}

/** The value types by letter. */
export const valueKinds: Readonly<Record<ValueLetter, ValueKind>> = {
  O: {
    letter: 'O',
    accept: same,
    give: same,
    save: same,
    load: same,
    unchanged: () => false,
    arithmetic: undefined,
  },
  I: integerValues('I'),
  U: integerValues('U'),
  L: integerValues('L'),
  Q: integerValues('Q'),
  F: floatValues,
  s: {
    letter: 's',
    accept: acceptSix,
    give: unpackSix,
    save: unpackSix,
    load: acceptSix,
    unchanged: () => false,
    arithmetic: undefined,
  },
};
