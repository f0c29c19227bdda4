/**
 * The error hierarchy of the whole package. Every error it throws on purpose is a {@link ZodbError}: branch on
 * `code` or on the class, never on the text. Names follow `ZODB/src/ZODB/POSException.py` and
 * `transaction/src/transaction/interfaces.py`; a floor's own errors live in its `errors.ts`.
 */
import { formatOid, formatTid, ROOT_OID, type Oid, type Tid } from './ids';

/** What every {@link ZodbError} can carry beside its message. */
export interface ZodbErrorOptions {
  /** Stable, upper-case, for programs: `'CONFLICT'`, `'POS_KEY'`, … */
  code?: string;
  /** True when the same transaction may succeed if it is run again from its start. */
  retryable?: boolean;
  cause?: unknown;
}

/** Base of all errors of this package. */
export class ZodbError extends Error {
  readonly code: string;
  readonly retryable: boolean;

  constructor(message: string, options: ZodbErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = options.code ?? 'ZODB';
    this.retryable = options.retryable ?? false;
  }
}

/** An argument or option has the wrong type or value. Nothing was done. */
export class InvalidArgumentError extends ZodbError {
  constructor(message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'INVALID_ARGUMENT', ...options });
  }
}

/**
 * An option that is misspelt must not be ignored: `pack({ day: 30 })` would drop all history.
 * @throws InvalidArgumentError that lists what `what` takes
 */
export function refuseUnknownOptions(what: string, given: object, known: readonly string[]): void {
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue;
    throw new InvalidArgumentError(
      `${what} has no option ${JSON.stringify(name)}; it has ${known.join(', ')}.`,
    );
  }
}

/** The object asked for does not exist, at least not in this snapshot. */
export class POSKeyError extends ZodbError {
  readonly oid: Oid;

  constructor(oid: Oid, detail?: string, options: ZodbErrorOptions = {}) {
    super(detail ?? `No object has the oid ${formatOid(oid)} in this snapshot.`, {
      code: 'POS_KEY',
      ...options,
    });
    this.oid = oid;
  }
}

/** Fields of a {@link ConflictError}. */
export interface ConflictDetails extends ZodbErrorOptions {
  oid?: Oid;
  /** Dotted name of the object's class, where it is known. */
  className?: string;
  /** The tid now committed, then the tid that this transaction had read. */
  serials?: readonly [committed: Tid, read: Tid];
  /** Names of the fields that differ between the two revisions, where they could be compared. */
  fields?: readonly string[];
}

/** Two transactions changed the same object and could not be merged. Run the transaction again. */
export class ConflictError extends ZodbError {
  readonly oid: Oid | undefined;
  readonly className: string | undefined;
  readonly serials: readonly [committed: Tid, read: Tid] | undefined;
  readonly fields: readonly string[] | undefined;

  constructor(message: string | undefined, details: ConflictDetails = {}) {
    super(message ?? describeConflict(details), { code: 'CONFLICT', retryable: true, ...details });
    this.oid = details.oid;
    this.className = details.className;
    this.serials = details.serials;
    this.fields = details.fields;
  }
}

function describeConflict({ oid, className, serials, fields }: ConflictDetails): string {
  const what =
    oid === undefined
      ? 'An object'
      : `${oid === ROOT_OID ? 'The root object' : (className ?? 'Object')} ${formatOid(oid)}`;
  const when = serials
    ? ` (read at ${formatTid(serials[1])}, meanwhile committed at ${formatTid(serials[0])})`
    : '';
  const where = fields?.length ? ` Differing fields: ${fields.join(', ')}.` : '';
  return `${what} was changed by another transaction${when}.${where} Run the transaction again, as db.transaction() does: 3 times in all, or what its option attempts says.`;
}

/** A read depended on a revision that is not, or no longer, the one to be seen. Run the transaction again. */
export class ReadConflictError extends ConflictError {
  constructor(message: string | undefined, details: ConflictDetails = {}) {
    super(message, { code: 'READ_CONFLICT', ...details });
  }
}

/** A committed object would refer to one that does not exist. */
export class DanglingReferenceError extends ZodbError {
  readonly oid: Oid;
  readonly missing: Oid;

  constructor(message: string, oid: Oid, missing: Oid) {
    super(message, { code: 'DANGLING_REFERENCE' });
    this.oid = oid;
    this.missing = missing;
  }
}

/** A transaction can't be undone: later ones changed the same objects and could not be merged. */
export class UndoError extends ZodbError {
  readonly oids: readonly Oid[];

  constructor(message: string, oids: readonly Oid[] = [], options: ZodbErrorOptions = {}) {
    super(message, { code: 'UNDO', ...options });
    this.oids = oids;
  }
}

/** Base of what a storage refuses or fails at. */
export class StorageError extends ZodbError {
  constructor(message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'STORAGE', ...options });
  }
}

/** A call came outside its place in the two-phase commit, or for another transaction than the one under way. */
export class StorageTransactionError extends StorageError {
  constructor(message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'STORAGE_TRANSACTION', ...options });
  }
}

/** What is stored is not what was written: damage, found by a checksum or by structure. */
export class CorruptionError extends StorageError {
  constructor(message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'CORRUPTION', ...options });
  }
}

/** A file is not of the format that was expected. */
export class FormatError extends StorageError {
  constructor(message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'FORMAT', ...options });
  }
}

/** Somebody else holds the lock that this operation needs. */
export class LockError extends StorageError {
  constructor(message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'LOCK', ...options });
  }
}

/** The storage, connection or database was opened read-only. */
export class ReadOnlyError extends StorageError {
  constructor(message = 'This database is open read-only.', options: ZodbErrorOptions = {}) {
    super(message, { code: 'READ_ONLY', ...options });
  }
}

/** A historical connection can't commit changes. */
export class ReadOnlyHistoryError extends ReadOnlyError {
  constructor(
    message = 'A connection opened at a point in the past is read-only. To change objects, open one without "at" or "before".',
  ) {
    super(message, { code: 'READ_ONLY_HISTORY' });
  }
}

/** The storage does not offer what was asked of it; its `supports` manifest says so. */
export class UnsupportedError extends StorageError {
  constructor(message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'UNSUPPORTED', ...options });
  }
}

/** Something was used after it was closed. */
export class ClosedError extends ZodbError {
  constructor(message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'CLOSED', ...options });
  }
}

/** An object would be reached from a connection, registry or database that it does not belong to. */
export class InvalidObjectReference extends ZodbError {
  constructor(message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'INVALID_OBJECT_REFERENCE', ...options });
  }
}
