import { ConflictError, InvalidArgumentError, POSKeyError } from '../errors';
import { ROOT_OID } from '../ids';
import { PersistentMapping } from '../persistence/index';
import { TransactionManager } from '../transaction/index';
import type { Storage } from '../storage/index';
import type { DB } from './db';
import type { RootFactories } from './options';

/** How often another process may get in between before it is an error. */
const TRIES = 100;

/**
 * Makes the root object, and those of its keys that are missing. Several processes may do it at the same time: the
 * first commit wins, the others meet a conflict, look again and find it done.
 */
export function initialiseRoot(db: DB, factories: RootFactories): void {
  if (db.storage.readOnly) return;
  for (let attempt = 1; ; attempt++) {
    try {
      if (lacksRoot(db.storage)) makeRootObject(db);
      makeKeys(db, factories);
      return;
    } catch (error) {
      if (!(error instanceof ConflictError) || attempt >= TRIES) throw error;
    }
  }
}

function makeRootObject(db: DB): void {
  const manager = new TransactionManager();
  using connection = db.open({ transactionManager: manager });
  manager.get().note('initial database creation');
  connection.cache.addAt(new PersistentMapping(), ROOT_OID);
  manager.commit();
}

function makeKeys(db: DB, factories: RootFactories): void {
  const names = Object.keys(factories);
  if (names.length === 0) return;
  for (const name of names) {
    if (typeof factories[name] === 'function') continue;
    throw new InvalidArgumentError(
      `The option root gives for ${JSON.stringify(name)} a function that makes it, not ${typeof factories[name]}: ` +
        `{ root: { ${name}: () => … } }.`,
    );
  }
  const manager = new TransactionManager();
  using connection = db.open({ transactionManager: manager });
  const root = connection.root();
  const missing = names.filter((name) => !root.has(name));
  if (missing.length === 0) return;
  manager.get().note(`root: ${missing.join(', ')}`);
  for (const name of missing) root.set(name, factories[name]!());
  manager.commit();
}

/** True when the storage has no root object yet. */
function lacksRoot(storage: Storage): boolean {
  try {
    storage.load(ROOT_OID);
    return false;
  } catch (error) {
    if (error instanceof POSKeyError) return true;
    throw error;
  }
}
