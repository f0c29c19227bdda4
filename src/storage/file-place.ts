import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { StorageError } from '../errors';

/**
 * Looks at the place of a database's file before anything is made there, a lock file included.
 * @throws StorageError `NO_DIRECTORY`, `IS_DIRECTORY`, or `NO_FILE` when the file must exist and does not
 */
export function checkFilePlace(path: string, mustExist: boolean): void {
  const parent = dirname(path);
  if (!statSync(parent, { throwIfNoEntry: false })?.isDirectory()) {
    throw new StorageError(`The directory ${parent} of the database ${path} does not exist. Make it first.`, {
      code: 'NO_DIRECTORY',
    });
  }
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory()) {
    throw new StorageError(`${path} is a directory, not a database file.`, { code: 'IS_DIRECTORY' });
  }
  if (!found && mustExist) {
    throw new StorageError(
      `There is no database at ${path}. Is the path right? Opened read-only, or with "create: false", none is made.`,
      { code: 'NO_FILE' },
    );
  }
}
