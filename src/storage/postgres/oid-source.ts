import { StorageError } from '../../errors';
import type { Oid } from '../../ids';
import type { Schema } from './schema';
import type { Server, ServerWork } from './server';
import { Channel } from './server-worker';

/** So many oids are reserved at once: each reservation waits for the server's disk. */
const BLOCK = 256;

/** Oids that nobody else is given, in any program. */
export class OidSource {
  readonly #server: Server;
  readonly #meta: string;
  #next = 0;
  #end = 0;
  #raisedTo = 0;

  constructor(server: Server, { meta }: Schema) {
    this.#server = server;
    this.#meta = meta;
  }

  next(): Oid {
    if (this.#next === this.#end) {
      const rows = this.#server.call({
        channel: Channel.read,
        text: `UPDATE ${this.#meta} SET value = value + ${BLOCK} WHERE name = 'oids' RETURNING value`,
        values: [],
      });
      rows.next();
      const end = rows.number();
      // Larger ones are not numbers of their own any more: two objects would get the same.
      if (end > Number.MAX_SAFE_INTEGER)
        throw new StorageError('There are no oids left.', { code: 'NO_OIDS' });
      this.#end = end;
      this.#next = this.#end - BLOCK;
    }
    return this.#next++ as Oid;
  }

  /** These are in use: those that come from elsewhere, as in a copy, must not be given out. */
  *use(oids: Iterable<Oid>): ServerWork<void> {
    let end = 0;
    for (const oid of oids) if (oid >= end) end = oid + 1;
    if (end <= this.#end || end <= this.#raisedTo) return;
    const text = `UPDATE ${this.#meta} SET value = $1 WHERE name = 'oids' AND value < $1`;
    yield { channel: Channel.read, text, values: [end] };
    this.#raisedTo = end;
  }
}
