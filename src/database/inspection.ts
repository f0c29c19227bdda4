/** How databases and connections look in the console: what they are, not how they are made. */
import { inspect, type InspectOptions } from 'node:util';
import type { Connection } from './connection';
import type { DB } from './db';

export function inspectDatabase(db: DB, options: InspectOptions): string {
  const { name: storage, databaseName, openConnections, isClosed } = db;
  return `DB ${inspect({ storage, databaseName, openConnections: openConnections.length, isClosed }, options)}`;
}

/** Loads nothing: the root shows its names only when it is loaded. */
export function inspectConnection({ db, isOpen, before, root }: Connection, options: InspectOptions): string {
  return `Connection ${inspect({ storage: db.name, isOpen, before, ...(isOpen && { root }) }, options)}`;
}
