/** Methods beyond Python's protocol. A client uses them when `get_info` told it that they are there. */
import { StorageError } from '../../errors';
import { requireCapability } from '../../storage/index';
import { numberArgument, oidArgument, transactionKey, WireTypeError } from '../wire/arguments';
import { itemsOf } from '../wire/values';
import { tidToBytes } from '../../ids';
import type { Method } from './methods';
import { runBetween } from './run-between';

/** The methods by name. */
export const extensions: readonly [string, Method][] = [
  // Votes and finishes: (tid, what vote answers); (None, [conflicts]) when the client is to merge and commit again.
  ['zodb_commit', { least: 1, most: 1, run: ({ session }, [id]) => session.commit(id) }],
  // The tid under which the transaction with this id was committed; None when it was not, and then it never will be.
  [
    'zodb_outcome',
    {
      least: 1,
      most: 1,
      run: ({ session }, [id]) => {
        const tid = session.hosted.outcome(transactionKey(id));
        return tid === undefined ? null : tidToBytes(tid);
      },
    },
  ],
  // Packs with all options, and tells what it did.
  [
    'zodb_pack',
    {
      least: 1,
      most: 1,
      run: async ({ session }, [options]) => {
        if (!(options instanceof Map)) throw new WireTypeError('The options of a pack must be a dict.');
        const { hosted, storage } = session;
        requireCapability(storage, 'pack');
        const time = options.get('time');
        session.stopPack = false;
        const report = await runBetween(
          storage.pack({
            ...(time === null || time === undefined ? {} : { time: numberArgument(time, 'The pack time') }),
            gc: (options.get('gc') ?? true) === true && hosted.options.packGc,
            dryRun: options.get('dryRun') === true,
            roots: (itemsOf(options.get('roots')) ?? []).map((oid) => oidArgument(oid)),
          }),
          () => session.stopPack,
        );
        if (report === undefined) throw new StorageError('The pack was stopped.');
        hosted.broadcastSize();
        return { ...report };
      },
    },
  ],
  // Gives up the pack that this client asked for.
  [
    'zodb_stop_pack',
    {
      least: 0,
      most: 0,
      run: ({ session }) => {
        session.stopPack = true;
        return null;
      },
    },
  ],
];
