import { DB } from '../../database/index';
import { InvalidArgumentError } from '../../errors';
import { formatOid, parseOid } from '../../ids';
import { oidOf } from '../../persistence/index';
import { TransactionManager } from '../../transaction/index';
import { databaseUrl, withStorage, type Context } from '../context';
import { formatCount, printFacts } from '../output';

/** `zodb export OID FILE`: an object and all it leads to, in a file that Python reads too. */
export async function exportObject(
  context: Context,
  oid: string,
  file: string,
  given: string | undefined,
): Promise<void> {
  await withStorage(databaseUrl(given, context.env), 'read', (storage) => {
    const db = new DB(storage);
    const connection = db.open({ transactionManager: new TransactionManager() });
    const report = connection.exportFile(parseOid(oid), file);
    printFacts(context, { file, ...report }, [
      ['exported to', file],
      ['objects', formatCount(report.objects)],
      ['blobs', formatCount(report.blobs)],
    ]);
    connection.close();
  });
}

/** Options of `zodb import`. */
export interface ImportCommandOptions {
  readonly replace?: boolean;
}

/** `zodb import FILE KEY`: brings an exported object in, under a key of the root. */
export async function importObject(
  context: Context,
  file: string,
  key: string,
  given: string | undefined,
  { replace = false }: ImportCommandOptions,
): Promise<void> {
  await withStorage(databaseUrl(given, context.env), 'write', (storage) => {
    const db = new DB(storage);
    const manager = new TransactionManager();
    const connection = db.open({ transactionManager: manager });
    const root = connection.root as Record<string, unknown>;
    if (Object.hasOwn(root, key) && !replace) {
      throw new InvalidArgumentError(
        `The root has a key ${JSON.stringify(key)} already; import under another one, or with --replace.`,
      );
    }
    const imported = connection.importFile(file);
    if (imported !== undefined) root[key] = imported;
    manager.get().note(`zodb import ${key}`);
    manager.commit();
    const oid = imported === undefined ? undefined : formatOid(oidOf(imported)!);
    printFacts(context, { file, key, oid }, [
      ['imported from', file],
      ['root key', key],
      ['object', oid ?? 'none: the file is empty'],
    ]);
    connection.close();
  });
}
