import { UnsupportedError } from '../../errors';
import { oidToBytes, timeOfTid, type Tid } from '../../ids';
import type { PackOptions, PackReport, Steps } from '../../storage/index';
import { WireKeyError } from '../wire/errors-on-wire';
import { numberOf, tuple, WireFloat, type WireValue } from '../wire/values';
import type { Call } from './call';
import type { ClientParts } from './client-parts';
import type { ServerConnection } from './connection';

const NOTHING: PackReport = { revisions: 0, objects: 0, blobs: 0, bytes: 0 };

/** Asks a server to pack. Python's packs up to a time, with what garbage collection it is set up for, and reports nothing. */
function askToPack(connection: ServerConnection, options: PackOptions, lastTid: Tid): Call<PackReport> {
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
function packResult(call: Call<PackReport>): PackReport {
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

/** Milliseconds for which a pack waits before it lets others run. */
const SLICE = 5;
/** Milliseconds for which the server may take to give up a pack. */
const STOP_PATIENCE = 10_000;

/** Packs at the server. Given up, it is stopped there too, where the server can. */
export function* packAtServer(
  { cache, blobs, connector, link, view }: ClientParts,
  options: PackOptions,
): Steps<PackReport> {
  const connection = link.require();
  const call = askToPack(connection, options, view.lastTid);
  connection.flush();
  try {
    do {
      yield { phase: 'pack at the server', done: 0, total: undefined };
    } while (!connector.waitUntil(() => call.done, performance.now() + SLICE));
    return packResult(call);
  } finally {
    if (!call.done && connection.epoch !== undefined && !connection.closed) {
      connection.oneWay('zodb_stop_pack', tuple());
      connector.waitUntil(() => call.done, performance.now() + STOP_PATIENCE);
    }
    // What was removed there must not be found here.
    cache.clear();
    blobs.dropOld();
  }
}
