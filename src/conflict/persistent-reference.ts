import { inspect } from 'node:util';
import { InvalidArgumentError } from '../errors';
import { formatOid, type Oid } from '../ids';
import type { ClassMeta, Reference } from '../record/index';

/** Two references were compared that can't be: only strong ones within one database can. */
export class ReferenceComparisonError extends InvalidArgumentError {
  constructor(a: PersistentReference, b: unknown) {
    super(
      `${String(a)} can't be compared with ${String(b)}: they lead to different objects, which a merge can't load.`,
      {
        code: 'REFERENCE_COMPARISON',
      },
    );
  }
}

/**
 * Stands for another object in the states given to `_p_resolveConflict`: merging loads nothing. The same object has the
 * same stand-in in all three states, so `===` tells whether two references lead to one object; it may be put into the
 * result. (`ZODB/src/ZODB/ConflictResolution.py`, `PersistentReference`.)
 */
export class PersistentReference {
  readonly oid: Oid;
  /** Names the other database, for references that leave this one. */
  readonly databaseName: string | undefined;
  readonly weak: boolean;
  readonly className: string | undefined;
  /** @internal As it is written. */
  readonly reference: Reference;

  /** @internal */
  constructor(reference: Reference) {
    this.reference = reference;
    this.oid = reference.oid;
    this.databaseName = reference.kind === 'strong' ? undefined : reference.database;
    this.weak = reference.kind === 'weak';
    const cls: ClassMeta | undefined = reference.kind === 'weak' ? undefined : reference.cls;
    this.className = cls && `${cls.module}.${cls.name}`;
    Object.freeze(this);
  }

  /** True for the same object; throws {@link ReferenceComparisonError} for another one and for weak references. */
  equals(other: unknown): boolean {
    if (other === this) return true;
    if (
      other instanceof PersistentReference &&
      !this.weak &&
      !other.weak &&
      this.oid === other.oid &&
      this.databaseName === other.databaseName
    ) {
      return true;
    }
    throw new ReferenceComparisonError(this, other);
  }

  toString(): string {
    const database = this.databaseName === undefined ? '' : ` in ${this.databaseName}`;
    return `<${this.weak ? 'weak ' : ''}reference to ${this.className ?? 'object'} ${formatOid(this.oid)}${database}>`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** Makes one stand-in for each object, over several states. */
export class ReferenceStandIns {
  #known = new Map<string, PersistentReference>();

  for(reference: Reference): PersistentReference {
    const database = reference.kind === 'strong' ? '' : (reference.database ?? '');
    const key = `${reference.kind}/${database}/${reference.oid}`;
    let standIn = this.#known.get(key);
    if (!standIn) this.#known.set(key, (standIn = new PersistentReference(reference)));
    return standIn;
  }
}
