import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError } from '../errors';
import { DemoStorage } from './demo';
import { FileStorage } from './file';
import type { Storage } from './interfaces';
import { MemoryStorage } from './memory';
import { SqliteStorage } from './sqlite';
import { EncryptedStorage, encryptionKeys, ZlibStorage } from './wrap';

/** Options of a storage by name; each storage refuses those that it does not have. */
export type StorageOptions = Readonly<Record<string, unknown>>;

/** A storage named by a URI: `scheme:rest?name=value&name=value`. */
export interface StorageUri {
  readonly scheme: string;
  /** What stands between the scheme's colon and the query, decoded. */
  readonly path: string;
  /** The whole, as it was given. */
  readonly text: string;
}

/** Opens the storage of a URI; `options` are those of the call, then those of its query. */
export type StorageOpener = (uri: StorageUri, options: StorageOptions) => Storage;

const openers = new Map<string, StorageOpener>([
  ['sqlite', (uri, options) => new SqliteStorage(filePath(uri), options)],
  ['file', (uri, options) => new FileStorage(filePath(uri), options)],
  ['demo', (uri, options) => new DemoStorage({ base: readOnlyBase(uri.path), ...options })],
  ['zlib', ({ path }, options) => compressed(path, options)],
  ['encrypted', ({ path }, options) => encrypted(path, options)],
  ['postgres', postgres],
  ['postgresql', postgres],
  ['memory', (uri, options) => new MemoryStorage(uri.path === '' ? options : { name: uri.path, ...options })],
]);

/** Makes `openStorage('scheme:…')` work. A scheme that is known already is replaced. */
export function registerStorageScheme(scheme: string, open: StorageOpener): void {
  if (!/^[a-z][a-z0-9+.-]+$/.test(scheme)) {
    throw new InvalidArgumentError(
      `${JSON.stringify(scheme)} can't be a scheme: two or more small letters and digits.`,
    );
  }
  openers.set(scheme, open);
}

/** Whether `openStorage('scheme:…')` works already. */
export function isStorageScheme(scheme: string): boolean {
  return openers.has(scheme);
}

/**
 * The storage that is meant: nothing or `null` is a new one in memory; a path is a `Data.fs` when it ends in `.fs` or the
 * file begins like one, else SQLite; a URI says by its scheme (`sqlite:`, `file:`, `memory:`, `demo:`, `zlib:`, `encrypted:`, `postgres:`, …) which storage, and may
 * carry options (`sqlite:bank.sqlite?history=none`); a storage is that storage.
 */
export function openStorage(where?: string | Storage | null, options: StorageOptions = {}): Storage {
  if (where === undefined || where === null) return new MemoryStorage(options);
  if (typeof where === 'object') {
    if (typeof where.registerDB !== 'function') throw new InvalidArgumentError(noStorage(where));
    const [name] = Object.keys(options);
    if (name === undefined) return where;
    throw new InvalidArgumentError(
      `The option ${JSON.stringify(name)} is not one of DB's; give it to the storage.`,
    );
  }
  if (typeof where !== 'string' || where.trim() === '') throw new InvalidArgumentError(NAMED_BY);
  const uri = parseUri(where);
  if (uri) return openUri(uri, options);
  if (/\?\w+=/.test(where) && !existsSync(where)) {
    throw new InvalidArgumentError(
      `${JSON.stringify(where)} is a path, and paths take no options: write sqlite:${where}, or file: for a Data.fs.`,
    );
  }
  return isDataFs(where) ? new FileStorage(where, options) : new SqliteStorage(where, options);
}

const NAMED_BY = 'A database is named by a path, a URI such as sqlite:bank.sqlite, or a storage.';

function noStorage(where: object): string {
  if (where instanceof URL) return `${NAMED_BY} Of a URL give the text, url.href.`;
  return `${NAMED_BY} This ${where.constructor?.name || 'object'} is none of them; options are the second argument.`;
}

function openUri({ uri, query }: ParsedUri, options: StorageOptions): Storage {
  const open = openers.get(uri.scheme);
  if (open === undefined) {
    throw new InvalidArgumentError(
      `No storage is known for ${uri.scheme}: in ${JSON.stringify(withoutPassword(uri.text))}. Known are ` +
        `${[...openers.keys()].map((scheme) => `${scheme}:`).join(', ')}; others have to be imported first.`,
    );
  }
  return open(uri, { ...query, ...options });
}

interface ParsedUri {
  readonly uri: StorageUri;
  readonly query: StorageOptions;
}

function parseUri(text: string): ParsedUri | undefined {
  // One letter is a drive of Windows.
  const found = /^([a-z][a-z0-9+.-]+):([^?]*)(?:\?(.*))?$/is.exec(text);
  if (found === null) return undefined;
  const query: Record<string, unknown> = {};
  for (const [name, value] of new URLSearchParams(found[3] ?? '')) query[name] = queryValue(name, value);
  return {
    uri: { scheme: found[1]!.toLowerCase(), path: decodePath(found[2]!, text), text },
    query,
  };
}

function decodePath(path: string, text: string): string {
  try {
    return decodeURIComponent(path);
  } catch (cause) {
    const shown = JSON.stringify(withoutPassword(text));
    throw new InvalidArgumentError(`${shown} is not a URI: a percent sign stands alone.`, { cause });
  }
}

/** Messages end up in logs. */
function withoutPassword(text: string): string {
  return text.replace(/(\/\/[^:/?@]*):[^?]*@/, '$1:…@');
}

/** `true`, `false` and numbers as such; `history=days:7`, `blobs=directory:path` as the options say it. */
function queryValue(name: string, value: string): unknown {
  if (value === 'true' || value === '') return true;
  if (value === 'false') return false;
  const [, key, rest] = /^(days|directory):(.+)$/s.exec(value) ?? [];
  if (key === 'days' && name === 'history') return { days: Number(rest) };
  if (key === 'directory' && name === 'blobs') return { directory: rest };
  return /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
}

function filePath({ path, text, scheme }: StorageUri): string {
  if (path === '') throw new InvalidArgumentError(`${JSON.stringify(text)} names no file.`);
  return path.startsWith('//') ? fileURLToPath(`file:${text.slice(scheme.length + 1).split('?')[0]!}`) : path;
}

/** `zlib:Data.fs`: records as `zc.zlibstorage` compresses them, in the storage that the rest names. */
function compressed(where: string, { level, ...rest }: StorageOptions): Storage {
  const options = level === undefined ? {} : { level: level as number };
  return layered(where, rest, (base) => new ZlibStorage(base, options));
}

/** `encrypted:bank.sqlite`: sealed records in the storage that the rest names. */
function encrypted(where: string, { key, oldKeys, keyFile, ...rest }: StorageOptions): Storage {
  const keys = encryptionKeys({ key, oldKeys, keyFile });
  return layered(where, rest, (base) => new EncryptedStorage(base, keys));
}

/** Few programs need its code: its first use loads it, and it then registers itself in this one's place. */
function postgres({ text }: StorageUri, options: StorageOptions): Storage {
  // No import(): databases are opened synchronously. Bundlers follow this as they do an import.
  require('./postgres');
  return openStorage(text, options);
}

function layered(where: string, options: StorageOptions, layer: (base: Storage) => Storage): Storage {
  const base = openStorage(where, options);
  try {
    return layer(base);
  } catch (error) {
    base.close();
    throw error;
  }
}

const MADE_WHEN_MISSING = ['sqlite', 'file', 'postgres', 'postgresql'];

/** Whether opening it makes a database that is not there: then its storage has the options `readOnly` and `create`. */
export function isMadeWhenMissing(where: string): boolean {
  const uri = parseUri(where)?.uri;
  if (uri === undefined || MADE_WHEN_MISSING.includes(uri.scheme)) return true;
  return (uri.scheme === 'zlib' || uri.scheme === 'encrypted') && isMadeWhenMissing(uri.path);
}

/** What lies below a `demo:`; it is not changed, so that files are opened read-only. */
function readOnlyBase(where: string): Storage {
  if (where === '') return new MemoryStorage({ name: 'empty' });
  return openStorage(where, isMadeWhenMissing(where) ? { readOnly: true } : {});
}

function isDataFs(path: string): boolean {
  if (path.endsWith('.fs')) return true;
  // Opening and closing the file of an SQLite database that this process has open would drop SQLite's locks on it. An open
  // database has its log beside it.
  if (existsSync(`${path}-wal`) || existsSync(`${path}-shm`)) return false;
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return false;
  const file = openSync(path, 'r');
  try {
    const magic = Buffer.alloc(4);
    readSync(file, magic, 0, 4, 0);
    return magic.toString('latin1') === 'FS21' || magic.toString('latin1') === 'FS30';
  } finally {
    closeSync(file);
  }
}
