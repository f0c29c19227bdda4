import type { Tid } from '../../ids';
import type { Blobs } from './blobs';
import { BulkRows } from './bulk-rows';
import type { Engine } from './engine';
import type { Handle } from './handle';
import type { OidSource } from './oid-source';
import type { Revisions } from './revisions';
import { WriteStatements } from './write-statements';

/** Where a transaction goes on from. */
export interface LastTransaction {
  readonly seq: number;
  readonly tid: Tid;
  /** The highest id in the history. */
  readonly past: number;
  /** How many objects there are. */
  readonly objects: number;
}

/** What write transactions through one handle share. */
export class WriteContext {
  readonly engine: Engine;
  readonly handle: Handle;
  readonly oids: OidSource;
  readonly blobs: Blobs;
  readonly revisions: Revisions;
  readonly statements: WriteStatements;
  /** The last transaction of all, if it was committed through this handle and nobody has written since. */
  last: LastTransaction | undefined;
  #bulk: BulkRows | undefined;

  constructor(engine: Engine, handle: Handle, revisions: Revisions, oids: OidSource, blobs: Blobs) {
    this.engine = engine;
    this.handle = handle;
    this.oids = oids;
    this.blobs = blobs;
    this.revisions = revisions;
    this.statements = new WriteStatements(handle);
  }

  get bulk(): BulkRows {
    return (this.#bulk ??= new BulkRows(this.handle));
  }
}
