/**
 * The objects that a pack is going to remove, in a table of their own, which the first pack makes.
 *
 * They are removed in many small transactions. If one of them could be referred to again meanwhile, it might lead to others that are gone already; so they
 * are doomed all at once: from that moment on nothing may refer to them, and they may not be changed, although some can still be read. That there are
 * doomed objects is told by the count of removals, which is not whole then: whoever looks for removals learns it with them. A pack that was killed
 * leaves them doomed, and the next one removes them first.
 */
import type { Oid } from '../../ids';
import { oidOfKey } from './current-scan';
import type { Statement } from './driver';
import { oidKey, type Handle } from './handle';
import { readMeta, writeMeta } from './schema';

/** Whether there are doomed objects, by the count of removals. */
export function areDoomed(removals: number): boolean {
  return removals % 1 !== 0;
}

/** For the pack, in its write transactions. */
export class Doomed {
  readonly #handle: Handle;
  readonly #add: Statement;
  readonly #drop: Statement;
  readonly #first: Statement<bigint>;

  constructor(handle: Handle) {
    this.#handle = handle;
    handle.exec('CREATE TABLE IF NOT EXISTS doomed (oid INTEGER PRIMARY KEY)');
    // Of a pack that was killed before it doomed them.
    if (!this.isDecided) handle.exec('DELETE FROM doomed');
    this.#add = handle.prepare('INSERT OR IGNORE INTO doomed VALUES (?)');
    this.#drop = handle.prepare('DELETE FROM doomed WHERE oid = ?');
    this.#first = handle
      .prepare<bigint>('SELECT oid FROM doomed ORDER BY oid LIMIT 50')
      .pluck()
      .safeIntegers();
  }

  /** Whether the objects in the table are doomed, and not only about to be. */
  get isDecided(): boolean {
    return areDoomed(this.#removals());
  }

  add(oid: Oid): void {
    this.#add.run(oidKey(oid));
  }

  drop(oid: Oid): void {
    this.#drop.run(oidKey(oid));
  }

  /** Some of them; none when all are gone. */
  first(): Oid[] {
    return this.#first.all().map(oidOfKey);
  }

  /** From now on those in the table are doomed. */
  decide(): void {
    writeMeta(this.#handle, 'removals', Math.floor(this.#removals()) + 1.5);
  }

  /** None is left. */
  finish(): void {
    writeMeta(this.#handle, 'removals', Math.floor(this.#removals()) + 1);
  }

  #removals(): number {
    return Number(readMeta(this.#handle, 'removals') ?? 0);
  }
}
