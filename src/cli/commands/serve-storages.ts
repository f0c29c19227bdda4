import * as fs from 'node:fs';
import * as path from 'node:path';
import { InvalidArgumentError, ZodbError } from '../../errors';
import { oidToBytes, type Oid } from '../../ids';
import { isMadeWhenMissing, openStorage, type Storage } from '../../storage/index';

/** How databases are opened to be served. */
export interface ServedAccess {
  readonly readOnly: boolean;
  /** Make those that are not there. */
  readonly create: boolean;
  /** Told of each that was made. */
  readonly made: (name: string, database: string) => void;
}

/** Opens databases by the names that their users gave them (`main=Data.fs`), or their numbers. */
export function openServed(databases: readonly string[], access: ServedAccess): Record<string, Storage> {
  const storages: Record<string, Storage> = {};
  try {
    databases.forEach((text, index) => {
      const [, given, rest] = /^([\w.-]+)=(.+)$/s.exec(text) ?? [];
      const name = given ?? String(index + 1);
      if (storages[name]) throw new InvalidArgumentError(`Two databases have the name ${name}.`);
      storages[name] = open(name, rest ?? text, access);
    });
  } catch (error) {
    for (const storage of Object.values(storages)) storage.close();
    throw error;
  }
  return storages;
}

function open(name: string, database: string, { readOnly, create, made }: ServedAccess): Storage {
  if (readOnly) return openStorage(database, { readOnly });
  if (!isMadeWhenMissing(database)) return openStorage(database, {});
  try {
    return openStorage(database, { create: false });
  } catch (error) {
    if (!create || !(error instanceof ZodbError) || error.code !== 'NO_FILE') throw error;
  }
  const storage = openStorage(database, {});
  made(name, database);
  return storage;
}

/**
 * Where clients that share the blob directory of a File storage put the blobs of an object. Throws `InvalidArgumentError`
 * for a storage that has no such directory.
 */
export function sharedBlobDirectories(
  storages: Readonly<Record<string, Storage>>,
): (oid: Oid, storage: string) => string {
  const roots = new Map(Object.entries(storages).map(([name, storage]) => [name, rootOf(name, storage)]));
  return (oid, name) => {
    const parts = Array.from(oidToBytes(oid), (byte) => `0x${byte.toString(16).padStart(2, '0')}`);
    return path.join(roots.get(name)!, ...parts);
  };
}

/** The blob directory, in the layout that Python's clients expect. */
function rootOf(name: string, storage: Storage): string {
  if (storage.supports.blobPaths && storage.blobDirectory) {
    const root = path.dirname(storage.blobDirectory());
    const marker = path.join(root, '.layout');
    if (fs.existsSync(marker) && fs.readFileSync(marker, 'utf8').trim() === 'bushy') return root;
  }
  throw new InvalidArgumentError(
    `Storage ${name} has no blob directory that clients could share: that takes File storage, with its blobs in the layout "bushy".`,
  );
}
