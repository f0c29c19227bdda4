import { channel } from 'node:diagnostics_channel';
import type { Oid } from '../ids';
import { resolverOf, ValueClasses, type Registry } from '../persistence/index';
import { RecordReader, RecordWriter, type ClassMeta, type Reference } from '../record/index';
import { PersistentReference, ReferenceStandIns } from './persistent-reference';

/** The three revisions of one object. */
export interface ConflictRecords {
  readonly oid: Oid;
  /** What both transactions started from. */
  readonly old: Uint8Array;
  /** What the other one committed. */
  readonly committed: Uint8Array;
  /** What this one wants to commit. */
  readonly newData: Uint8Array;
}

/** `zodb:unresolved`: why `_p_resolveConflict` could not merge: what it threw. */
export interface UnresolvedMessage {
  readonly oid: Oid;
  readonly className: string;
  readonly error: unknown;
}

/** Publishes {@link UnresolvedMessage}s. */
export const unresolved = channel('zodb:unresolved');

/**
 * The merged record, by the class's `_p_resolveConflict(old, committed, now)`; `undefined` when the class is not known,
 * has no such method, or the method throws. It is called on an instance made without its constructor, with states as
 * `__getstate__` gives them, references being {@link PersistentReference}s.
 */
export function resolveConflict(
  registry: Registry,
  { oid, old, committed, newData }: ConflictRecords,
): Uint8Array | undefined {
  const standIns = new ReferenceStandIns();
  const values = new ValueClasses(registry);
  const reader = new RecordReader({
    strongReference: (to, cls) => standIns.for({ kind: 'strong', oid: to, cls }),
    weakReference: (to, database) => standIns.for({ kind: 'weak', oid: to, database }),
    foreignReference: (database, to, cls) => standIns.for({ kind: 'foreign', oid: to, database, cls }),
    resolve: (global) => values.resolve(global),
  });
  const cls: ClassMeta = reader.readClass(newData);
  try {
    const merge = resolverOf(registry, cls);
    if (!merge) return undefined;
    const state = merge(stateOf(reader, old), stateOf(reader, committed), stateOf(reader, newData));
    return writerFor(values).write(cls, state);
  } catch (error) {
    const className = `${cls.module}.${cls.name}`;
    if (unresolved.hasSubscribers) unresolved.publish({ oid, className, error } satisfies UnresolvedMessage);
    return undefined;
  }
}

function stateOf(reader: RecordReader, record: Uint8Array): unknown {
  const { fields, values, state } = reader.read(record);
  if (!fields) return state;
  return Object.fromEntries(fields.names.map((name, index) => [name, values[index]]));
}

function writerFor(values: ValueClasses): RecordWriter {
  return new RecordWriter({
    reference: (object): Reference | undefined =>
      object instanceof PersistentReference ? object.reference : undefined,
    reduce: (object) => values.reduce(object),
  });
}
