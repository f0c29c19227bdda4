/**
 * Where the keys of `encrypted:PATH` come from: never from the URI itself, which is seen in process lists, logs and error messages.
 */
import { readFileSync, statSync } from 'node:fs';
import { InvalidArgumentError } from '../../errors';
import type { EncryptedStorageOptions } from './encryption';
import { Keys } from './sealing';

/** The environment variable for programs and commands that are given no key. */
const VARIABLE = 'ZODB_KEY';
const KEY_BYTES = 32;
/** Whatever is larger is not a file of keys. */
const LONGEST_FILE = 65_536;

/** What an `encrypted:` URI and the options beside it may say of keys. */
export interface KeyOptions {
  readonly key?: unknown;
  readonly oldKeys?: unknown;
  readonly keyFile?: unknown;
}

/**
 * The keys that are meant: `key` and `oldKeys` as {@link EncryptedStorageOptions} has them, else those in the file `keyFile`, else those in the environment variable
 * `ZODB_KEY`. A file is 32 bytes, or has a key a line; the variable separates keys by commas. A key in text is 64 hexadecimal digits or base64; the first one seals,
 * what was sealed with the others can be read.
 * @throws InvalidArgumentError when there is no key, or one that is none; it does not show keys
 */
export function encryptionKeys({ key, oldKeys, keyFile }: KeyOptions): EncryptedStorageOptions {
  if (typeof key === 'string' || typeof key === 'number' || typeof key === 'boolean') {
    throw new InvalidArgumentError(
      `A key in a URI can be seen by others: set ${VARIABLE}, name a file (?keyFile=PATH), or give the option key as 32 bytes.`,
    );
  }
  if (key !== undefined) {
    if (keyFile !== undefined) throw new InvalidArgumentError('Give "key" or "keyFile", not both.');
    const given = { key, oldKeys: oldKeys ?? [] } as Required<EncryptedStorageOptions>;
    // Before a file is made: its keys must be keys.
    new Keys([given.key, ...given.oldKeys]);
    return given;
  }
  if (oldKeys !== undefined) throw new InvalidArgumentError('"oldKeys" needs a "key" for what is written.');
  const [first, ...others] = keyFile === undefined ? fromEnvironment() : fromFile(String(keyFile));
  return { key: first!, oldKeys: others };
}

function fromEnvironment(): Buffer[] {
  const text = process.env[VARIABLE]?.trim();
  if (text) return parseKeys(text.split(','), VARIABLE);
  throw new InvalidArgumentError(
    `An encrypted database needs its key: set ${VARIABLE} to 64 hexadecimal digits or base64, or name a file that has it (?keyFile=PATH).`,
  );
}

function fromFile(path: string): Buffer[] {
  let bytes: Buffer;
  try {
    bytes = statSync(path).size > LONGEST_FILE ? Buffer.alloc(0) : readFileSync(path);
  } catch (cause) {
    throw new InvalidArgumentError(`The key file ${path} can't be read: ${(cause as Error).message}`, {
      cause,
    });
  }
  if (bytes.length === KEY_BYTES) return [bytes];
  const lines = bytes.toString('latin1').split(/\r?\n/);
  const given = lines.map((line) => line.trim()).filter((line) => line !== '');
  if (given.length > 0) return parseKeys(given, `The key file ${path}`);
  throw new InvalidArgumentError(`There is no key in ${path}: it should be 32 bytes, or have a key a line.`);
}

function parseKeys(texts: readonly string[], where: string): Buffer[] {
  return texts.map((given, i) => {
    const text = given.trim();
    if (/^[\da-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
    if (/^[\w+/-]{43}=?$/.test(text)) return Buffer.from(text, 'base64');
    throw new InvalidArgumentError(
      `${where}: key ${i + 1} of ${texts.length} is neither 64 hexadecimal digits nor 44 characters of base64.`,
    );
  });
}
