/** References in the fields of an object, found without following them. */
import type { Oid } from '../ids';
import { Ref } from './ref';
import { refsIn } from './rewriting';
import { stampOf } from './stamp';
import { ensureLoaded } from './tracked';

/**
 * The oids that these fields refer to (default: all fields), as far as they were not followed yet; those inside of plain
 * values included. Loads the object itself, nothing else.
 */
export function referencesIn(object: object, fields: readonly string[] = Object.keys(object)): Oid[] {
  const record = stampOf(object);
  if (record === undefined) return [];
  ensureLoaded(object, record);
  const oids: Oid[] = [];
  for (const name of fields) {
    const slot = record.state[0].slotOf(name);
    const value = slot === 0 ? undefined : record.state[slot];
    if (typeof value !== 'object' || value === null) continue;
    if (value instanceof Ref) oids.push(value.oid);
    else for (const ref of refsIn(value)) if (ref instanceof Ref) oids.push(ref.oid);
  }
  return oids;
}
