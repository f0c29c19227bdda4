import { inspect } from 'node:util';
import { dateOfTid, formatOid, formatTid, parseOid, ROOT_OID, type Oid, type Tid } from '../../ids';
import { readStructure } from '../../record/index';
import { requireCapability } from '../../storage/index';
import { countOf } from '../arguments';
import { databaseUrl, withStorage, type Context } from '../context';
import { explain, oneLine } from '../output';
import { stateJson } from '../state-json';

/** Options of `zodb dump`. */
export interface DumpCommandOptions {
  readonly oid?: string;
  readonly transactions?: boolean;
  readonly limit?: string;
}

/** `zodb dump`: every object, one object, or every transaction with its records; with `--json` one JSON value a line. */
export async function dump(
  context: Context,
  given: string | undefined,
  options: DumpCommandOptions,
): Promise<void> {
  const limit = options.limit === undefined ? Infinity : countOf('limit', options.limit);
  await withStorage(databaseUrl(given, context.env), 'read', (storage) => {
    if (options.oid !== undefined) {
      const oid = parseOid(options.oid);
      const { data, serial } = storage.load(oid);
      show(context, oid, serial, data);
      return;
    }
    if (!options.transactions) {
      requireCapability(storage, 'currentRecords');
      let count = 0;
      for (const { oid, data, serial } of storage.currentRecords(ROOT_OID)) {
        if (count++ >= limit) break;
        show(context, oid, serial, data);
      }
      return;
    }
    requireCapability(storage, 'iterate');
    let count = 0;
    for (const transaction of storage.iterate()) {
      const { tid, meta, status } = transaction;
      if (count++ >= limit) break;
      const time = dateOfTid(tid).toISOString();
      if (context.json) {
        context.out(
          `${JSON.stringify({ tid: formatTid(tid), time, status, user: meta.user, description: meta.description })}\n`,
        );
      } else {
        context.out(
          `transaction ${formatTid(tid)} ${time} ${oneLine(meta.user)} ${oneLine(meta.description)}\n`,
        );
      }
      for (const { oid, data } of transaction.records()) show(context, oid, tid, data);
    }
  });
}

function show(context: Context, oid: Oid, tid: Tid, data: Uint8Array | null): void {
  const decoded = data === null ? undefined : decode(data);
  const size = data?.length ?? 0;
  if (context.json) {
    context.out(`${stateJson({ oid: formatOid(oid), tid: formatTid(tid), size, ...decoded })}\n`);
    return;
  }
  if (decoded === undefined) context.out(`${formatOid(oid)} ${formatTid(tid)} deleted\n`);
  else {
    const state = 'error' in decoded ? decoded.error : inspect(decoded.state, { depth: 5, breakLength: 110 });
    context.out(
      `${formatOid(oid)} ${formatTid(tid)} ${oneLine(decoded.class)} (${size} bytes)\n  ${state.replaceAll('\n', '\n  ')}\n`,
    );
  }
}

function decode(data: Uint8Array): { class: string; state?: unknown } | { class: string; error: string } {
  try {
    const { cls, state } = readStructure(data);
    return { class: cls.toString(), state };
  } catch (error) {
    return { class: 'unreadable', error: explain(error as Error) };
  }
}
