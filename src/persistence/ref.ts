/**
 * References inside a state that nobody followed yet.
 */
import { inspect } from 'node:util';
import { formatOid, type Oid } from '../ids';
import { keepSpecimen } from '../specimens';
import type { ClassMeta, ForeignReference, StrongReference } from '../record/index';

/** Stands for an object of the same database until it is followed; then the object takes its place. */
export class Ref implements StrongReference {
  readonly kind = 'strong' as const;
  readonly oid: Oid;
  readonly cls: ClassMeta | undefined;

  constructor(oid: Oid, cls: ClassMeta | undefined) {
    this.oid = oid;
    this.cls = cls;
  }

  [inspect.custom](): string {
    return `<${this.cls?.toString() ?? 'object'} ${formatOid(this.oid)}>`;
  }

  toJSON(): unknown {
    return { $ref: formatOid(this.oid), $class: this.cls?.toString() };
  }
}

keepSpecimen(new Ref(0 as Oid, undefined));

/** Stands for an object of another database of the same multi-database. */
export class ForeignRef implements ForeignReference {
  readonly kind = 'foreign' as const;
  readonly oid: Oid;
  readonly database: string;
  readonly cls: ClassMeta | undefined;

  constructor(database: string, oid: Oid, cls: ClassMeta | undefined) {
    this.database = database;
    this.oid = oid;
    this.cls = cls;
  }

  [inspect.custom](): string {
    return `<${this.cls?.toString() ?? 'object'} ${this.database}:${formatOid(this.oid)}>`;
  }

  toJSON(): unknown {
    return { $ref: formatOid(this.oid), $database: this.database, $class: this.cls?.toString() };
  }
}
