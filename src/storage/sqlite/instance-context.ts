import type { Storage, StorageSupports } from '../interfaces';
import type { Blobs } from './blobs';
import type { SqliteCommitter } from './committer';
import type { Engine } from './engine';
import type { SqliteInstance } from './instance';

/**
 * What instances share with their storage. A class, not a literal: what V8 finds in the first literal it takes for constant, and it
 * forgets all code that rests on that when a second storage is opened.
 */
export class InstanceContext {
  readonly storage: Pick<Storage, 'loadBefore' | 'loadSerial'>;
  readonly engine: Engine;
  readonly committer: SqliteCommitter;
  readonly blobs: Blobs;
  readonly supports: StorageSupports;
  readonly released: (instance: SqliteInstance) => void;

  constructor(
    storage: Pick<Storage, 'loadBefore' | 'loadSerial'>,
    engine: Engine,
    committer: SqliteCommitter,
    blobs: Blobs,
    supports: StorageSupports,
    released: (instance: SqliteInstance) => void,
  ) {
    this.storage = storage;
    this.engine = engine;
    this.committer = committer;
    this.blobs = blobs;
    this.supports = supports;
    this.released = released;
  }
}
