import { dateOfTid, formatTid, ZERO_TID } from '../../ids';
import { databaseUrl, withStorage, type Context } from '../context';
import { formatBytes, formatCount, printFacts } from '../output';

/** `zodb info`: what a database is and holds. */
export async function info(context: Context, given: string | undefined): Promise<void> {
  await withStorage(databaseUrl(given, context.env), 'read', (storage) => {
    const last = storage.lastTransaction();
    const supports = Object.entries(storage.supports)
      .filter(([, yes]) => yes)
      .map(([name]) => name);
    const facts = {
      name: storage.name,
      objects: storage.objectCount(),
      bytes: storage.size(),
      lastTransaction: last === ZERO_TID ? null : formatTid(last),
      lastChange: last === ZERO_TID ? null : dateOfTid(last).toISOString(),
      supports,
    };
    printFacts(context, facts, [
      ['name', facts.name],
      ['objects', formatCount(facts.objects)],
      ['size', formatBytes(facts.bytes)],
      ['last transaction', facts.lastTransaction ?? 'none'],
      ['last change', facts.lastChange ?? 'never'],
    ]);
  });
}
