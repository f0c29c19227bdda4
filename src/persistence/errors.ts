/** Errors of persistent objects. */
import { ZodbError, type ZodbErrorOptions } from '../errors';
import { formatOid, type Oid } from '../ids';

/** A value can't be saved. Nothing was written; `path` says where the value is. */
export class UnsavableValueError extends ZodbError {
  /** From the class of the object saved: `bank.Account.history[3].callback`; from the root: `root.x[1]`. */
  readonly path: string;
  readonly oid: Oid | undefined;

  constructor(path: string, reason: string, oid?: Oid, options: ZodbErrorOptions = {}) {
    super(`${path}: ${reason}`, { code: 'UNSAVABLE_VALUE', ...options });
    this.path = path;
    this.oid = oid;
  }
}

/**
 * A plain value is used that belonged to a state which was dropped since: its changes would be lost. Read it again from its object,
 * or put a copy (`structuredClone`) in its place.
 */
export class StaleValueError extends ZodbError {
  /** Why the state was dropped: `'abort'` or `'invalidation'`. */
  readonly reason: string;

  constructor(message: string, reason: string) {
    super(message, { code: 'STALE_VALUE' });
    this.reason = reason;
  }
}

/** A class can't be registered, or is needed and is not. */
export class ClassRegistrationError extends ZodbError {
  readonly className: string;

  constructor(className: string, message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'CLASS_REGISTRATION', ...options });
    this.className = className;
  }
}

/** An object can't become persistent as it is: frozen, with accessors of its own, … Nothing was done to it. */
export class NotPersistableError extends ZodbError {
  constructor(message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'NOT_PERSISTABLE', ...options });
  }
}

/** A stored object could not be made alive: damaged state, a failing `upgrade` or `__setstate__`. */
export class ObjectLoadError extends ZodbError {
  readonly oid: Oid;

  constructor(oid: Oid, className: string, message: string, options: ZodbErrorOptions = {}) {
    super(`${className} ${formatOid(oid)}: ${message}`, { code: 'OBJECT_LOAD', ...options });
    this.oid = oid;
  }
}

/** The state of an object is needed, and its cache let go of it: it was reset, or the object was never stored. */
export class ClosedCacheError extends ZodbError {
  constructor() {
    super(
      'This object lost its connection (resetCaches, or an abort of the transaction that made it); read it again from an open connection.',
      {
        code: 'CLOSED',
      },
    );
  }
}

/** A field of a `Broken` object was set: without its class, nobody knows what that would mean to it (`ZODB/src/ZODB/broken.py`). */
export class BrokenModified extends ZodbError {
  readonly className: string;

  constructor(className: string, field: string) {
    super(
      `${className}.${field} can't be set: the class ${className} is not known here, so its objects can't be changed. ` +
        `Declare it (@persistent('${className}')) before the database is opened.`,
      { code: 'BROKEN_MODIFIED' },
    );
    this.className = className;
  }
}
