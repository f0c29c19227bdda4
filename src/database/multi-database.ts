/** Databases that know each other by name (`databases` of {@link DB}), so that objects refer across them. */
import { InvalidArgumentError, InvalidObjectReference } from '../errors';
import type { DB } from './db';

/** Throws `InvalidArgumentError` when there is a member of that name. */
export function checkNameIsFree(databases: Readonly<Record<string, DB>>, databaseName: string): void {
  if (databaseName in databases) {
    throw new InvalidArgumentError(
      `The multi-database has a member named ${JSON.stringify(databaseName)} already; give databaseName.`,
    );
  }
}

/** Throws `InvalidObjectReference` when there is none. */
export function memberNamed(databases: Readonly<Record<string, DB>>, databaseName: string): DB {
  const db = Object.hasOwn(databases, databaseName) ? databases[databaseName] : undefined;
  if (db) return db;
  throw new InvalidObjectReference(
    `There is no database named ${JSON.stringify(databaseName)} in this multi-database. ` +
      `Known: ${Object.keys(databases).join(', ')}.`,
  );
}
