/** Numbers that JavaScript has no type for, and Python's arbitrary-size integers as bytes. */
import { inspect } from 'node:util';

/** A decimal number of Python's `decimal.Decimal`, exact, as its text: `1.10`, `1E+10`, `NaN`, `-Infinity`. */
export class Decimal {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** The nearest number. */
  valueOf(): number {
    if (/nan/i.test(this.text)) return NaN;
    return Number(this.text.replace(/inf(inity)?$/i, 'Infinity'));
  }

  toString(): string {
    return this.text;
  }

  toJSON(): string {
    return this.text;
  }

  [inspect.custom](): string {
    return `Decimal(${this.text})`;
  }
}

/** A fraction of Python's `fractions.Fraction`, in lowest terms. */
export class Fraction {
  readonly numerator: bigint;
  readonly denominator: bigint;

  /** Throws `RangeError` when `denominator` is 0. */
  constructor(numerator: bigint | number, denominator: bigint | number = 1n) {
    let n = BigInt(numerator);
    let d = BigInt(denominator);
    if (d === 0n) throw new RangeError('A fraction needs a denominator other than 0.');
    let a = n < 0n ? -n : n;
    let b = d < 0n ? -d : d;
    while (b !== 0n) [a, b] = [b, a % b];
    if (a > 1n) {
      n /= a;
      d /= a;
    }
    this.numerator = d < 0n ? -n : n;
    this.denominator = d < 0n ? -d : d;
  }

  valueOf(): number {
    return Number(this.numerator) / Number(this.denominator);
  }

  toString(): string {
    return this.denominator === 1n ? `${this.numerator}` : `${this.numerator}/${this.denominator}`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return `Fraction(${this.toString()})`;
  }
}

/** A complex number. */
export class Complex {
  readonly re: number;
  readonly im: number;

  constructor(re: number, im: number) {
    this.re = re;
    this.im = im;
  }

  toString(): string {
    const sign = this.im < 0 || Object.is(this.im, -0) ? '-' : '+';
    return `${Object.is(this.re, -0) ? '-0' : this.re}${sign}${Math.abs(this.im)}i`;
  }

  toJSON(): unknown {
    return { re: this.re, im: this.im };
  }

  [inspect.custom](): string {
    return `Complex(${this.toString()})`;
  }
}

/** A number to be written as a float although it is integral: `new PyFloat(2)` is 2.0 to Python. Reads back as a number. */
export class PyFloat {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }

  valueOf(): number {
    return this.value;
  }

  toJSON(): number {
    return this.value;
  }

  [inspect.custom](): string {
    return `PyFloat(${this.value})`;
  }
}

/** A bigint as the number it equals when that is safe: how plain integers stand in a value. */
export function plainInt(value: bigint): number | bigint {
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value;
}

/** Little-endian two's complement of `size` bytes: a number when that is safe, else a bigint. */
export function decodeLong(buf: Uint8Array, start: number, size: number): number | bigint {
  if (size <= 6) {
    if (size === 0) return 0;
    let value = 0;
    for (let i = start + size - 1; i >= start; i--) value = value * 256 + buf[i]!;
    return buf[start + size - 1]! < 0x80 ? value : value - 2 ** (8 * size);
  }
  const hex = Buffer.from(buf.subarray(start, start + size))
    .reverse()
    .toString('hex');
  return plainInt(BigInt.asIntN(8 * size, BigInt(`0x${hex}`)));
}

/** Little-endian two's complement in as few bytes as hold it; none for 0. */
export function encodeLong(value: bigint): Buffer {
  if (value === 0n) return Buffer.alloc(0);
  const negative = value < 0n;
  let hex = (negative ? -value - 1n : value).toString(16);
  if (hex.length % 2 === 1) hex = `0${hex}`;
  let bytes = Buffer.from(hex, 'hex').reverse();
  if (bytes[bytes.length - 1]! >= 0x80) bytes = Buffer.concat([bytes, Buffer.alloc(1)]);
  if (negative) for (let i = 0; i < bytes.length; i++) bytes[i] = ~bytes[i]!;
  return bytes;
}
