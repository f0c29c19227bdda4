import type { Oid } from '../ids';
import { scanReferences } from '../record/index';
import type { DB } from './db';

/**
 * Objects of `db` that the other members of its multi-database refer to: a pack must keep them, though nothing within
 * the database may lead to them.
 */
export function foreignReferencesTo(db: DB): Oid[] {
  const others = Object.values(db.databases).filter(
    (other) => other !== db && other.storage.supports.currentRecords,
  );
  const oids = new Set<Oid>();
  for (const { storage } of others) {
    for (const { data } of storage.currentRecords!()) {
      for (const { kind, oid, database } of scanReferences(data)) {
        if (kind === 'foreign' && database === db.databaseName) oids.add(oid);
      }
    }
  }
  return [...oids];
}
