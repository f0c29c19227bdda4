import type { Oid } from '../ids';
import { scanReferences } from '../record/index';
import type { Steps } from '../storage/index';
import type { DB } from './db';

/** Records between two steps. */
const RECORDS = 500;

/**
 * Objects of `db` that the other members of its multi-database refer to: a pack must keep them, though nothing within
 * the database may lead to them. Reads the others whole, in steps.
 */
export function* foreignReferencesTo(db: DB): Steps<Oid[]> {
  const others = Object.values(db.databases).filter(
    (other) => other !== db && other.storage.supports.currentRecords,
  );
  const oids = new Set<Oid>();
  let done = 0;
  for (const { storage } of others) {
    for (const { data } of storage.currentRecords!()) {
      for (const { kind, oid, database } of scanReferences(data)) {
        if (kind === 'foreign' && database === db.databaseName) oids.add(oid);
      }
      if (++done % RECORDS === 0) yield { phase: 'foreign references', done, total: undefined };
    }
  }
  return [...oids];
}
