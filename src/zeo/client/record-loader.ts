import { POSKeyError } from '../../errors';
import { oidToBytes, type Oid, type Tid } from '../../ids';
import type { BoundedRecord, LoadedRecord } from '../../storage/index';
import { tuple } from '../wire/values';
import type { Call } from './call';
import type { ClientParts } from './client-parts';
import { NOW, revisionArguments } from './server-view';

/** Records from the cache, and from the server what is not there. */
export class RecordLoader {
  readonly #parts: ClientParts;

  constructor(parts: ClientParts) {
    this.#parts = parts;
  }

  /** Asks the server: what is here may be older, and a pack may have removed it. */
  load(oid: Oid): LoadedRecord {
    const { link, view } = this.#parts;
    const record = link.read((connection) => view.load(connection, oid, NOW));
    if (record === undefined) throw new POSKeyError(oid);
    return record;
  }

  loadBefore(oid: Oid, tid: Tid): BoundedRecord | undefined {
    const { cache, connector, link, view } = this.#parts;
    connector.pump();
    const cached = cache.load(oid, tid);
    if (cached) return { data: cached.data, serial: cached.start, end: cached.end };
    return link.read((connection) => view.load(connection, oid, tid));
  }

  loadSerial(oid: Oid, tid: Tid): LoadedRecord {
    const cached = this.#parts.cache.loadSerial(oid, tid);
    if (cached) return { data: cached.data, serial: cached.start };
    const data = this.#parts.link.read((connection) =>
      connection.call('loadSerial', revisionArguments(oid, tid), (reply) => Buffer.from(reply as Uint8Array)),
    );
    return { data, serial: tid };
  }

  /** Several in one round trip; `undefined` for those that do not exist. */
  loadManyBefore(oids: readonly Oid[], tid: Tid): (BoundedRecord | undefined)[] {
    this.prefetchBefore(oids, tid);
    return oids.map((oid) => {
      try {
        return this.loadBefore(oid, tid);
      } catch (error) {
        if (error instanceof POSKeyError) return undefined;
        throw error;
      }
    });
  }

  /** Asks for what is not in the cache, and does not wait. */
  prefetchBefore(oids: readonly Oid[], tid: Tid): void {
    const { cache, connector, view } = this.#parts;
    const connection = connector.current;
    if (!connection) return;
    for (const oid of oids) if (!cache.has(oid, tid)) view.load(connection, oid, tid);
    connection.flush();
  }

  /** As {@link prefetchBefore}, and resolves when the records are here. */
  async prefetchAsync(oids: readonly Oid[], tid: Tid): Promise<void> {
    const { cache, link } = this.#parts;
    await link.requireAsync();
    const wanted = oids.filter((oid) => !cache.has(oid, tid));
    await Promise.all(wanted.map((oid) => this.#fetchAsync(oid, tid)));
  }

  async #fetchAsync(oid: Oid, tid: Tid): Promise<void> {
    const { link, view } = this.#parts;
    try {
      await link.readAsync((connection) => view.load(connection, oid, tid));
    } catch (error) {
      if (!(error instanceof POSKeyError)) throw error;
    }
  }

  /** Which of these do not exist now, in one round trip. */
  missingNow(oids: readonly Oid[]): readonly Oid[] {
    const connection = this.#parts.link.require();
    const calls = oids.map((oid) => connection.call('getTid', tuple(oidToBytes(oid)), () => true));
    return oids.filter((_, index) => !this.#isThere(calls[index]!));
  }

  #isThere(call: Call<boolean>): boolean {
    try {
      return this.#parts.link.wait(call);
    } catch (error) {
      if (error instanceof POSKeyError) return false;
      throw error;
    }
  }
}
