/**
 * The arguments of protocol 0's opcodes, which are lines of text. Each function takes a line without its end and gives the
 * value, or `undefined` when the line is none.
 */
import { plainInt } from './numbers';
import type { StringEncoding } from './interfaces';

/** INT: `I01` and `I00` are True and False. */
function parseIntLine(line: string): number | bigint | boolean | undefined {
  if (line === '01') return true;
  if (line === '00') return false;
  return parseDecimal(line);
}

/** LONG: an `L` may stand at the end. */
function parseLong(line: string): number | bigint | undefined {
  return parseDecimal(line.endsWith('L') ? line.slice(0, -1) : line);
}

function parseDecimal(text: string): number | bigint | undefined {
  const trimmed = text.trim();
  if (!/^[-+]?\d+$/.test(trimmed)) return undefined;
  return trimmed.length < 16 ? Number(trimmed) + 0 : plainInt(BigInt(trimmed));
}

/** FLOAT: Python's `repr`. */
function parseFloatLine(line: string): number | undefined {
  const text = line.trim().toLowerCase();
  if (/^[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?$/.test(text)) return Number(text);
  const special = /^([-+]?)(inf|infinity|nan)$/.exec(text);
  if (special === null) return undefined;
  if (special[2] === 'nan') return NaN;
  return special[1] === '-' ? -Infinity : Infinity;
}

const ESCAPES: Readonly<Record<string, number>> = {
  '\\': 0x5c,
  "'": 0x27,
  '"': 0x22,
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
};

/** STRING: the `repr` of an 8-bit string, in quotes, with escapes. The line is given as latin-1. */
export function parseQuoted(line: string): Buffer | undefined {
  const text = line.trimEnd();
  const quote = text[0];
  if (text.length < 2 || (quote !== "'" && quote !== '"') || !text.endsWith(quote)) return undefined;
  const body = text.slice(1, -1);
  if (!body.includes('\\')) return Buffer.from(body, 'latin1');
  const bytes = Buffer.alloc(body.length);
  let length = 0;
  for (let i = 0; i < body.length; i++) {
    if (body[i] !== '\\') {
      bytes[length++] = body.charCodeAt(i);
      continue;
    }
    const next = body[++i];
    if (next === undefined) return undefined;
    const plain = ESCAPES[next];
    if (plain !== undefined) {
      bytes[length++] = plain;
    } else if (next === 'x') {
      const hex = body.slice(i + 1, i + 3);
      if (!/^[0-9a-f]{2}$/i.test(hex)) return undefined;
      bytes[length++] = Number.parseInt(hex, 16);
      i += 2;
    } else if (next >= '0' && next <= '7') {
      const octal = /^[0-7]{1,3}/.exec(body.slice(i, i + 3))![0];
      bytes[length++] = Number.parseInt(octal, 8) & 0xff;
      i += octal.length - 1;
    } else {
      bytes[length++] = 0x5c;
      bytes[length++] = next.charCodeAt(0);
    }
  }
  return bytes.subarray(0, length);
}

/** UNICODE: raw-unicode-escape, that is latin-1 with four or eight hexadecimal digits after a backslash and u or U. The line is given as latin-1. */
function parseRawUnicode(line: string): string | undefined {
  if (!line.includes('\\')) return line;
  let text = '';
  for (let i = 0; i < line.length;) {
    const slash = line.indexOf('\\', i);
    if (slash === -1) return text + line.slice(i);
    text += line.slice(i, slash);
    // An even number of backslashes before the u means that they are text.
    let run = slash;
    while (line[run] === '\\') run++;
    const kind = line[run];
    if ((run - slash) % 2 === 0 || (kind !== 'u' && kind !== 'U')) {
      text += line.slice(slash, run);
      i = run;
      continue;
    }
    const size = kind === 'u' ? 4 : 8;
    const hex = line.slice(run + 1, run + 1 + size);
    if (hex.length < size || !/^[0-9a-f]+$/i.test(hex)) return undefined;
    const point = Number.parseInt(hex, 16);
    if (point > 0x10_ffff) return undefined;
    text += line.slice(slash, run - 1) + String.fromCodePoint(point);
    i = run + 1 + size;
  }
  return text;
}

/** An 8-bit string of Python 2 as the reader was told to read it; `undefined` when it can't be. */
export function decode8Bit(bytes: Buffer, encoding: StringEncoding): string | Buffer | undefined {
  if (encoding === 'bytes') return Buffer.from(bytes);
  if (encoding === 'latin-1') return bytes.toString('latin1');
  let bits = 0;
  for (const byte of bytes) bits |= byte;
  if (bits < 0x80) return bytes.toString('latin1');
  if (encoding === 'ascii') return undefined;
  if (encoding === 'ascii-or-bytes') return Buffer.from(bytes);
  const text = bytes.toString('utf8');
  return text.includes('\ufffd') ? undefined : text;
}

/** Whether an opcode is one of those below. */
export function isTextOpcode(code: number): boolean {
  return code === 0x46 || code === 0x49 || code === 0x4c || code === 0x53 || code === 0x56;
}

/** The value of FLOAT, INT, LONG or UNICODE. */
export function readTextOpcode(code: number, line: string): unknown {
  if (code === 0x46) return parseFloatLine(line);
  if (code === 0x49) return parseIntLine(line);
  return code === 0x4c ? parseLong(line) : parseRawUnicode(line);
}
