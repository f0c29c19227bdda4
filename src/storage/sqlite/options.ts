import { InvalidArgumentError } from '../../errors';

/** Options of `SqliteStorage`. */
export interface SqliteStorageOptions {
  /** Open an existing file without the right to change it. Default false. */
  readonly readOnly?: boolean;
  /** Make the file when it is missing. Default true. */
  readonly create?: boolean;
  /**
   * `'full'` (default): a commit that returned survives a power cut. `'normal'`: it survives the end of the process; a
   * power cut may take the last ones, in order, and damages nothing.
   */
  readonly durability?: 'full' | 'normal';
  /**
   * Which superseded revisions are kept for undo, history and time travel: `'all'` (until they are packed), `'none'`, or
   * those of the last days. It belongs to the file: given for an existing one, it is changed. Default for a new file
   * `'all'`.
   */
  readonly history?: HistoryMode;
  /** Where blobs live: `'file'` (default), inside the database, or a directory beside it. Fixed when the file is made. */
  readonly blobs?: BlobMode;
  /** How long a commit waits for other processes, in milliseconds. Default 30,000. */
  readonly lockTimeout?: number;
  /** Size of the write-ahead log, in bytes, from which on old snapshots give way. Default 64 MiB. */
  readonly walLimit?: number;
  /** Memory for cached pages, in bytes, of each connection. Default 16 MiB. */
  readonly pageCache?: number;
  /** Pages (of 4 KiB) beyond which the file does not grow: `STORAGE_FULL`. Default: as SQLite has it. */
  readonly maxPages?: number;
}

export type HistoryMode = 'all' | 'none' | { readonly days: number };
export type BlobMode = 'file' | { readonly directory: string };

/** {@link SqliteStorageOptions}, checked and complete but for what the file decides. */
export interface ResolvedOptions {
  readonly readOnly: boolean;
  readonly create: boolean;
  readonly durability: 'full' | 'normal';
  readonly history: HistoryMode | undefined;
  readonly blobs: BlobMode | undefined;
  readonly lockTimeout: number;
  readonly walLimit: number;
  readonly pageCache: number;
  readonly maxPages: number | undefined;
}

const NAMES = new Set([
  'readOnly',
  'create',
  'durability',
  'history',
  'blobs',
  'lockTimeout',
  'walLimit',
  'pageCache',
  'maxPages',
]);

/** Checks options, naming the first that is wrong. */
export function resolveOptions(options: SqliteStorageOptions): ResolvedOptions {
  for (const name of Object.keys(options)) {
    if (!NAMES.has(name)) {
      throw new InvalidArgumentError(
        `SQLite storage has no option ${JSON.stringify(name)}; it has ${[...NAMES].join(', ')}.`,
      );
    }
  }
  const resolved: ResolvedOptions = {
    readOnly: flag('readOnly', options.readOnly, false),
    create: flag('create', options.create, true),
    durability: options.durability ?? 'full',
    history: options.history,
    blobs: options.blobs,
    lockTimeout: amount('lockTimeout', options.lockTimeout, 30_000),
    walLimit: amount('walLimit', options.walLimit, 64 * 1024 * 1024),
    pageCache: amount('pageCache', options.pageCache, 16 * 1024 * 1024),
    maxPages: options.maxPages === undefined ? undefined : amount('maxPages', options.maxPages, 0),
  };
  if (resolved.durability !== 'full' && resolved.durability !== 'normal') {
    throw wrong('durability', resolved.durability, "'full' or 'normal'");
  }
  checkHistory(resolved.history);
  checkBlobs(resolved.blobs);
  return resolved;
}

function checkHistory(history: HistoryMode | undefined): void {
  if (history === undefined || history === 'all' || history === 'none') return;
  if (typeof history === 'object' && Object.keys(history).join() === 'days' && history.days > 0) return;
  throw wrong('history', history, "'all', 'none' or { days: number }");
}

function checkBlobs(blobs: BlobMode | undefined): void {
  if (blobs === undefined || blobs === 'file') return;
  if (typeof blobs === 'object' && typeof blobs.directory === 'string' && blobs.directory !== '') return;
  throw wrong('blobs', blobs, "'file' or { directory: path }");
}

function flag(name: string, value: boolean | undefined, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value !== 'boolean') throw wrong(name, value, 'true or false');
  return value;
}

function amount(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value !== 'number' || !(value >= 0)) throw wrong(name, value, 'a number of at least 0');
  return value;
}

function wrong(name: string, value: unknown, expected: string): InvalidArgumentError {
  return new InvalidArgumentError(`The option ${name} must be ${expected}, not ${JSON.stringify(value)}.`);
}
