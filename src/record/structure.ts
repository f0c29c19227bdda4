/** Records for people and tools: no class is needed. */
import { inspect } from 'node:util';
import { formatOid, type Oid } from '../ids';
import { define } from '../pickle/index';
import type { ClassMeta } from './class-meta';
import type { RecordReaderHooks } from './interfaces';
import { RecordReader } from './reader';

/** A reference as {@link readStructure} leaves it in a state. */
export class StoredReference {
  readonly kind: 'strong' | 'weak' | 'foreign';
  readonly oid: Oid;
  readonly cls: ClassMeta | undefined;
  readonly database: string | undefined;

  constructor(kind: 'strong' | 'weak' | 'foreign', oid: Oid, cls?: ClassMeta, database?: string) {
    this.kind = kind;
    this.oid = oid;
    this.cls = cls;
    this.database = database;
  }

  toJSON(): unknown {
    return {
      $ref: formatOid(this.oid),
      ...(this.kind === 'weak' && { $weak: true }),
      ...(this.cls && { $class: this.cls.toString() }),
      ...(this.database !== undefined && { $database: this.database }),
    };
  }

  [inspect.custom](): string {
    const where = this.database === undefined ? '' : ` in ${this.database}`;
    return `<${this.kind === 'weak' ? 'weak ' : ''}${this.cls?.toString() ?? 'object'} ${formatOid(this.oid)}${where}>`;
  }
}

/** Hooks that make {@link StoredReference}s; a reader with them can read any record. */
export const structureHooks: RecordReaderHooks = {
  strongReference: (oid, cls) => new StoredReference('strong', oid, cls),
  weakReference: (oid, database) => new StoredReference('weak', oid, undefined, database),
  foreignReference: (database, oid, cls) => new StoredReference('foreign', oid, cls, database),
};

/** A record as plain structure. */
export interface RecordStructure {
  readonly cls: ClassMeta;
  /** A plain object for a dict of fields; references are {@link StoredReference}s. */
  readonly state: unknown;
}

const reader = new RecordReader(structureHooks);

/** Decodes a record without any class. Throws `PickleError`. */
export function readStructure(record: Uint8Array): RecordStructure {
  const { cls, fields, values, state } = reader.read(record);
  if (fields === undefined) return { cls, state };
  const object = {};
  fields.names.forEach((name, i) => define(object, name, values[i]));
  return { cls, state: object };
}
