import { InvalidArgumentError } from '../../errors';
import type { Tid } from '../../ids';
import type { FileSystem } from './file-system';

/** Something that opening or using a file met and passed over. */
export interface FileWarning {
  /** `'TORN_TAIL'`, `'INDEX_IGNORED'`, `'ODD_TRANSACTION'`, `'CLOCK'`, `'LOCK_WEAK'`. */
  readonly code: string;
  readonly message: string;
  readonly path: string;
}

/** How a File storage is opened. Times and names of Python's options are in `docs/migrating-from-python.md`. */
export interface FileStorageOptions {
  /** Make the file when there is none. Default true; false is an error then. */
  readonly create?: boolean;
  /** Begin anew: what the file and its blob directory hold is removed. Default false. */
  readonly truncate?: boolean;
  /** Take no lock, write nothing; a torn tail is passed over. Default false. */
  readonly readOnly?: boolean;
  /** Show the database as it was before this transaction. Needs `readOnly`. */
  readonly stop?: Tid;
  /** Bytes beyond which the file does not grow by commits: `QuotaError`. */
  readonly quota?: number;
  /** Whether `pack` removes unreachable objects when it isn't told. Default true. */
  readonly packGc?: boolean;
  /** Keep the file (and blobs) of before a pack as `.old`. Default true. */
  readonly packKeepOld?: boolean;
  /** Where blobs are; default the path with `.blobs` added. The directory is made with the first blob. `false`: none. */
  readonly blobDir?: string | false;
  /** How blobs are laid out in a new directory. Default `'bushy'`, Python's default too. */
  readonly blobLayout?: 'bushy' | 'lawn';
  /**
   * `'full'` (default): the data are on disk before they are marked as committed, so that a power cut in
   * a commit leaves all or nothing of it. `'normal'`: one wait a commit instead of two, as Python does.
   */
  readonly durability?: 'full' | 'normal';
  /** Keep checksums in a `.crc` file beside the data, by which `check` finds damaged content. Default false. */
  readonly checksums?: boolean;
  /** Bytes of the file kept in memory. Default 64 MiB. */
  readonly cacheBytes?: number;
  /** Called for what was passed over; default `process.emitWarning`. */
  readonly onWarning?: (warning: FileWarning) => void;
  /** The disk; for tests that let it fail. */
  readonly fileSystem?: FileSystem;
}

const KNOWN: Record<keyof FileStorageOptions, readonly string[]> = {
  create: ['boolean'],
  truncate: ['boolean'],
  readOnly: ['boolean'],
  stop: ['bigint'],
  quota: ['number'],
  packGc: ['boolean'],
  packKeepOld: ['boolean'],
  blobDir: ['string', 'boolean'],
  blobLayout: ['string'],
  durability: ['string'],
  checksums: ['boolean'],
  cacheBytes: ['number'],
  onWarning: ['function'],
  fileSystem: ['object'],
};

/** Checks options by name, type and combination. `InvalidArgumentError`. */
export function checkFileOptions(path: string, options: FileStorageOptions): void {
  if (typeof path !== 'string' || path === '')
    throw new InvalidArgumentError('A File storage needs the path of its file.');
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const types = (KNOWN as Record<string, readonly string[] | undefined>)[name];
    if (types === undefined) {
      throw new InvalidArgumentError(
        `A File storage has no option "${name}"; it has ${Object.keys(KNOWN).join(', ')}.`,
      );
    }
    if (!types.includes(typeof value)) {
      throw new InvalidArgumentError(
        `The option "${name}" of a File storage is a ${types.join(' or ')}, not ${String(value)}.`,
      );
    }
  }
  const { readOnly, truncate, stop, blobDir, blobLayout, durability, quota } = options;
  if (readOnly && truncate)
    throw new InvalidArgumentError('A file can\'t be both "truncate" and "readOnly".');
  if (stop !== undefined && !readOnly) {
    throw new InvalidArgumentError(
      '"stop" shows the past, which can\'t be changed: open with "readOnly" too.',
    );
  }
  if ((blobDir as unknown) === true)
    throw new InvalidArgumentError('"blobDir" is a path, or false for no blobs.');
  if (blobLayout !== undefined && blobLayout !== 'bushy' && blobLayout !== 'lawn') {
    throw new InvalidArgumentError('"blobLayout" is "bushy" or "lawn".');
  }
  if (durability !== undefined && durability !== 'full' && durability !== 'normal') {
    throw new InvalidArgumentError('"durability" is "full" or "normal".');
  }
  if (quota !== undefined && !(quota >= 0)) throw new InvalidArgumentError('"quota" is a number of bytes.');
}
