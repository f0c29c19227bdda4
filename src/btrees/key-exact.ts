/**
 * The order of numbers of all of Python's types, exact: ints and floats with `decimal.Decimal` and `fractions.Fraction`, of
 * which no value is rounded to compare it.
 */
import { Decimal, Fraction, PyFloat } from '../pickle/index';

/** `n × 10^exponent / d`, with `d` positive; `n` is 1 or -1 for infinities. */
interface Exact {
  readonly n: bigint;
  readonly d: bigint;
  readonly exponent: number;
  readonly isFinite: boolean;
}

const DECIMAL = /^([+-]?)(\d*)\.?(\d*)(?:e([+-]?\d+))?$/i;
const INFINITE = /^([+-]?)inf(?:inity)?$/i;

/** Whether a key is an object that stands for a number with a place among numbers, which NaN has not. */
export function isExactNumber(key: object): boolean {
  return exactOf(key) !== undefined;
}

/** The order of two numbers of any types; `undefined` when one of them is none. */
export function compareExact(a: unknown, b: unknown): number | undefined {
  const x = exactOf(a);
  const y = x && exactOf(b);
  if (x === undefined || y === undefined) return undefined;
  const [signX, signY] = [signOf(x.n), signOf(y.n)];
  if (signX !== signY) return signX - signY;
  if (!x.isFinite || !y.isFinite) return x.isFinite === y.isFinite ? 0 : x.isFinite ? -signX : signX;
  if (signX === 0) return 0;
  // Exponents may be huge, and 10 to their power is not to be made when they decide already.
  const magnitudes = magnitudeOf(x) - magnitudeOf(y);
  if (Math.abs(magnitudes) > 2) return magnitudes > 0 ? signX : -signX;
  const shift = x.exponent - y.exponent;
  const left = x.n * y.d * 10n ** BigInt(Math.max(shift, 0));
  const right = y.n * x.d * 10n ** BigInt(Math.max(-shift, 0));
  return left < right ? -1 : left > right ? 1 : 0;
}

function exactOf(key: unknown): Exact | undefined {
  switch (typeof key) {
    case 'bigint':
      return whole(key);
    case 'boolean':
      return whole(BigInt(key));
    case 'number':
      return exactFloat(key);
  }
  if (key instanceof Decimal) return exactDecimal(key.text);
  if (key instanceof Fraction) {
    return { n: key.numerator, d: key.denominator, exponent: 0, isFinite: true };
  }
  return key instanceof PyFloat ? exactFloat(key.value) : undefined;
}

function whole(n: bigint, exponent = 0): Exact {
  return { n, d: 1n, exponent, isFinite: true };
}

function infinite(isNegative: boolean): Exact {
  return { n: isNegative ? -1n : 1n, d: 1n, exponent: 0, isFinite: false };
}

function exactFloat(value: number): Exact | undefined {
  if (Number.isNaN(value)) return undefined;
  if (!Number.isFinite(value)) return infinite(value < 0);
  let n = value;
  let d = 1n;
  // Doubling is exact: 53 significant bits stay 53.
  while (!Number.isInteger(n)) {
    n *= 2;
    d *= 2n;
  }
  return { n: BigInt(n), d, exponent: 0, isFinite: true };
}

function exactDecimal(text: string): Exact | undefined {
  const infinity = INFINITE.exec(text);
  if (infinity) return infinite(infinity[1] === '-');
  const parts = DECIMAL.exec(text);
  const digits = parts ? parts[2]! + parts[3]! : '';
  if (digits === '') return undefined;
  const n = BigInt(digits);
  return whole(parts![1] === '-' ? -n : n, Number(parts![4] ?? 0) - parts![3]!.length);
}

function signOf(n: bigint): number {
  return n < 0n ? -1 : n > 0n ? 1 : 0;
}

/** The number of digits before the point, give or take one. */
function magnitudeOf({ n, d, exponent }: Exact): number {
  return digitsOf(n) - digitsOf(d) + exponent;
}

function digitsOf(n: bigint): number {
  return (n < 0n ? -n : n).toString().length;
}
