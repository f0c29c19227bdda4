import { LockError, ReadOnlyError, StorageError, type ZodbError } from '../../errors';

/** An error as the worker tells it: of the server, of the network, or of `pg`. */
export interface ServerError {
  readonly message: string;
  /** SQLSTATE, or the system's code. */
  readonly code?: string;
  readonly detail?: string;
  /** Whether there was a connection when it was met. */
  readonly isConnected: boolean;
}

/** What PostgreSQL reports, in this package's terms: what happened where, and what to do. */
export function translateError(error: ServerError, name: string): ZodbError {
  const { code = '', message } = error;
  const said = `(PostgreSQL: ${message}${code === '' ? '' : `, ${code}`})`;
  const cause = error;
  if (code === '55P03') {
    return new LockError(
      `Another program is committing to ${name} and does not end. Try again later. ${said}`,
      {
        code: 'LOCK_TIMEOUT',
        retryable: true,
        cause,
      },
    );
  }
  if (code === '53100' || code === '53200') {
    return new StorageError(
      `The server of ${name} has no ${code === '53100' ? 'space' : 'memory'} left. Nothing of this transaction was stored. ${said}`,
      { code: 'STORAGE_FULL', cause },
    );
  }
  if (code === '25006')
    return new ReadOnlyError(`${name} can't be written: the server is a read-only one. ${said}`, { cause });
  if (code === '42501') {
    return new ReadOnlyError(
      `The user of ${name} may not do this. Ask who runs the server for the right. ${said}`,
      {
        code: 'NOT_ALLOWED',
        cause,
      },
    );
  }
  if (code === '40001' || code === '40P01') {
    return new StorageError(`The server of ${name} asks for this transaction to be run again. ${said}`, {
      code: 'RUN_AGAIN',
      retryable: true,
      cause,
    });
  }
  if (!error.isConnected) {
    return new StorageError(
      `${name} can't be reached. See that the server runs, and that address, database, user and password are right. ${said}`,
      { code: 'CANT_CONNECT', retryable: isOfNetwork(code), cause },
    );
  }
  // Classes 08 and 57P: the connection failed, or the server is going down. Without an SQLSTATE the error is of the network or of pg.
  if (/^(08|57P)/.test(code) || !/^(?!E)[0-9A-Z]{5}$/.test(code)) return disconnected(name, said);
  return new StorageError(`${name}: ${said}`, { cause });
}

/** The connection went away in the middle of a call. */
export function disconnected(name: string, why: string): StorageError {
  return new StorageError(`The connection to ${name} was lost: ${why}. Run the transaction again.`, {
    code: 'CONNECTION_LOST',
    retryable: true,
  });
}

function isOfNetwork(code: string): boolean {
  return /^E[A-Z]/.test(code) || code === '57P03';
}
