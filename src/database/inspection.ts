/** How databases and connections look in the console: what they are, not how they are made. */
import { inspect, type InspectOptions } from 'node:util';
import type { Tid } from '../ids';
import type { Connection } from './connection';
import type { DB } from './db';

/** One open connection, as {@link DB.connectionDebugInfo} shows it. */
export interface ConnectionDebugInfo {
  readonly opened: Date | undefined;
  /** The call stack that opened it, with the option `traceConnections`. */
  readonly openedAt: string | undefined;
  readonly info: unknown;
  readonly before: Tid | undefined;
}

export function inspectDatabase(db: DB, options: InspectOptions): string {
  const { name: storage, databaseName, openConnections, isClosed } = db;
  return `DB ${inspect({ storage, databaseName, openConnections: openConnections.length, isClosed }, options)}`;
}

/** Loads nothing: the root shows its names only when it is loaded. */
export function inspectConnection({ db, isOpen, before, root }: Connection, options: InspectOptions): string {
  return `Connection ${inspect({ storage: db.name, isOpen, before, ...(isOpen && { root }) }, options)}`;
}
