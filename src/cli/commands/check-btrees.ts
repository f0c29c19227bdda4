import { checkAll, isNodeClass, type CollectionReport } from '../../btrees/index';
import { DB } from '../../database/index';
import { formatOid, ROOT_OID, type Oid } from '../../ids';
import { registry } from '../../persistence/index';
import { readClass } from '../../record/index';
import { requireCapability, type Storage } from '../../storage/index';
import { databaseUrl, EXIT, withStorage, type Context } from '../context';
import { formatCount, printFacts, problemFacts } from '../output';

/** `zodb check-btrees`: structure, order and linkage of every BTree, Bucket, TreeSet and Set; exit code 3 when something is wrong. */
export async function checkBTrees(context: Context, given: string | undefined): Promise<void> {
  await withStorage(databaseUrl(given, context.env), 'read', (storage) => {
    const nodes = nodesOf(storage);
    const db = new DB(storage);
    const connection = db.open();
    const damaged: CollectionReport[] = [];
    let collections = 0;
    try {
      for (const report of checkAll((oid) => connection.get(oid), nodes)) {
        collections += 1;
        if (report.problems.length > 0) damaged.push(report);
        connection.cacheGC();
      }
    } finally {
      db.close();
    }
    print(context, nodes.length, collections, damaged);
  });
}

function nodesOf(storage: Storage): Oid[] {
  requireCapability(storage, 'currentRecords');
  const nodes: Oid[] = [];
  for (const { oid, data } of storage.currentRecords(ROOT_OID)) {
    if (isNodeClass(registry, readClass(data))) nodes.push(oid);
  }
  return nodes;
}

function print(
  context: Context,
  nodes: number,
  collections: number,
  damaged: readonly CollectionReport[],
): void {
  const problems = damaged.flatMap(({ oid, name, problems: found }) =>
    found.map(({ message, node, path }) => ({ oid: formatOid(oid), name, message, node, path })),
  );
  printFacts(context, { collections, nodes, problems }, [
    ['collections', formatCount(collections)],
    ['nodes', formatCount(nodes)],
    ...problemFacts(
      context,
      problems.map(
        ({ name, message, node, path }) =>
          `${name}: ${message}, in ${node}, path from root ${path.join('.')}`,
      ),
    ),
  ]);
  if (problems.length > 0) context.exitCode = EXIT.problems;
}
