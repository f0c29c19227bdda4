import { UnsupportedError } from '../../errors';
import { oidToBytes, timeOfTid, type Tid } from '../../ids';
import type { PackOptions, PackReport } from '../../storage/index';
import { WireKeyError } from '../wire/errors-on-wire';
import { numberOf, tuple, WireFloat, type WireValue } from '../wire/values';
import type { Call } from './call';
import type { ServerConnection } from './connection';

const NOTHING: PackReport = { revisions: 0, objects: 0, blobs: 0, bytes: 0 };

/** Asks a server to pack. Python's packs up to a time, with what garbage collection it is set up for, and reports nothing. */
export function askToPack(
  connection: ServerConnection,
  options: PackOptions,
  lastTid: Tid,
): Call<PackReport> {
  if (connection.epoch === undefined) {
    if (options.dryRun || options.gc === false || options.roots?.length) {
      throw new UnsupportedError(
        "Python's ZEO server packs with its own settings: the options gc, roots and dryRun can't be given to it.",
      );
    }
    // Everything that is committed now, also when it was committed in this millisecond.
    const now = Math.max(Date.now(), timeOfTid(lastTid)) + 1;
    const time = Math.min(options.time ?? now, now) / 1000;
    return connection.call('pack', tuple(new WireFloat(time), true), () => NOTHING);
  }
  const wanted = {
    time: options.time === undefined ? null : new WireFloat(options.time),
    gc: options.gc ?? true,
    dryRun: options.dryRun ?? false,
    roots: (options.roots ?? []).map((oid) => oidToBytes(oid)),
  };
  return connection.call('zodb_pack', tuple(wanted), readReport);
}

/** The result of a pack. Python's server can't pack a database without a root: there is nothing to pack. */
export function packResult(call: Call<PackReport>): PackReport {
  return call.error instanceof WireKeyError ? NOTHING : call.result();
}

function readReport(reply: WireValue): PackReport {
  const field = (name: string): number =>
    reply instanceof Map ? (numberOf(reply.get(name) as WireValue) ?? 0) : 0;
  return {
    revisions: field('revisions'),
    objects: field('objects'),
    blobs: field('blobs'),
    bytes: field('bytes'),
  };
}
