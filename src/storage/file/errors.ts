import { CorruptionError, StorageError, ZodbError, type ZodbErrorOptions } from '../../errors';

/** The structure of a `Data.fs` is broken at a place that is known. */
export class DamagedFileError extends CorruptionError {
  readonly path: string;
  /** Where in the file, in bytes from its start. */
  readonly position: number;

  constructor(path: string, position: number, what: string, options: ZodbErrorOptions = {}) {
    super(
      `${path} is damaged at ${position}: ${what}. Keep a copy of the file; "zodb recover" copies all that is whole into a new one.`,
      { code: 'DAMAGED_FILE', ...options },
    );
    this.path = path;
    this.position = position;
  }
}

/** The file would grow beyond its quota. Pack it, delete something, or allow more. */
export class QuotaError extends StorageError {
  constructor(path: string, quota: number) {
    super(`${path} would grow beyond its quota of ${quota} bytes. Pack it, or give it a larger quota.`, {
      code: 'QUOTA',
    });
  }
}

/** An error of the disk (full, damaged, not permitted) with a sentence that says what it prevented; other errors as they are. */
export function writeFailure(error: unknown, sentence: string): unknown {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  if (error instanceof ZodbError || code === undefined || !/^E[A-Z0-9]+$/.test(code)) return error;
  return new StorageError(`${sentence} (${(error as Error).message})`, {
    code: 'WRITE_FAILED',
    cause: error,
  });
}
