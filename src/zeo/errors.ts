/**
 * Errors of the network storage. What the server's storage throws arrives as the class it was there
 * (`POSKeyError`, `ConflictError`, …); these are the ones that only a network has. Names follow
 * `ZEO/src/ZEO/Exceptions.py`.
 */
import { StorageError, ZodbError, type ZodbErrorOptions } from '../errors';

/** The peer sent what the protocol does not allow. The connection is given up. */
export class ZeoProtocolError extends StorageError {
  constructor(message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'ZEO_PROTOCOL', ...options });
  }
}

/**
 * There is no connection to a server, or it was lost before the answer came. Nothing was changed in the
 * database by the call that throws this; run the transaction again.
 */
export class ClientDisconnected extends StorageError {
  constructor(message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'CLIENT_DISCONNECTED', retryable: true, ...options });
  }
}

/**
 * The connection was lost after the server was told to finish a commit and before it answered, and it could
 * not be found out since what became of it. It is either committed as a whole or not at all. Not retryable by itself: look first,
 * or make the transaction one that may be applied twice.
 */
export class CommitOutcomeUnknownError extends StorageError {
  constructor(message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'COMMIT_OUTCOME_UNKNOWN', ...options });
  }
}

/** The server failed with an error that has no counterpart here. */
export class ServerException extends StorageError {
  /** The class of the server's exception, as `module.Class`. */
  readonly serverClass: string;
  /** What the exception held there, as text. */
  readonly serverState: string;

  constructor(serverClass: string, serverState: string, options: ZodbErrorOptions = {}) {
    super(`The ZEO server failed with ${serverClass}${serverState ? `: ${serverState}` : ''}.`, {
      code: 'ZEO_SERVER',
      ...options,
    });
    this.serverClass = serverClass;
    this.serverState = serverState;
  }
}

/** The client cache file belongs to another process, or can't be used as it is. */
export class ClientCacheError extends ZodbError {
  constructor(message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'ZEO_CACHE', ...options });
  }
}
