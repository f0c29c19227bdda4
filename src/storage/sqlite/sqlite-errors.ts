import {
  CorruptionError,
  FormatError,
  LockError,
  ReadOnlyError,
  StorageError,
  ZodbError,
} from '../../errors';

/** What SQLite reports, in this package's terms: what happened where, and what to do. */
export function translateError(error: unknown, path: string): unknown {
  if (error instanceof ZodbError || !isSqliteError(error)) return error;
  const { code } = error;
  const said = `(SQLite: ${error.message}, ${code})`;
  const options = { cause: error };
  // PROTOCOL: it lost the race for a snapshot for ten seconds, as beside a program that stands still while it recovers the log.
  if (/^SQLITE_(BUSY|LOCKED|PROTOCOL)/.test(code)) {
    return new LockError(`Another process keeps ${path} locked. Try again; see who has it open. ${said}`, {
      code: 'LOCK_TIMEOUT',
      retryable: true,
      cause: error,
    });
  }
  if (code === 'SQLITE_FULL') {
    return new StorageError(
      `No space is left for ${path}. Nothing of this transaction was stored; free some space and run it again. ${said}`,
      { code: 'STORAGE_FULL', cause: error },
    );
  }
  if (code.startsWith('SQLITE_CORRUPT')) {
    return new CorruptionError(
      `${path} is damaged. Run "zodb check" on a copy to see what is left, and restore a backup. ${said}`,
      options,
    );
  }
  if (code === 'SQLITE_NOTADB') return new FormatError(`${path} is not an SQLite database. ${said}`, options);
  if (code.startsWith('SQLITE_READONLY')) {
    return new ReadOnlyError(
      `${path} can't be written: the file or its directory is read-only, or was moved. ${said}`,
      options,
    );
  }
  if (code.startsWith('SQLITE_CANTOPEN')) {
    return new StorageError(
      `${path} can't be opened. See that its directory exists and may be written. ${said}`,
      {
        code: 'CANT_OPEN',
        cause: error,
      },
    );
  }
  if (code.startsWith('SQLITE_IOERR')) {
    return new StorageError(`Reading or writing ${path} failed; the disk may be full or failing. ${said}`, {
      code: 'STORAGE_IO',
      cause: error,
    });
  }
  return new StorageError(`${path}: ${error.message} (${code}).`, options);
}

/** By its fields: under jest the driver's errors are made in another realm, and are no instances of this one's `Error`. */
function isSqliteError(error: unknown): error is { readonly code: string; readonly message: string } {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    typeof error.code === 'string' &&
    error.code.startsWith('SQLITE_')
  );
}
